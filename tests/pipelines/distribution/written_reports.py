"""A report as it stands on disk."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from letter_examples import parcel

from pipelines.distribution.parcels import LETTER

NIGHT = date(2026, 6, 1)  # a Monday


def write_parcel(folder: Path, night: date = NIGHT) -> Path:
    """The files of a night that are sent."""
    made = parcel(night=night)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LETTER).write_text(made.letter.to_json())
    (folder / "mttr.md").write_text(made.markdown)
    for name, content in {**made.files, **{f"{name}.png": png for name, png in made.charts.items()}}.items():
        (folder / name).write_bytes(content)
    return folder
