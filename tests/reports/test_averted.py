from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from incident_examples import frame, row
from scipy import stats

from reports.averted import PROMISES, averted
from reports.incident_words import averted_sentence
from reports.statistics import mean_interval

TOOK = np.random.default_rng(1).lognormal(8, 1, 30)
INCIDENTS = frame(
    [row(str(k), datetime(2026, 1, 1) + timedelta(hours=k), float(t), entity="db-1") for k, t in enumerate(TOOK)]
)


def promises(**counts: int) -> pl.DataFrame:
    rows = [(f"{outcome}{k}", "db-1", "db", outcome) for outcome, n in counts.items() for k in range(n)]
    return pl.DataFrame(rows, schema=PROMISES, orient="row")


def test_the_interval_multiplies_the_ends_of_both() -> None:
    found, cost = (
        averted(promises(averted=4, came_true=6, false_alarm=3, unknown=5), INCIDENTS, 10),
        mean_interval(TOOK),
    )
    wilson = stats.binomtest(6, 9).proportion_ci(0.95, method="wilson")
    assert found is not None and cost is not None
    assert (found.n, found.came_true.n, found.like) == (4, 9, "the same entities")
    assert found.seconds.value == pytest.approx(4 * 6 / 9 * TOOK.mean())
    assert found.seconds.lo == pytest.approx(4 * wilson.low * cost.lo)
    assert found.seconds.hi == pytest.approx(4 * wilson.high * cost.hi)
    assert "between" in averted_sentence(found)


def test_it_holds_in_a_world_where_the_averted_would_have_come() -> None:
    """60 % of risks come true and cost a log-normal time; of 10 averted ones nobody sees it, but we do."""
    rng, held = np.random.default_rng(2), []
    for _ in range(60):
        came = int(rng.binomial(20, 0.6))
        took = rng.lognormal(8, 1.2, 40)
        rows = [
            row(str(k), datetime(2026, 1, 1) + timedelta(hours=k), float(t), entity="db-1") for k, t in enumerate(took)
        ]
        found = averted(promises(averted=10, came_true=came, false_alarm=20 - came), frame(rows), 10)
        assert found is not None and found.seconds.lo is not None and found.seconds.hi is not None
        held.append(found.seconds.lo <= 10 * 0.6 * np.exp(8 + 1.2**2 / 2) <= found.seconds.hi)
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize(("known", "minimum"), [({"averted": 2}, 10), ({"averted": 2, "came_true": 3}, 1000)])
def test_without_others_or_costs_nothing_is_claimed(known: dict[str, int], minimum: int) -> None:
    found = averted(promises(**known), INCIDENTS, minimum)
    assert found is not None
    assert found.seconds[:3] == (None, None, None)
    assert "cannot be said" in averted_sentence(found)


def test_nothing_averted_is_not_mentioned() -> None:
    assert averted(promises(came_true=3), INCIDENTS, 10) is None


def test_the_same_service_where_the_entity_has_too_few() -> None:
    elsewhere = INCIDENTS.with_columns(entity=pl.lit("db-2"))
    found = averted(promises(averted=1, came_true=3, false_alarm=1), elsewhere, 10)
    assert found is not None and found.like == "the same services"
