"""Staged frames: what the stages of a night hand to each other, as Parquet in a folder of that night.

A frame is written to a temporary name and renamed, so a reader sees a whole frame or none. Frames are not the record:
what counts is published to the warehouse; they stay for a few nights so that an SRE can follow a prediction back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

KEEP_NIGHTS = 3


class Frames:
    """The frames of one night, e.g. ``frames.path("raw.samples")``."""

    def __init__(self, root: Path, as_of: datetime):
        self.folder = root / "staging" / as_of.strftime("%Y-%m-%dT%H")

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A temporary path; what stands there on leaving becomes the frame."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}.parquet"
        try:
            yield temporary
            temporary.replace(self.path(name))
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, name: str, frame: pl.DataFrame) -> Path:
        with self.writing(name) as temporary:
            frame.write_parquet(temporary, compression="zstd", compression_level=1)
        return self.path(name)

    def note(self, name: str, content: object) -> None:
        """Keep what a stage counted, beside its frames."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}.json"
        temporary.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
        temporary.replace(self.folder / f"{name}.json")

    def noted(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))

    def read(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.path(name))

    def scan(self, name: str) -> pl.LazyFrame:
        return pl.scan_parquet(self.path(name))


def forget_old(root: Path, keep: int = KEEP_NIGHTS) -> None:
    """Remove the frames of all but the most recently written nights."""
    staging = root / "staging"
    nights = sorted(staging.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True) if staging.is_dir() else []
    for night in nights[keep:]:
        shutil.rmtree(night)
