import re
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from incident_examples import AS_OF, frame, year

from features.incidents import AFTER_THE_FACT
from reports.incident_charts import charts
from reports.incident_options import IncidentOptions
from reports.incident_page import render
from reports.incident_summary import summary_markdown
from reports.incident_trends import Beside, IncidentTrends, trends
from reports.problems import RISKS
from reports.working_time import WorkingCalendar

HOSTILE = "<script>alert(1)</script> | `x` [a](http://b) {{ 7*7 }}"
VOID = {"meta", "br", "img", "path", "use", "rect", "link", "circle", "line"}


@pytest.fixture(scope="module")
def found() -> IncidentTrends:
    excluded = pl.when(pl.col("incident_id").str.ends_with("7")).then(pl.lit(AFTER_THE_FACT))
    rows = pl.concat([year(600, slope=-0.2), year(60, seed=2, service=HOSTILE, title=HOSTILE, entity=HOSTILE)])
    goal = {"change": -0.3, "from": "2026-01-01", "by": "2026-12-31", "slice": {"service": HOSTILE}}
    options = IncidentOptions.model_validate({"goals": [goal]})
    risks = pl.DataFrame([("t1", HOSTILE, HOSTILE, 0.9, None)], schema=RISKS, orient="row")
    refused = {"no time zone": 3}
    beside = Beside(WorkingCalendar(ZoneInfo("UTC")), refused, {"no time": 2}, risks)
    return trends(rows.with_columns(resolve_excluded=excluded), AS_OF, options, beside)


@pytest.fixture(scope="module")
def page(found: IncidentTrends) -> str:
    return render(found)


class Tags(HTMLParser):
    """Open tags that are closed in order, and every address that a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert all(address.startswith(("#", "data:")) for address in tags.addresses)
    assert "<script" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_first_screen_says_what_was_found_and_from_what(found: IncidentTrends, page: str) -> None:
    first_screen = page[: page.index("<svg")]
    used, total = found.mttr["usable"]["used"], found.mttr["usable"]["total"]
    assert f"{used} of {total}" in first_screen
    assert "improving" in first_screen
    assert f"{found.mttr['usable']['excluded'][AFTER_THE_FACT]} {AFTER_THE_FACT}" in first_screen
    for word in ("Start", "End", "Clock", "24 x 7 calendar time"):
        assert word in first_screen


def test_hostile_names_are_shown_as_they_are(page: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page


def test_drawings_take_the_pages_colours_and_share_no_ids(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 8
    assert all("var(--blue)" in drawing or "var(--orange)" in drawing for drawing in drawings)
    clips = [set(re.findall(r'<clipPath id="([^"]+)"', drawing)) for drawing in drawings]
    assert len(set().union(*clips)) == sum(len(each) for each in clips)


def test_equal_numbers_give_an_equal_page(found: IncidentTrends, page: str) -> None:
    assert render(found) == page


def test_pictures_are_pngs_and_equal_for_equal_numbers(found: IncidentTrends) -> None:
    pictures = charts(found)
    assert list(pictures) == ["mttr", "mtta", "curve", "behaviour", "shares", "open"]
    assert all(png.startswith(b"\x89PNG") for png in pictures.values())
    few = trends(year(8), AS_OF)
    assert charts(few) == charts(few)


def test_no_incidents_are_said_in_words() -> None:
    empty = trends(frame([]), AS_OF)
    assert "No incident was created before this night" in render(empty)
    assert charts(empty) == {}
    assert "too few to say" in summary_markdown(empty)


def test_a_few_incidents_have_counts_but_no_medians() -> None:
    few = trends(year(8), AS_OF)
    assert list(charts(few)) == ["open"]
    assert "a verdict takes" in render(few)


def test_the_summary_is_short_and_harmless(found: IncidentTrends) -> None:
    text = summary_markdown(found)
    assert "**Time to resolve: improving.**" in text
    assert "Measured from" in text
    assert "<script>" not in text
    assert "(http://b)" not in text
    assert "Goal" in text
    assert len(text.splitlines()) < 16


def test_goals_changes_problems_and_what_was_refused_have_their_place(page: str) -> None:
    for told in (
        "Goals",
        "against the 90 days before",
        "Problem candidates",
        "Predicted now",
        "3 no time zone (of an",
        "2 no time (of a",
    ):
        assert told in page
    assert "holds" in page  # how often the mean's interval does


def test_a_measure_of_few_says_so() -> None:
    lacking = pl.when(pl.col("incident_id") > "1-00040").then(pl.lit("no acknowledgement recorded"))
    rows = year(100).with_columns(acknowledge_excluded=lacking)
    assert "It speaks for 41" in render(trends(rows, AS_OF)).replace("\u00a0", " ")


def test_spans_that_differ_without_a_trend_are_explained() -> None:
    """Back and forth by quarters: the last is faster than the one before, and nothing goes on."""
    quarter = (pl.col("created_at") - pl.lit(AS_OF)).dt.total_days() // 91
    factor = pl.when(quarter % 2 == 0).then(5.0).otherwise(1.0)
    rows = year(500).with_columns(time_to_resolve_s=pl.col("time_to_resolve_s") * factor)
    assert "the two spans differ" in render(trends(rows, AS_OF))
