import json
from datetime import datetime
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.known_bad import Window
from pipelines.maintenance.options import Silences
from pipelines.maintenance.silences import _globs, windows

AS_OF = datetime(2026, 3, 2)
OPTIONS = Silences(alertmanager="http://127.0.0.1:9093/")
# As Alertmanager 0.25 answers GET /api/v2/silences.
SILENCE = {
    "id": "8a1f8bd5-2f0c-4a4e-8f4b-d6f9cbb5f6a1",
    "status": {"state": "active"},
    "updatedAt": "2026-03-01T09:58:12.123456789Z",
    "comment": "disk is <b>swapped</b>",
    "createdBy": "ops",
    "startsAt": "2026-03-01T10:00:00.000Z",
    "endsAt": "2026-03-01T14:00:00.000+02:00",
    "matchers": [{"name": "instance", "value": "db-1:9100", "isRegex": False, "isEqual": True}],
}


def silence(*matchers: tuple[str, str, bool], **parts: object) -> dict:
    named = [{"name": name, "value": value, "isRegex": regex, "isEqual": True} for name, value, regex in matchers]
    return SILENCE | {"matchers": named or SILENCE["matchers"]} | parts


def test_a_silence_of_a_host_is_a_window():
    [found] = windows([SILENCE], OPTIONS, AS_OF).windows
    assert found == Window(
        "alertmanager http://127.0.0.1:9093", datetime(2026, 3, 1, 10), datetime(2026, 3, 1, 12), ("db-1", "db-1:9100"),
        why="disk is <b>swapped</b>", told_as=SILENCE["id"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("db-1", ["db-1"]),
        ("db-1|db-2", ["db-1", "db-2"]),
        ("^db-(1|2):9100$", ["db-1:9100", "db-2:9100"]),
        ("db-.*", ["db-*"]),
        ("db-.+", ["db-?*"]),
        (r"db-1(:\d+)?", ["db-1"]),
        (r"db-1:.*", ["db-1"]),
        (r"db\.a\[", ["db.a[[]"]),
        ("(?:a|b)(c|d)", ["ac", "ad", "bc", "bd"]),
        (".*", ["*"]),
        ("(db|web)-[0-9]+", []),
        ("(a+)+$", []),
        ("db-(1|2)|web", []),
        ("a|", ["a", ""]),
        ("|".join(map(str, range(999))), []),
    ],
)
def test_expressions_become_lists_of_globs_or_nothing(expression: str, names: list[str]):
    assert list(_globs(expression)) == names


@given(st.text(max_size=80))
def test_no_expression_can_do_harm(expression: str):
    assert isinstance(list(_globs(expression)), list)


def test_ports_are_dropped_from_lists_too():
    [found] = windows([silence(("instance", r"db-(1|2)(:\d+)?", True))], OPTIONS, AS_OF).windows
    assert found.entities == ("db-1", "db-2")


@pytest.mark.parametrize(
    ("matcher", "entity"),
    [
        (("instance", "[::1]:9100", False), "::1"),
        (("instance", r"\[::1\]:9100", True), "::1"),
        (("instance", "https://x:8443/health", False), "https://x/health"),
        (("instance", "mail.example:993", False), "mail.example:993"),
    ],
)
def test_a_silence_holds_what_its_address_is_called_here(matcher: tuple[str, str, bool], entity: str):
    [found] = windows([silence(matcher)], OPTIONS, AS_OF).windows
    assert any(fnmatchcase(entity, glob) for glob in found.entities)


def test_what_is_no_window_is_counted():
    later = silence(updatedAt="2026-03-02T00:00:00Z", id="later")
    answer = [
        silence(("alertname", "DiskFull", False), ("instance", "db-1", False)),
        silence(("severity", "info", False)),
        silence(("instance", "db-[0-9]", True)),
        silence(matchers=[{"name": "instance", "value": "db-1", "isRegex": False, "isEqual": False}]),
        silence(endsAt=SILENCE["startsAt"]),
        silence(endsAt="soon"),
        silence(matchers=[]),
        {},
        later,
        silence(("service", "shop", False), ("node", "web-*", False)),
    ]
    told = windows(answer, OPTIONS, AS_OF)
    assert [(one.entities, one.services) for one in told.windows] == [(("web-[*]",), ("shop",))]
    assert told.later == {"later"}
    assert told.left_out == {
        "about single alerts": 3, "that cannot be read": 2, "that name what they are not about": 1,
        "that never began": 1, "with an expression that is no list of names": 1,
    }  # fmt: skip


def test_labels_that_the_settings_allow_besides_do_no_harm():
    options = Silences(alertmanager="http://x", besides=["alertname"], entity_labels=["host"])
    answer = [silence(("alertname", "DiskFull", False), ("host", "db-1", False)), silence(("instance", "a", False))]
    told = windows(answer, options, AS_OF)
    assert [one.entities for one in told.windows] == [("db-1",)] and told.left_out == {"about single alerts": 1}


@pytest.mark.parametrize("answer", [{}, None, "x", [1], {"status": "error"}])
def test_another_answer_is_refused(answer: object):
    with pytest.raises(ValueError, match="answered no list of silences; is this an Alertmanager"):
        windows(answer, OPTIONS, AS_OF)


KEYS = st.sampled_from([*SILENCE, "name", "value"])


@given(
    st.recursive(
        st.none() | st.text(max_size=9) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=9),
        max_leaves=12,
    )
)
def test_any_answer_is_refused_or_read(answer: object):
    json.dumps(answer)
    try:
        windows(answer, OPTIONS, AS_OF)
    except ValueError as error:
        assert "Alertmanager" in str(error)
