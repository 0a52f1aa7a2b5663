"""Drawings for a page: SVG that takes its colours from the page (light, dark, print). Pure.

Belongs here: the page's palette, sizes and the way from a figure to markup. Not here: what is drawn
(``incident_charts``, ``replay_charts``), pictures for files (``plots``), the small plots of rows (``sparkline``).

A drawing is made once for a desk and once for a phone, since letters scaled down are not letters any more. Equal
numbers give equal bytes.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import NamedTuple

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's palette, as in templates/base.html.j2, where the names on the right live.
INK, SOFT, LINE = "#1b2330", "#5b6675", "#dde2e9"
BLUE, SKY, ORANGE, RED, GREEN, PURPLE = "#0072b2", "#56b4e9", "#b36b00", "#c04f00", "#00795a", "#a3497c"
ON_THE_PAGE = {
    INK: "ink", SOFT: "soft", LINE: "line", BLUE: "blue", SKY: "sky", ORANGE: "orange", RED: "red", GREEN: "green",
    PURPLE: "purple",
}  # fmt: skip

DPI = 100
DESK, PHONE = (8.6, 3.2), (3.7, 3.2)  # inches


class Picture(NamedTuple):
    """A drawing for the page: at both widths, and what it shows for those who cannot see it."""

    title: str
    caption: str
    desk: Markup
    phone: Markup


def style(salt: str) -> AbstractContextManager[None]:
    """Make the figure and the drawing within this.

    The ids within a drawing come from the salt: two drawings of one page must not share any, else what is hidden on a
    phone takes its clip paths away from what is shown.
    """
    return mpl.rc_context({
        "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9, "text.parse_math": False,
        "svg.fonttype": "none", "svg.hashsalt": salt,
    })  # fmt: skip


def to_svg(figure: Figure) -> Markup:
    """The figure as an ``svg`` element; matplotlib escapes the text in it."""
    out = io.StringIO()
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = out.getvalue()
    for colour, role in ON_THE_PAGE.items():
        drawing = drawing.replace(colour, f"var(--{role})")
    return Markup(drawing[drawing.index("<svg") :])  # noqa: S704 - made by matplotlib, which escapes text
