"""The one jinja2 environment of all pages: autoescape on, unknown names an error, filters for what people read.

Belongs here: how templates are found and which filters they have. Not here: what a page shows.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from features import units
from reports import text

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Every page's environment.

    Filters: ``number``, ``value(unit)``, ``share`` (probability -> percent), ``duration`` (seconds), ``bytes``,
    ``utc``, ``local(zone)``, ``moment(zone)`` (without year and zone), ``one_line``, ``model`` (its name -> words),
    ``png`` (bytes -> data address).
    """
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "number": units.format_number,
        "value": units.format_value,
        "share": units.format_share,
        "duration": units.format_duration,
        "bytes": units.format_bytes,
        "utc": text.format_utc,
        "local": text.format_local,
        "moment": text.format_moment,
        "one_line": text.one_line,
        "model": text.model_in_words,
        "png": png_address,
    }
    return made


def png_address(png: bytes) -> Markup:
    """PNG bytes as an address that an ``img`` carries within the page."""
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode("ascii")
