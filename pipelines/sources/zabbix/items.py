"""Which items are fetched, and what each is called here.

Two items of a host that mean the same (free and used percent of one disk) would be one series with two values at each
moment. So the one whose meaning stands first in the list keeps it, and the other goes by its own key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.source_options import Zabbix
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.zabbix.api import Api
from pipelines.sources.zabbix.keys import Dictionary, Key, Meaning, glob, literally, read_key

HOSTS_AT_ONCE = 100
NUMERIC = ("0", "3")  # float and unsigned
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
USUAL_DELAY_S = 60
EQUAL = "1"


@dataclass(frozen=True)
class Item:
    """An item that is fetched.

    kind: Zabbix's number for the type of its values.
    delay_s: how far its values lie apart, or a guess.
    history_s, trends_s: for how long they are kept; None where a macro says it.
    """

    item_id: int
    host: str
    meaning: Meaning
    kind: str
    delay_s: int
    history_s: int | None
    trends_s: int | None


def choose(api: Api, source: Zabbix) -> list[Item]:
    """The items that the settings choose, by their number.

    Raises:
        NotFetchedError: they are too many, or the server does not say.
    """
    try:
        return _chosen(api, source)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise api.odd("item.get, host.get or hostgroup.get") from error


def _chosen(api: Api, source: Zabbix) -> list[Item]:
    dictionary = Dictionary.of(source.metrics)
    wanted = _any_of(source.keys) if source.keys else None
    found: list[tuple[dict[str, Any], Key, int | None]] = []
    for given in _answers(api, source):
        key = read_key(given["key_"])
        entry = dictionary.find(key)
        if wanted(given["key_"]) if wanted else entry is not None:
            found.append((given, key, entry))
    if len(found) > source.most_items:
        raise NotFetchedError(
            f"{api.name}: the settings choose {len(found):,} items, more than most_items ({source.most_items:,});"
            " narrow groups, hosts, keys or tags, or raise it"
        )
    found.sort(key=lambda each: (each[2] is None, each[2], int(each[0]["itemid"])))
    taken: set[tuple[object, ...]] = set()
    items = []
    for given, key, entry in found:
        meaning = literally(key, given["units"])
        if entry is not None:
            known = dictionary.meaning(entry, key, given["units"])
            series = (given["host"], known.metric, known.labels)
            meaning = meaning if series in taken else known
            taken.add(series)
        items.append(
            Item(
                int(given["itemid"]),
                given["host"],
                meaning,
                given["value_type"],
                seconds(given["delay"].partition(";")[0]) or USUAL_DELAY_S,
                seconds(given["history"]),
                seconds(given["trends"]),
            )
        )
    return sorted(items, key=lambda item: item.item_id)


def seconds(text: str) -> int | None:
    """'90d' -> 7776000; None where it is no number with a unit, such as a macro."""
    found = re.fullmatch(r"(\d+)([smhdw]?)", text)
    return int(found[1]) * SECONDS[found[2]] if found else None


def _answers(api: Api, source: Zabbix) -> Iterator[dict[str, Any]]:
    """Numeric items of monitored hosts, each with its host's name."""
    hosts: dict[str, Any] = {"output": ["hostid", "host"], "monitored_hosts": True}
    if source.groups:
        matches = _any_of(source.groups)
        groups = api.call("hostgroup.get", {"output": ["groupid", "name"]})
        hosts["groupids"] = [group["groupid"] for group in groups if matches(group["name"])]
    matches = _any_of(source.hosts) if source.hosts else lambda _: True
    names = {host["hostid"]: host["host"] for host in api.call("host.get", hosts) if matches(host["host"])}
    asked: dict[str, Any] = {
        "output": ["itemid", "hostid", "key_", "units", "value_type", "delay", "history", "trends"],
        "filter": {"value_type": NUMERIC, "status": "0"},
        "webitems": True,
        "sortfield": "itemid",
    }
    if source.tags:
        asked["tags"] = [{"tag": tag, "value": value, "operator": EQUAL} for tag, value in source.tags.items()]
    ids = sorted(names, key=int)
    for first in range(0, len(ids), HOSTS_AT_ONCE):
        for item in api.call("item.get", asked | {"hostids": ids[first : first + HOSTS_AT_ONCE]}):
            yield item | {"host": names[item["hostid"]]}


def _any_of(globs: Sequence[str]) -> Callable[[str], bool]:
    patterns = [glob(each) for each in globs]
    return lambda text: any(pattern.fullmatch(text) for pattern in patterns)
