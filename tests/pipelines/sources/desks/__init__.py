"""Every kind of incident server, made to serve the same given incidents, for the conformance suite.

A new server adds an adapter: what answers as that server would, with its own ways to filter, order and page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import contracts
import pytest

from desks.alerts import AlertsAdapter
from desks.github import GitHubAdapter
from desks.gitlab import GitLabAdapter
from desks.given import HttpAdapter, IncidentAdapter
from desks.jira import JiraAdapter, JiraDataCenterAdapter
from desks.pagerduty import PagerDutyAdapter
from desks.redmine import RedmineAdapter
from desks.servicenow import ServiceNowAdapter
from desks.statuspage import StatusPageAdapter
from desks.zabbix import ZabbixAdapter

ADAPTERS: tuple[type[IncidentAdapter], ...] = (
    GitHubAdapter,
    GitLabAdapter,
    JiraAdapter,
    JiraDataCenterAdapter,
    RedmineAdapter,
    AlertsAdapter,
    StatusPageAdapter,
    ZabbixAdapter,
    ServiceNowAdapter,
    PagerDutyAdapter,
)


def adapters(where: Callable[[type[IncidentAdapter]], bool] = lambda kind: True) -> list[Any]:
    """As parameters; those that are not installed are skipped, saying so."""
    return [
        pytest.param(
            kind,
            id=kind.__name__.removesuffix("Adapter"),
            marks=[pytest.mark.skip(reason=lacks)] if (lacks := kind.missing()) else [],
        )
        for kind in ADAPTERS
        if where(kind)
    ]


def contract_faults(adapter: HttpAdapter) -> list[str]:
    """What is wrong with what was asked, as the vendor describes its API."""
    assert adapter.contract is not None
    if lacks := contracts.missing(adapter.contract):
        pytest.skip(lacks)
    return sorted({fault for asked in adapter.asked for fault in contracts.faults(adapter.contract, asked)})
