"""A written report read back, to be sent."""

from __future__ import annotations

from pathlib import Path

from pipelines.distribution.errors import NotSentError
from reports.incident_letter import CHARTS, Letter, LetterError, Parcel

LETTER = "mttr.letter.json"


def stands_in(folder: Path) -> bool:
    """Whether a report stands there."""
    return (folder / LETTER).is_file()


def read(folder: Path) -> Parcel:
    """The report that stands in a folder.

    Raises:
        NotSentError: it does not, or is of another version.
    """
    try:
        letter = Letter.from_json((folder / LETTER).read_bytes())
        files = {name: (folder / name).read_bytes() for name in ("mttr.html", "mttr.json")}
        charts = {name: png.read_bytes() for name in CHARTS if (png := folder / f"{name}.png").is_file()}
        return Parcel(letter, (folder / "mttr.md").read_text(encoding="utf-8"), charts, files)
    except OSError as error:
        raise NotSentError(f"{error.filename}: cannot be read ({error.strerror}); write the report again") from error
    except LetterError as error:
        raise NotSentError(f"{folder / LETTER}: {error}") from error
