"""What is posted to chats and programs."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from letter_examples import HOSTILE, parcel

from reports.incident_chat import post
from reports.receivers import Format

LINK = "https://reports.example.com/2026-06-01/mttr.html"
texts = st.one_of(st.text(max_size=60), st.sampled_from([HOSTILE, "<!here>", "<http://x|y>", "http://evil.example"]))


def posted(form: Format, text: str = "disk full", link: str | None = None) -> Any:
    kind, content = post(parcel(text), form, "id", link)
    assert kind == "application/json"
    return json.loads(content)


def test_slack_reads_verdicts_in_its_own_markup() -> None:
    told = posted("slack", link=LINK)
    assert told["unfurl_links"] is False
    assert ":large_green_circle: *Time to resolve: improving.* −12\u00a0% per 30 days" in told["text"]
    assert f"_{parcel().letter.verdicts[0].measured}_" in told["text"]
    assert f"<{LINK}|The whole report>" in told["text"]


@given(texts)
def test_nobody_is_called_by_a_title_in_slack(text: str) -> None:
    said = posted("slack", text)["text"]
    assert not re.search(r"[<>]|://|@(?!\u200b)", said)
    assert said.count("*") == posted("slack", "x")["text"].count("*") and "`" not in said


@given(texts)
def test_a_card_is_of_text_runs_alone(text: str) -> None:
    told = posted("teams", text)
    card = told["attachments"][0]["content"]
    assert told["type"] == "message" and told["attachments"][0]["contentType"].endswith("card.adaptive")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    said = [run["text"] for block in card["body"] for run in block["inlines"]]
    assert not any("://" in each for each in said)
    assert "actions" not in card


def test_a_card_leads_to_the_page_where_a_server_shows_it() -> None:
    [action] = posted("teams", link=LINK)["attachments"][0]["content"]["actions"]
    assert action == {"type": "Action.OpenUrl", "title": "The whole report", "url": LINK}


def test_a_card_fits_into_what_teams_takes() -> None:
    lines: dict[str, Any] = {kind: parcel("x" * 160).letter.goals * 5 for kind in ("goals", "parts", "problems")}
    assert len(post(parcel(**lines), "teams", "id", LINK)[1]) < 28_000


def test_mattermost_and_markdown_get_the_lines_that_are_on_disk() -> None:
    assert posted("mattermost", link=LINK)["text"] == f"{parcel().markdown.rstrip()}\n\n[The whole report]({LINK})\n"
    assert post(parcel(), "markdown", "id") == ("text/markdown; charset=utf-8", parcel().markdown.encode())


def test_programs_get_the_whole_contract() -> None:
    told = posted("json", link=LINK)
    assert told["mttr"] == {"trends": []} and told["night"] == "2026-06-01" and told["id"] == "id"
    assert told["event"] == "incident_report" and told["subject"] == parcel().letter.subject
