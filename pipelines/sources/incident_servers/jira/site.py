"""What a site calls things: everybody may add fields, types and status to a Jira, and translate their names.

Belongs here: names and ids. Not here: what an issue has in its fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from features.incident_states import PHASES, kind_of
from pipelines.source_options import Jira
from pipelines.sources.errors import NotFetchedError, shown
from pipelines.sources.incident_servers.jira.asking import Edition
from pipelines.sources.incident_servers.reading import told

Record = Mapping[str, Any]

SYSTEM_FIELDS = (
    "summary", "description", "created", "updated", "resolutiondate", "resolution", "status", "priority", "issuetype",
    "project", "labels", "components", "assignee",
)  # fmt: skip
SLA = "com.atlassian.servicedesk:sd-sla-field"
SEVERITY = "Severity"
OVER = {"new": False, "indeterminate": False, "done": True}
"""Category of a status -> whether an issue in it is done."""
WORDS = {"new": "open", "indeterminate": "in progress", "done": "done"}
MEANT = {"waiting for support": "open"}
"""Status whose words say something else elsewhere: it is our turn, and nobody took it yet."""


@dataclass(frozen=True)
class Site:
    """names: id of a field -> its name. categories: id and name of a status -> category.

    types, type_names: of the incidents; empty: any.
    response, resolution: ids of the fields of the SLAs. severity: of the fields of that name.
    fields: ids of all that are wanted. cancelled: names of resolutions, casefolded.
    """

    url: str
    names: Mapping[str, str]
    categories: Mapping[str, str]
    types: tuple[str, ...]
    type_names: tuple[str, ...]
    response: tuple[str, ...]
    resolution: tuple[str, ...]
    severity: tuple[str, ...]
    fields: tuple[str, ...]
    cancelled: frozenset[str]

    @staticmethod
    def asked(edition: Edition, source: Jira) -> Site:
        """Raises NotFetchedError: it does not answer, or has none of the types."""
        fields = edition.listed("field")
        names = {key: name for each in fields if (key := told(each, "id")) and (name := told(each, "name"))}
        slas = {told(each, "id") for each in fields if told(each, "schema.custom") == SLA}
        response = tuple(key for key in _named(names, source.response_sla) if key in slas)
        resolution = tuple(key for key in _named(names, source.resolution_sla) if key in slas)
        severity = _named(names, SEVERITY)
        own = [key for path in source.fields.values() for key in _keys(names, path)]
        types = _types(edition, source)
        return Site(
            source.url,
            names,
            _categories(edition.listed("status")),
            tuple(types),
            tuple(dict.fromkeys(types.values())),
            response,
            resolution,
            severity,
            tuple(dict.fromkeys((*SYSTEM_FIELDS, *response, *resolution, *severity, *own))),
            frozenset(name.casefold() for name in source.cancelled),
        )

    def refuse_unknown_fields(self, fields: Mapping[Any, str]) -> None:
        """Raises NotFetchedError: the site has no such field."""
        for part, path in fields.items():
            if path.startswith("fields.") and not _keys(self.names, path):
                field = shown(path.split(".")[1])
                raise NotFetchedError(f"{self.url}: has no field {field!r}; correct fields.{part}")

    def named(self, issue: Record) -> Record:
        """An issue whose fields are found by their names, too."""
        fields = issue.get("fields")
        if not isinstance(fields, Mapping):
            return issue
        by_name = {
            self.names[key]: value for key, value in fields.items() if key in self.names and value not in (None, [])
        }
        return {**issue, "fields": {**by_name, **fields}}

    def is_cancelled(self, resolution: str | None) -> bool:
        """Whether it says that there was no incident, by its name."""
        return resolution is not None and resolution.casefold() in self.cancelled

    def category(self, status: Record) -> str | None:
        """Of a status with an id, a name, or both."""
        keys = filter(None, (told(status, "id"), told(status, "name")))
        return next((self.categories[key] for key in keys if key in self.categories), None)

    def word(self, status: Record) -> str | None:
        """A status as a word whose meaning is known, and is not another one than the site's: a *Completed* that the
        site counts among what is under way is none that is done.
        """
        name, category = told(status, "name") or "", self.category(status) or ""
        meant = MEANT.get(name.lower(), name)
        kind = kind_of(meant)
        if kind is not None and OVER.get(category) in (None, PHASES[kind] != "open"):
            return meant
        return WORDS.get(category, name) or None


def _types(edition: Edition, source: Jira) -> dict[str, str]:
    """The name of each by its id: JQL refuses names that a site does not have, and several types may have one name."""
    if source.jql or not source.issue_types:
        return {}
    wanted = {name.casefold() for name in source.issue_types}
    listed = edition.listed("issuetype")
    names = {key: name for each in listed if (key := told(each, "id")) and (name := told(each, "name"))}
    types = {key: name for key, name in names.items() if name.casefold() in wanted and key.isdigit()}
    if not types:
        there = shown(", ".join(dict.fromkeys(names.values()))) or "none"
        lacks = " or ".join(source.issue_types)
        raise NotFetchedError(f"{source.url}: has no issue type {lacks} (there are: {there}); correct issue_types")
    return types


def _categories(listed: Iterable[Record]) -> dict[str, str]:
    """A name that is of several categories tells nothing."""
    categories: dict[str, str] = {}
    several: set[str] = set()
    for each in listed:
        key, name, category = told(each, "id"), told(each, "name"), told(each, "statusCategory.key")
        if category in OVER:
            if key:
                categories[key] = category
            if name and categories.setdefault(name, category) != category:
                several.add(name)
    return {key: category for key, category in categories.items() if key not in several}


def _named(names: Mapping[str, str], wanted: str) -> tuple[str, ...]:
    return tuple(key for key, name in names.items() if name.casefold() == wanted.casefold())


def _keys(names: Mapping[str, str], path: str) -> tuple[str, ...]:
    """The fields that a path such as ``fields.Affected services.0.name`` begins at."""
    steps = path.split(".")
    if len(steps) < 2 or steps[0] != "fields":
        return ()
    return (steps[1],) if steps[1] in names else tuple(key for key, name in names.items() if name == steps[1])
