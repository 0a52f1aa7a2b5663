"""What Redmine's issues and journals mean: records as a real one answers them, without a server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.incident_states import Kind
from pipelines.source_options import Redmine
from pipelines.sources.incident_servers.pages import Row
from pipelines.sources.incident_servers.redmine_rows import Names, Principal, Status, events, incident, status

ENGLISH = {"New": 1, "In Progress": 2, "Resolved": 3, "Feedback": 4, "Closed": 5, "Rejected": 6}
CLOSING = {"Closed", "Rejected", "Geschlossen", "Abgewiesen"}
PEOPLE = {"7": Principal("7", "Ann Bee", is_team=False), "8": Principal("8", "Databases", is_team=True)}


def settings(**options: Any) -> Redmine:
    return Redmine.model_validate({"name": "desk", "type": "redmine", "url": "http://127.0.0.1:1", **options})


def names(known: dict[str, int] | None = None, states: dict[str, Kind] | None = None) -> Names:
    listed = [{"id": no, "name": name, "is_closed": name in CLOSING} for name, no in (known or ENGLISH).items()]
    found = [each for record in listed if (each := status(record, states or {}))]
    return Names({each.id: each for each in found}, PEOPLE)


def at(hour: int) -> str:
    return f"2026-02-03T{hour:02}:00:00Z"


def changed(hour: int, *details: tuple[str, object, object], kind: str = "attr") -> dict[str, Any]:
    told = [{"property": kind, "name": name, "old_value": old, "new_value": new} for name, old, new in details]
    return {"id": hour, "user": {"id": 5, "name": "Watch"}, "notes": "", "created_on": at(hour), "details": told}


def moved(hour: int, old: int, new: int) -> dict[str, Any]:
    return changed(hour, ("status_id", str(old), str(new)))


def issue(current: int, *journals: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": 17, "project": {"id": 1, "name": "Checkout"}, "tracker": {"id": 4, "name": "Incident"},
        "status": {"id": current, "name": "whatever"}, "priority": {"id": 4, "name": "Urgent"}, "subject": "Disk full",
        "description": None, "created_on": at(1), "updated_on": at(20), "closed_on": None, "journals": list(journals),
        **more,
    }  # fmt: skip


def row(*given: Any, **more: Any) -> Row:
    return incident(issue(*given, **more), names(), settings())


def stamps(found: Row) -> dict[str, str | None]:
    return {
        stamp: found.get(f"{stamp}_at")
        for stamp in ("acknowledged", "resolved", "closed", "cancelled")
        if found.get(f"{stamp}_at")
    }


# --------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("journals", "when"),
    [
        ([moved(2, 1, 2)], 2),
        ([moved(2, 1, 4)], 2),
        ([changed(2, ("assigned_to_id", None, "7")), moved(3, 1, 2)], 2),
        ([changed(2, ("assigned_to_id", "7", None)), changed(3, ("priority_id", "1", "2")), moved(4, 1, 2)], 4),
        ([changed(2, ("assigned_to_id", "", "7"), kind="cf"), moved(4, 1, 2)], 4),
    ],
    ids=["work", "waiting", "assigned first", "assigned to nobody", "a custom field of that name"],
)
def test_who_takes_it_up_acknowledges(journals, when):
    found = row(2, *journals)
    assert (found["acknowledged_at"], found["acknowledged_basis"]) == (at(when), "changelog")


def test_what_is_resolved_at_once_was_acknowledged_by_nobody():
    assert stamps(row(5, moved(3, 1, 5), closed_on=at(3))) == {"resolved": at(3), "closed": at(3)}


def test_it_was_resolved_before_it_was_closed():
    found = row(5, moved(2, 1, 2), moved(3, 2, 3), moved(9, 3, 5), closed_on=at(9))
    assert stamps(found) == {"acknowledged": at(2), "resolved": at(3), "closed": at(9)}
    assert (found["resolved_basis"], found["closed_basis"]) == ("changelog", "changelog")


def test_what_was_reopened_is_resolved_by_its_last_resolution_only():
    journals = [moved(2, 1, 3), moved(3, 3, 5), moved(4, 5, 2)]
    assert stamps(row(2, *journals, closed_on=at(3))) == {"acknowledged": at(4)}
    assert stamps(row(5, *journals, moved(8, 2, 5), closed_on=at(8)))["resolved"] == at(8)


def test_what_was_rejected_is_cancelled_and_nothing_else():
    assert stamps(row(6, moved(4, 1, 6), closed_on=at(4))) == {"cancelled": at(4)}
    assert stamps(row(5, moved(4, 1, 6), moved(6, 6, 5), closed_on=at(4))) == {"resolved": at(6), "closed": at(6)}


def test_where_no_journal_tells_closed_on_does():
    """Of issues that were imported, or created as closed."""
    found = row(5, closed_on=at(6))
    assert stamps(found) == {"resolved": at(6), "closed": at(6)}
    assert (found["resolved_basis"], found["closed_basis"]) == (None, None)  # which stands for a field
    assert [(each["changed_at"], each["state"]) for each in events(issue(5, closed_on=at(6)), names())] == [
        (at(6), "Closed")
    ]
    assert stamps(row(3)) == {}  # resolved, and nobody knows when


def test_a_status_that_is_no_more_changes_nothing():
    found = issue(5, moved(2, 1, 99), moved(3, 99, 5), closed_on=at(3))
    assert stamps(incident(found, names(), settings())) == {"resolved": at(3), "closed": at(3)}
    assert [each["state"] for each in events(found, names())] == ["New", "Closed"]


# -------------------------------------------------------------------------------------------------------------- states


def test_states_in_another_language_mean_what_the_settings_say():
    german = {"Neu": 1, "In Bearbeitung": 2, "Gelöst": 3, "Geschlossen": 5, "Abgewiesen": 6}
    known = names(german, {"Gelöst": "resolved", "In Bearbeitung": "active", "Abgewiesen": "cancelled"})
    found = incident(issue(5, moved(2, 1, 2), moved(3, 2, 3), moved(4, 3, 5)), known, settings())
    assert stamps(found) == {"acknowledged": at(2), "resolved": at(3), "closed": at(4)}
    assert stamps(incident(issue(6, moved(2, 1, 6)), known, settings())) == {"cancelled": at(2)}
    assert known.statuses["1"] == Status("1", "Neu", "Neu", None)


@pytest.mark.parametrize(
    ("name", "is_closed", "kind"),
    [("Accepted", True, "closed"), ("Schluss", True, "closed"), ("Schluss", False, None), ("Done", True, "resolved")],
)
def test_what_closes_issues_is_closed_whatever_it_sounds_like(name, is_closed, kind):
    found = status({"id": 1, "name": name, "is_closed": is_closed}, {})
    assert found is not None
    assert found.kind == kind


# -------------------------------------------------------------------------------------------------------------- events


def test_events_begin_with_what_it_was_created_with():
    journals = [
        moved(2, 1, 2),
        changed(3, ("assigned_to_id", "8", "7")),
        changed(4, ("status_id", "2", "3"), ("assigned_to_id", "7", "9")),
        changed(5, ("assigned_to_id", "9", None)),
    ]
    assert events(issue(3, *journals), names()) == [
        {"incident_id": "17", "changed_at": at(1), "state": "New", "team": "Databases"},
        {"incident_id": "17", "changed_at": at(2), "state": "In Progress"},
        {"incident_id": "17", "changed_at": at(3), "state": None, "assignee": "Ann Bee"},
        {"incident_id": "17", "changed_at": at(4), "state": "Resolved"},  # 9 is known to nobody
    ]


def test_a_group_is_a_team_and_a_person_is_none():
    assert row(1, assigned_to={"id": 8, "name": "Databases"})["team"] == "Databases"
    assert row(1, assigned_to={"id": 7, "name": "Ann Bee"})["team"] is None


# -------------------------------------------------------------------------------------------------------------- fields


def test_fields_are_named_by_the_settings():
    fields = [
        {"id": 3, "name": "Severity", "value": "1 - high"}, {"id": 9, "name": "3", "value": "a field's name is no id"},
        {"id": 4, "name": "Teams", "multiple": True, "value": ["web", "db"]},
        {"id": 5, "name": "Noticed", "value": "2026-02-03"},
    ]  # fmt: skip
    source = settings(
        fields={
            "severity": "custom.Severity", "entity": "custom.3", "team": "custom.Teams.1", "service": "category.name",
            "detected_at": "custom.Noticed",
        }
    )  # fmt: skip
    found = incident(issue(1, custom_fields=fields, category={"id": 1, "name": "Web"}), names(), source)
    assert {part: found[part] for part in source.fields} == {
        "severity": "1 - high", "entity": "1 - high", "team": "db", "service": "Web", "detected_at": "2026-02-03",
    }  # fmt: skip
    without = incident(issue(1), names(), source)
    assert (without["severity"], without["service"]) == ("Urgent", "Checkout")


@pytest.mark.parametrize(
    "more",
    [
        {"custom_fields": [{"id": 1, "name": "Origin", "value": "forewarn"}]},
        {"custom_fields": [{"id": 1, "name": "Tags", "multiple": True, "value": ["x", "forewarn:disk"]}]},
        {"tags": [{"id": 1, "name": "forewarn"}]},
        {"description": "It will be full.\n\n`forewarn-ticket: 0123456789-20260220`"},
    ],
    ids=["a field", "one of its values", "a tag of a plug-in", "the end of a ticket"],
)
def test_what_is_ours_is_a_prediction(more):
    assert row(1, **more)["is_predicted"] == "true"
    assert row(1)["is_predicted"] == "false"


# ------------------------------------------------------------------------------------------------------------- hostile


def odd(depth: int = 3) -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["1", "5", at(3)])
    keys = st.sampled_from(
        ["id", "name", "value", "status", "journals", "details", "property", "new_value", "created_on", "custom_fields"]
    )
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


@given(st.dictionaries(st.sampled_from([*issue(1), "assigned_to", "custom_fields", "tags"]), odd()))
def test_records_of_any_shape_raise_nothing(parts):
    found = {**issue(5, moved(2, 1, 5)), **parts}
    incident(found, names(), settings())
    events(found, names())
