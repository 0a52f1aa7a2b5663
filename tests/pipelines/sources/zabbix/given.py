"""The hosts, items and values that a real Zabbix was given, and how they are asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from real_zabbix import USER, USER_PASSWORD, Item

from pipelines.source_options import Zabbix

AS_OF = datetime(2026, 3, 1)
NOW = datetime(2026, 3, 1, 2, 30)
GROUP = "Forewarn's own"
DAYS = 3
STEP = timedelta(minutes=30)
QUEUE = 'own.queue["say \\"so\\", €","/"]'
KEPT_SHORTLY = Item("web 1", "vm.memory.size[pavailable]", "%", history="1d")
"""Zabbix drops values that are older than an item's history; of this one only averages are left."""
ITEMS = [
    Item("web 1", "vfs.fs.size[/,pused]", "%"),
    Item("web 1", "vfs.fs.size[/,pfree]", "%"),
    KEPT_SHORTLY,
    Item("web 1", QUEUE, value_type=3),
    Item("db.example.com", "system.cpu.load[percpu,avg5]"),
    Item("db.example.com", "own.unwatched", "B"),
]
LEVELS = [50.0, 50.0, 20.0, 1000, 0.25, 1e9]


def values() -> list[tuple[Item, datetime, float]]:
    """Every half hour of the days before the cut: a level and the number of the hour, so that an hour has one value."""
    return [
        (item, at, level + int((at - AS_OF + DAYS * timedelta(days=1)) / timedelta(hours=1)))
        for item, level in zip(ITEMS, LEVELS, strict=True)
        for at in (AS_OF - STEP * n for n in range(int(DAYS * timedelta(days=1) / STEP), 0, -1))
    ]


def to_send() -> list[tuple[str, str, int, float | str]]:
    return [(item.host, item.key, int(at.replace(tzinfo=UTC).timestamp()), value) for item, at, value in values()]


def source(url: str, **options: Any) -> Zabbix:
    """As a test or a recording asks."""
    own = {"key": "own.queue[*,*]", "metric": "queue_messages", "labels": {"queue": 1, "vhost": 2}, "unit": "count"}
    fields = {"name": "zabbix", "type": "zabbix", "url": url, "groups": ["Forewarn*"], "tags": {"watched": "yes"}}
    access = {"username": USER, "password": USER_PASSWORD}
    more = {"keys": ["*[*"], "metrics": [own], "history_days": DAYS + 1, "access": access}
    return Zabbix.model_validate(fields | more | options)
