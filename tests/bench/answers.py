"""Who answers: our own command over files, and peers whose answers to a case are kept, since they never change.

A peer's answer depends on the case and on the peer's source alone; both are in the key.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from peers import Answers, Case
from persistence import HORIZONS
from questions import KEYS, ROOT

KEPT = Path(__file__).parent / ".cache" / "answers"
COLUMNS = [f"p_{h}h" for h in HORIZONS]
SCORE = [sys.executable, "-m", "pipelines.cli", "score"]


class Answering(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def source(self) -> bytes: ...

    def answer_all(self, cases: Sequence[Case]) -> list[Answers]: ...


def ask(peer: Answering, cases: Sequence[Case], at_once: int | None = None) -> pl.DataFrame:
    """A peer's answers, null where it abstains; new cases are asked, the others' answers are read.

    Answers are put by after every `at_once` cases (default: all), so an interrupted run goes on where it was.

    Columns: ON, p_24h, p_72h, p_168h.
    """
    path = KEPT / f"{peer.name}-{hashlib.blake2b(peer.source, digest_size=5).hexdigest()}.parquet"
    kept = _read(path)
    new = [case for case in cases if case.digest not in kept]
    for start in range(0, len(new), at_once or len(new) or 1):
        sys.stderr.write(f"{peer.name}: {len(new) - start} series-nights to answer ...\n")
        some = new[start : start + (at_once or len(new))]
        kept |= {case.digest: one.p for case, one in zip(some, peer.answer_all(some), strict=True)}
        _write(path, kept)
    return _frame(cases, [kept[case.digest] for case in cases])


def ours(paths: Sequence[Path], tasks: pl.DataFrame, priors: Path | None) -> pl.DataFrame:
    """What ``forewarn score`` says, each file with the prior that never saw it: `priors`/<file's stem>.json.gz.

    Raises:
        SystemExit: the command failed, or a prior is missing.
    """
    found = []
    for path in paths:
        stem = path.stem.removeprefix("metrics_")
        prior = "none" if priors is None else str(priors / f"{stem}.json.gz")
        if priors is not None and not Path(prior).is_file():
            sys.exit(f"{prior}: not there; --priors wants one for every metric file, made without that file")
        sources = pl.scan_parquet(path).select(pl.col("source").cast(pl.String).unique()).collect()["source"]
        own = tasks.filter(pl.col("source").is_in(sources.to_list()))
        sys.stderr.write(f"forewarn: {len(own)} questions about {stem} ...\n")
        found.append(score([path], own, prior))
    return pl.concat(found, how="vertical_relaxed")


def score(paths: Sequence[Path], tasks: pl.DataFrame, prior: str) -> pl.DataFrame:
    """What one call of ``forewarn score`` says."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "tasks.parquet", Path(folder) / "predictions.parquet"
        tasks.write_parquet(asked)
        files = [str(path) for path in paths]
        command = [*SCORE, *files, "--tasks", str(asked), "--out", str(answered), "--prior", prior]
        done = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            sys.exit(f"forewarn score ended with {done.returncode}; what it said stands above")
        return pl.read_parquet(answered).with_columns(pl.col(KEYS).cast(pl.String))


def _frame(cases: Sequence[Case], answers: Sequence[np.ndarray]) -> pl.DataFrame:
    night = np.repeat(np.arange(len(cases)), [len(case.limits) for case in cases])
    nights = pl.DataFrame([(*case.key, case.as_of.astype("datetime64[us]").item()) for case in cases],
                          schema=[*KEYS, "as_of"], orient="row")  # fmt: skip
    p = np.concatenate(answers)
    return nights[night].with_columns(
        pl.col("as_of").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        pl.Series("limit", np.concatenate([case.limits for case in cases])),
        *(pl.Series(name, p[:, h]).fill_nan(None) for h, name in enumerate(COLUMNS)),
    )


def _read(path: Path) -> dict[bytes, np.ndarray]:
    if not path.is_file():
        return {}
    return {case: np.array(p).reshape(-1, len(HORIZONS)) for case, p in pl.read_parquet(path).iter_rows()}


def _write(path: Path, kept: dict[bytes, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    columns = {"case": list(kept), "p": [p.ravel().tolist() for p in kept.values()]}
    pl.DataFrame(columns, schema={"case": pl.Binary, "p": pl.List(pl.Float64)}).write_parquet(partial)
    partial.rename(path)
