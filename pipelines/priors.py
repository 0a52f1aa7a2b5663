"""Where the crossing model's cold-start knowledge is kept: with the project, in a file, or nowhere.

Belongs here: finding and reading it. Not here: what it is (``forecasting.learnt.model``), or how it is built
(``python -m data.prior``).
"""

from __future__ import annotations

import zlib
from pathlib import Path

import lightgbm as lgb
import numpy as np

import data
from forecasting.learnt.model import NO_PRIOR, Prior, PriorError, parse
from forecasting.learnt.questions import NAMES
from pipelines.sources.errors import InputError, shown

NONE = "none"
SHIPPED = "shipped"
SHIPPED_FILE = Path(data.__file__).parent / "prior" / "prior.json.gz"


def load(named: str, folder: Path | None = None) -> Prior:
    """The prior of that name: ``none``, ``shipped``, or the path of a file that ``python -m data.prior`` built.

    Args:
        folder: what a relative path is relative to; default: the working folder.

    Raises:
        InputError: it cannot be read, or is no prior.
    """
    if named == NONE:
        return NO_PRIOR
    path = SHIPPED_FILE if named == SHIPPED else (folder or Path()) / Path(named).expanduser()
    name = shown(str(path))
    try:
        prior = parse(path.read_bytes())
        prior.logits(np.zeros((1, len(NAMES)), dtype=np.float32))  # trees that cannot answer are found now
    except FileNotFoundError as error:
        mend = "build it with python -m data.prior" if named == SHIPPED else f"name a prior's file, {SHIPPED} or {NONE}"
        raise InputError(f"{name}: the prior is not there; {mend}") from error
    except PriorError as error:
        raise InputError(f"{name}: {error}") from error
    except (OSError, zlib.error, lgb.basic.LightGBMError, ValueError, TypeError, AttributeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        mend = "build it again with python -m data.prior"
        raise InputError(f"{name}: the prior cannot be read ({why}); {mend}") from error
    return prior
