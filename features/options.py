"""What the options of every room have in common.

Each room owns the options of what it does (signals here, policy in reports, ...); ``pipelines.settings`` only puts them
together into one file.
"""

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Unknown keys are refused: a typo must not silently fall back to a default. Faults show no values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
