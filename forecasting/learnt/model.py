"""The crossing model: from what is known about a question to the probability of a crossing.

Belongs here: the two layers of knowledge and how they answer. Not here: how they are learnt
(``forecasting.learnt.learning``), or where they are kept (``pipelines.priors``).

The *prior* ships with the project and knows how series behave in general: boosted trees, one ensemble a horizon, and
others for what climbs in a straight line. The *fleet's own* layer is learnt every night from the fleet's settled past:
a calibration of the prior, by horizon, shape and metric (``forecasting.learnt.calibration``), and trees of its own that
go on from there where there is enough to learn from. With no past of its own a fleet gets the prior; as its history
grows, it gets its own.

Both are monotone: a higher limit is never more probable to be reached.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from hashlib import blake2b

import lightgbm as lgb
import numpy as np

from forecasting.learnt.belief import doubted, tempered
from forecasting.learnt.calibration import Calibration, Kinds
from forecasting.learnt.lines import plainness, straightness
from forecasting.learnt.questions import MONOTONE, NAMES, is_news
from forecasting.tables import HORIZONS

FORMAT = 2
SURE = 9.0  # logits: no answer is surer than 1 in 8,000
LEAST = 1 / (1 + np.exp(SURE))


class PriorError(ValueError):
    """A prior that cannot be used; the message says why, in one line."""


@dataclass(frozen=True)
class Trees:
    """Boosted trees, one ensemble a horizon. They are kept as LightGBM's text, which pickles and compares."""

    text: tuple[str, ...]
    _loaded: list[lgb.Booster] = field(default_factory=list, compare=False, repr=False)

    def logits(self, known: np.ndarray) -> np.ndarray:
        """float64 [N, len(HORIZONS)].

        Args:
            known: float32 [N, len(NAMES)], see ``forecasting.learnt.questions``.
        """
        if not self._loaded:
            self._loaded.extend(lgb.Booster(model_str=text) for text in self.text)
        if len(known) == 0:
            return np.zeros((0, len(HORIZONS)))
        return np.stack([np.asarray(one.predict(known, raw_score=True, num_threads=1)) for one in self._loaded], axis=1)

    def __getstate__(self) -> dict[str, object]:
        return {"text": self.text, "_loaded": []}  # boosters do not travel; their text does


@dataclass(frozen=True)
class Prior:
    """What is known before a fleet has a past of its own.

    trees: None for no prior at all; then the share of a series' own eves after which it rose as far stands in.
    lines: the trees that answer for straight climbs, and the more so the straighter; None: the others answer for all.
    about: where it comes from, in words, for the tables.
    """

    trees: Trees | None
    lines: Trees | None
    about: str

    @property
    def name(self) -> str:
        """A word and a digest: the same for the same trees."""
        if self.trees is None:
            return "none"
        text = self.trees.text + (self.lines.text if self.lines else ())
        return "prior-" + blake2b("".join(text).encode(), digest_size=4).hexdigest()

    def logits(self, known: np.ndarray) -> np.ndarray:
        """float64 [N, len(HORIZONS)]."""
        if self.trees is not None:
            found = self.trees.logits(known)
            return found if self.lines is None else _for_lines(found, self.lines, known)
        shares = known[:, [NAMES.index(f"went_alike_{horizon}h") for horizon in HORIZONS]].astype(np.float64)
        return np.log(shares / (1 - shares))


def _for_lines(general: np.ndarray, lines: Trees, known: np.ndarray) -> np.ndarray:
    """The general logits, and for straight climbs those of the trees that know them best."""
    straight = straightness(known)
    rows = np.flatnonzero(straight > 0)
    found = general.copy()
    found[rows] += straight[rows, None] * (lines.logits(known[rows]) - general[rows])
    return found


NO_PRIOR = Prior(None, None, "no prior: the series' own past alone")


@dataclass(frozen=True)
class CrossingModel:
    """A prior, and what a fleet's own past made of it.

    calibrations: of the prior once it is tempered, one a horizon. own: trees that go on from there, or None.
    """

    prior: Prior
    calibrations: tuple[Calibration, ...]
    own: Trees | None = None

    @property
    def name(self) -> str:
        return "learnt"

    def logits(self, known: np.ndarray, kinds: Kinds) -> np.ndarray:
        """float64 [N, len(HORIZONS)], not yet monotone along the horizons."""
        plain = plainness(known, kinds.shape)
        found = calibrated(self.calibrations, tempered(self.prior.logits(known), plain), kinds)
        return doubted(found if self.own is None else found + self.own.logits(known), plain, is_news(known))

    def probabilities(self, known: np.ndarray, kinds: Kinds) -> np.ndarray:
        """float64 [N, len(HORIZONS)] within (0, 1), never decreasing along the horizons.

        Args:
            known: float32 [N, len(NAMES)].
        """
        p = 1 / (1 + np.exp(-np.clip(self.logits(known, kinds), -SURE, SURE)))
        return np.maximum.accumulate(p, axis=1)


def calibrated(calibrations: tuple[Calibration, ...], logits: np.ndarray, kinds: Kinds) -> np.ndarray:
    """float64 [N, len(HORIZONS)]: each horizon's logits by its own map."""
    return np.stack([one.calibrated(logits[:, h], kinds) for h, one in enumerate(calibrations)], axis=1)


def unlearnt(prior: Prior) -> CrossingModel:
    """The prior as it is."""
    return CrossingModel(prior, (Calibration(),) * len(HORIZONS))


def dump(prior: Prior) -> bytes:
    """A prior as a file's content; the same bytes for the same prior."""
    if prior.trees is None:
        raise PriorError("there is nothing to write: no prior")
    content = {"format": FORMAT, "about": prior.about, "predictors": list(NAMES), "monotone": list(MONOTONE)}
    kinds = {"trees": prior.trees} | ({"lines": prior.lines} if prior.lines else {})
    text = {kind: dict(zip(map(str, HORIZONS), trees.text, strict=True)) for kind, trees in kinds.items()}
    return gzip.compress(json.dumps(content | text).encode(), mtime=0)


def parse(content: bytes) -> Prior:
    """The prior that `dump` wrote.

    Raises:
        PriorError: the content is no prior, or one for other predictors than these.
    """
    try:
        found = json.loads(gzip.decompress(content))
        kind, names = found["format"], found["predictors"]
        trees, lines = _trees(found["trees"]), _trees(found["lines"]) if "lines" in found else None
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise PriorError(f"it is no prior ({type(error).__name__}); build one with python -m data.prior") from error
    if kind != FORMAT or tuple(names) != NAMES:
        raise PriorError("it was built for another release; build it again with python -m data.prior")
    return Prior(trees, lines, str(found["about"]))


def _trees(text: dict[str, str]) -> Trees:
    return Trees(tuple(text[str(horizon)] for horizon in HORIZONS))
