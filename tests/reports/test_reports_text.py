from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.text import (
    code_markdown,
    escape_markdown,
    format_local,
    format_moment,
    format_utc,
    likelihood,
    link_markdown,
    one_line,
)

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class Read(HTMLParser):
    """The tags and the text of rendered Markdown."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


hostile = st.text(st.sampled_from("ab1 _*`|<>&[]()#!~$@:/-+=.\\\n\t{}^\"'"), max_size=25) | st.text(max_size=15)


@settings(max_examples=80, deadline=None)
@given(hostile)
@example("<script>alert(1)</script>")
@example("[a](javascript:x) ![b](y)")
@example("1. one\n2. two")
@example("- a\n---\n# h")
@example("&lt; &amp;amp;")
@example("a\\|b")
@example("_a_ b_c_d __e__")
def test_hostile_text_shows_as_itself_and_makes_no_markup(text):
    escaped = escape_markdown(text)
    for around, tags in (
        ("{}", {"p"}),
        ("- {}", {"ul", "li"}),
        ("# {}", {"h1"}),
        ("|a|b|\n|---|---|\n|{}|x|", {"table", "thead", "tbody", "tr", "th", "td"}),
    ):
        read = Read(MARKDOWN.render(around.format(escaped)))
        assert set(read.tags) <= tags
        if around == "{}":
            assert " ".join(read.text.replace("\u200b", "").split()) == " ".join(one_line(text, 500).split())


@settings(max_examples=60, deadline=None)
@given(hostile.filter(one_line))
def test_code_is_copied_as_it_is(text):
    read = Read(MARKDOWN.render(f"- x: {code_markdown(text)}"))
    assert set(read.tags) == {"ul", "li", "code"}
    assert unescape(read.text).strip() == f"x: {one_line(text)}"


@pytest.mark.parametrize("text", ["@joe", "see https://evil.example", "www.evil.example", "mailto:a@b.example"])
def test_nobody_is_mentioned_and_nothing_is_linked(text):
    assert text not in escape_markdown(text)
    assert escape_markdown(text).replace("\u200b", "") == text


def test_words_that_are_no_markup_stay_readable():
    assert escape_markdown("mem_used_percent of db-02 is 92.7 % (of 2. kind)") == (
        "mem_used_percent of db-02 is 92.7 % (of 2. kind)"
    )


def test_invisible_characters_do_not_turn_a_line_around():
    assert one_line("a\u202eb\x00c\r\nd\u200be") == "a b c d e"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"


def test_only_web_addresses_become_links():
    assert link_markdown("https://example.com/a?b=c&d=1#e") == "<https://example.com/a?b=c&d=1#e>"
    assert link_markdown("javascript:alert(1)") == "`javascript:alert(1)`"
    assert link_markdown("https://x> <b>") == "`https://x> <b>`"


@pytest.mark.parametrize(
    ("p", "words"), [(0.995, "virtually certain"), (0.84, "likely"), (0.5, "about as likely as not"), (0.0, "exc")]
)
def test_likelihood_in_words(p, words):
    assert likelihood(p).startswith(words)


def test_times_are_told_in_words_of_one_language():
    moment = datetime(2026, 6, 3, 14)
    assert format_utc(moment) == "2026-06-03 14:00 UTC"
    assert format_local(moment, ZoneInfo("Europe/Berlin")) == "Wed 3 Jun 2026, 16:00 CEST"
    assert format_moment(moment, ZoneInfo("Asia/Kolkata")) == "Wed 3 Jun, 19:30"
    assert format_utc(None) == format_moment(None, ZoneInfo("UTC")) == "–"
