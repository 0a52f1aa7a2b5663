import polars as pl
import pytest

from features.incident_states import kind_of, kinds, phases


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("New", "new"), ("Triggered", "new"), ("To Do", "new"), ("open", "new"), ("PROBLEM", "new"),
        ("In Progress", "active"), ("IN_PROGRESS", "active"), ("Acknowledged", "active"), ("Re-opened", "active"),
        ("monitoring", "active"), ("On Hold", "on hold"), ("Awaiting User Info", "on hold"),
        ("Waiting for customer", "on hold"), ("Pending", "on hold"), ("Resolved", "resolved"), ("  done ", "resolved"),
        ("Closed", "closed"), ("Closed Incomplete", "closed"), ("Closed/Resolved by Caller", "closed"),
        ("Canceled", "cancelled"), ("Cancelled by user", "cancelled"), ("Duplicate", "cancelled"),
        ("-100", None), ("", None), ("<script>", None), ("Newly minted", None),
    ],
)  # fmt: skip
def test_words_of_common_trackers_are_understood(word: str, kind: str | None) -> None:
    assert kind_of(word) == kind


def test_columns_keep_nulls() -> None:
    frame = pl.DataFrame({"state": ["Resolved", None, "-100", "new"]})
    kinded = frame.with_columns(kind=kinds("state")).with_columns(phase=phases("kind"))
    assert kinded["kind"].to_list() == ["resolved", None, None, "new"]
    assert kinded["phase"].to_list() == ["done", None, None, "open"]
