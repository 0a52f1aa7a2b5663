"""What all tests share: how hard hypothesis tries. `HYPOTHESIS_PROFILE=thorough make test` tries far harder."""

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("thorough", max_examples=250, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
