"""The Redmine of tests: what is written into its database is what it would have written itself."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import real_redmine
from real_redmine import RealRedmine
from redmine_database import COLUMNS, NEW, Change, Issue

AT = datetime(2026, 2, 3, 4, 5, 6)
TIMES = {"created_on", "updated_on", "closed_on", "start_date"}


@pytest.fixture
def redmine() -> RealRedmine:
    return real_redmine.shared()


def test_an_issue_written_is_as_one_that_redmine_wrote(redmine: RealRedmine):
    """Every kind of change, in order; times aside, which the next test looks at."""
    redmine.project("Checkout")
    field = redmine.custom_field("Impact")
    changes: list[dict[str, str | None]] = [
        {"assignee": "Ann Bee"}, {"status": "In Progress"}, {"status": "Closed", "priority": "Urgent"},
        {"status": "Feedback"}, {"status": "Rejected", "assignee": None, "tracker": "Bug"}, {"Impact": "all of it"},
        {"subject": "Disk full!", "category": None}, {},
    ]  # fmt: skip
    notes = ["", "", "done", "private: sorry", "", "", "", "private: only a note"]
    has = {"subject": "Disk <b>full</b>", "category": "Database", "priority": "High"}
    told = [
        Change(AT + timedelta(hours=no), sets, note, note.startswith("private"))
        for no, (sets, note) in enumerate(zip(changes, notes, strict=True))
    ]
    written, asked = redmine.add(Issue(AT, has, "it is", changes=tuple(told)), Issue(AT, has, "it is"))
    for change in told:
        body: dict[str, Any] = {"notes": change.note, "private_notes": change.private}
        for name, value in change.sets.items():
            if name == "Impact":
                body["custom_fields"] = [{"id": field, "value": value}]
            else:
                body[COLUMNS[name]] = redmine.id(name, value) if value else ""
        redmine.send("PUT", f"/issues/{asked}.json", {"issue": body})

    def shown(issue: int) -> tuple[Any, list[Any]]:
        found = redmine.get(f"/issues/{issue}.json", include="journals")["issue"]
        journals = [{k: v for k, v in journal.items() if k not in {"id", *TIMES}} for journal in found.pop("journals")]
        for journal in journals:
            journal["details"].sort(key=lambda detail: detail["name"])
        return {key: value for key, value in found.items() if key not in {"id", *TIMES}}, journals

    assert shown(written) == shown(asked)


def test_times_are_those_given(redmine: RealRedmine):
    closed, reopened = AT + timedelta(hours=1, microseconds=7), AT + timedelta(days=3)
    (issue,) = redmine.add(
        Issue(AT, {"subject": "x"}, changes=(Change(closed, {"status": "Closed"}), Change(reopened, {"status": NEW})))
    )
    found = redmine.get(f"/issues/{issue}.json", include="journals")["issue"]
    assert [found[name] for name in ("created_on", "updated_on", "closed_on")] == [
        "2026-02-03T04:05:06Z", "2026-02-06T04:05:06Z", "2026-02-03T05:05:06Z",
    ]  # fmt: skip
    assert [each["created_on"] for each in found["journals"]] == ["2026-02-03T05:05:06Z", "2026-02-06T04:05:06Z"]
    redmine.change(issue, Change(reopened + timedelta(hours=1), {"status": "Rejected"}))
    assert redmine.get(f"/issues/{issue}.json")["issue"]["closed_on"] == "2026-02-06T05:05:06Z"


def test_hundreds_are_written_at_once_and_gone_at_once(redmine: RealRedmine):
    began = time.monotonic()
    made = [Issue(AT + timedelta(minutes=no), {"subject": f"No. {no}"}) for no in range(500)]
    assert len(set(redmine.add(*made))) == 500
    assert time.monotonic() - began < 5
    asked = {"status_id": "*", "limit": "100", "offset": "400", "sort": "updated_on:asc"}
    found = redmine.get("/issues.json", **asked)
    assert (found["total_count"], [each["subject"] for each in found["issues"]][-1]) == (500, "No. 499")
    redmine.clear()
    assert redmine.get("/issues.json", status_id="*")["total_count"] == 0
