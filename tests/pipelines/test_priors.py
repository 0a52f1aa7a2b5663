"""A prior is found, or its fault is said in one line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from forecasting.learnt.learning import learn_prior
from forecasting.learnt.lessons import Lessons
from forecasting.learnt.model import NO_PRIOR, Prior, dump
from forecasting.learnt.questions import NAMES
from pipelines import priors
from pipelines.sources.errors import InputError


@pytest.fixture(scope="module")
def prior() -> Prior:
    rng = np.random.default_rng(3)
    known = rng.normal(size=(600, len(NAMES))).astype(np.float32)
    crossed = (known[:, :3] + rng.normal(size=(600, 3)) > 0).astype(np.float32)
    zeros = np.zeros(600, dtype=np.int64)
    lessons = Lessons(known, crossed, zeros, zeros.astype(np.uint64), zeros.astype(str), zeros.astype(str))
    return learn_prior(lessons, np.ones(600), lessons, "a test", trees=3)


def test_none_is_no_prior():
    assert priors.load("none") is NO_PRIOR


def test_a_file_is_read_where_it_lies(prior: Prior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own.gz").write_bytes(dump(prior))
    monkeypatch.setattr(priors, "SHIPPED_FILE", tmp_path / "own.gz")
    for found in (priors.load(str(tmp_path / "own.gz")), priors.load("own.gz", tmp_path), priors.load("shipped")):
        assert found == prior and found.name == prior.name
    monkeypatch.chdir(tmp_path)
    assert priors.load("own.gz") == prior


def test_what_is_no_prior_is_said_in_one_line(prior: Prior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sound = dump(prior)
    content = json.loads(gzip.decompress(sound))

    def packed(**changes: object) -> bytes:
        return gzip.compress(json.dumps(content | changes).encode())

    flipped = bytearray(sound)
    flipped[len(flipped) // 2] ^= 255
    spoilt = {
        "empty": (b"", "is no prior"),
        "text": (b"hello", "is no prior"),
        "cut": (sound[:-40], "is no prior"),
        "flipped": (bytes(flipped), "prior"),
        "list": (gzip.compress(b"[]"), "is no prior"),
        "older": (packed(format=0), "built for another release"),
        "others": (packed(predictors=["a"]), "built for another release"),
        "numbers": (packed(trees={"24": 1, "72": 2, "168": 3}), "cannot be read"),
        "no trees": (packed(trees={"24": "x", "72": "x", "168": "x"}), "cannot be read"),
    }
    for name, (written, words) in spoilt.items():
        (tmp_path / name).write_bytes(written)
        with pytest.raises(InputError, match=words) as caught:
            priors.load(str(tmp_path / name))
        assert "python -m data.prior" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(InputError, match="name a prior's file, shipped or none"):
        priors.load(str(tmp_path / "absent"))
    monkeypatch.setattr(priors, "SHIPPED_FILE", tmp_path / "absent")
    with pytest.raises(InputError, match="build it with python"):
        priors.load("shipped")
    with pytest.raises(InputError, match="Is a directory"):
        priors.load(str(tmp_path))
