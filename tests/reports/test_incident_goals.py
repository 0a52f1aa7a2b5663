from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from incident_examples import AS_OF, frame, row
from pydantic import ValidationError

from reports.incident_goals import MISSED, NOT_SETTLED, OFF_TRACK, ON_TRACK, REACHED, TOO_EARLY, standing
from reports.incident_groups import with_variants
from reports.incident_options import Goal, IncidentOptions
from reports.incident_trends import trends


def goal(**given: Any) -> Goal:
    return Goal.model_validate({"change": -0.3, "from": "2026-01-01", "by": "2026-12-31"} | given)


def incidents(factor: float, n: int = 400, **given: Any):
    """A year of them; from 2026 on they take so many times as long."""
    rng = np.random.default_rng(3)
    rows = []
    for k, day in enumerate(np.sort(rng.uniform(0, 364, n))):
        created = AS_OF - timedelta(days=365 - float(day))
        took = float(rng.lognormal(8, 1.2)) * (factor if created >= datetime(2026, 1, 1) else 1.0)
        rows.append(row(f"{k:04}", created, min(took, (AS_OF - created).total_seconds() - 1), **given))
    return frame(rows)


def verdict(factor: float, n: int = 400, **given: Any) -> str:
    options = IncidentOptions(goals=(goal(**given),))
    (found,) = trends(incidents(factor, n), AS_OF, options).goals
    return found[1].verdict


@pytest.mark.parametrize(
    ("factor", "given", "expected"),
    [
        (0.4, {}, ON_TRACK),
        (2.2, {}, OFF_TRACK),
        (0.86, {}, TOO_EARLY),
        (0.3, {"by": "2026-04-30"}, REACHED),
        (1.8, {"by": "2026-04-30"}, MISSED),
        (0.7, {"by": "2026-04-30"}, NOT_SETTLED),
        (0.4, {"from": "2026-06-01"}, TOO_EARLY),
        (0.4, {"from": "2027-01-01", "by": "2027-06-01"}, TOO_EARLY),
        (0.4, {"slice": {"service": "nobody's"}}, TOO_EARLY),
        (0.4, {"slice": {"service": "db"}, "measure": "mtta"}, ON_TRACK),
    ],
)
def test_how_a_goal_stands(factor: float, given: dict[str, Any], expected: str) -> None:
    assert verdict(factor, **given) == expected


def test_a_dozen_incidents_settle_nothing() -> None:
    assert verdict(0.5, n=24) == TOO_EARLY


def test_the_way_is_even_on_a_logarithmic_scale() -> None:
    options = IncidentOptions()
    counted = with_variants(incidents(0.5).sort("created_at"), AS_OF, None)
    found = standing(goal(by="2026-05-31"), counted, datetime(2026, 3, 1), options)
    assert 0.7 < found.required < 1  # its incidents lie a fifth of the way on
    assert found.required == pytest.approx(0.7 ** (29.5 / 151), rel=0.03)
    over = standing(goal(by="2026-05-31"), counted, AS_OF, options)
    assert (over.is_over, over.required) == (True, pytest.approx(0.7))


def test_the_contract_of_a_goal() -> None:
    options = IncidentOptions(goals=(goal(slice={"service": "db"}),))
    (found,) = trends(incidents(0.4), AS_OF, options).mttr["goals"]
    assert found["slice"] == {"service": "db"}
    assert (found["from"], found["by"], found["change"]) == ("2026-01-01", "2026-12-31", -0.3)
    assert found["lo"] < found["ratio"] < found["hi"] <= found["required"] < 1
    assert found["q_value"] <= 0.05


@pytest.mark.parametrize("given", [{"change": 0.1}, {"by": "2025-01-01"}, {"slice": {"service": "a", "team": "b"}}])
def test_a_goal_must_make_sense(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        goal(**given)


def test_a_goal_may_be_named_by_date() -> None:
    assert goal().start == date(2026, 1, 1)
