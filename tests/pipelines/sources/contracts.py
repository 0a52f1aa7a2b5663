"""Vendors' own descriptions of their APIs: every request of ours is held against them.

They are not ours to ship: they are read from $FOREWARN_CONTRACTS, and where they are absent the tests that need them
are skipped, saying so.
"""

from __future__ import annotations

import gzip
import json
import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import available_timezones

from loopback import Asked
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.validation.request.exceptions import SecurityValidationError
from werkzeug.datastructures import Headers, ImmutableMultiDict

ROOT = Path(__file__).parents[3]
CONTRACTS = Path(os.environ.get("FOREWARN_CONTRACTS", ROOT.parent / "shared" / "contracts"))


def missing(name: str) -> str | None:
    """Why a vendor's description cannot be asked."""
    return None if _path(name).is_file() else f"no {_path(name).name} in $FOREWARN_CONTRACTS ({CONTRACTS})"


def faults(name: str, asked: Asked) -> list[str]:
    """What is wrong with a request, as the vendor describes them.

    Args:
        name: of the description.
    """
    api, server = _api(name)
    request = _Request(asked, server)
    found = [
        f"{asked.method} {asked.path}: {error} {error.__cause__ or ''}".strip()
        for error in api.unmarshal_request(request).errors  # type: ignore[arg-type]
        if not isinstance(error, SecurityValidationError)  # our doubles know no secrets of the vendor's kinds
    ]
    # What a description does not know it does not refuse either, but a server would pass over it.
    known = set() if found else {each["name"] for each in _parameters(name, api, request)}
    return found or [f"{asked.method} {asked.path}: no parameter {extra!r}" for extra in request.query.keys() - known]


class _Request:
    """A request as openapi-core wants it, as if it had gone to the vendor."""

    def __init__(self, asked: Asked, server: str):
        address = urlsplit(asked.path)
        self.query = dict(parse_qsl(address.query, keep_blank_values=True))
        self.host_url, self.path = _split(server + address.path)
        self.method = asked.method.lower()
        self.content_type = asked.headers.get("Content-Type", "").partition(";")[0]
        self.body = asked.body or None
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(address.query, keep_blank_values=True)),
            header=Headers(dict(asked.headers)),
            cookie=ImmutableMultiDict(),
        )


def _split(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.path


@cache
def _api(name: str) -> tuple[OpenAPI, str]:
    """A description, unchecked itself (vendors' are not all valid), and the server whose paths it describes."""
    described = json.loads(gzip.decompress(_path(name).read_bytes()))
    server = described["servers"][0]["url"].rstrip("/")
    if "{" in server:
        server = "https://vendor.example.com"
        described["servers"] = [{"url": server}]
    unchecked: Any = None
    config = Config(spec_validator_cls=unchecked, extra_format_validators={"tzinfo": _is_zone})
    return OpenAPI.from_dict(described, config=config), server


def _is_zone(text: object) -> bool:
    """PagerDuty's own format."""
    return text in available_timezones()


@cache
def _described(name: str) -> dict:
    return json.loads(gzip.decompress(_path(name).read_bytes()))


def _parameters(name: str, api: OpenAPI, request: _Request) -> list[dict]:
    """The parameters that an operation and its path have."""
    described = _described(name)
    found = APICallPathFinder(api.spec).find(request.method, request.host_url + request.path)
    path = described["paths"][found.path.parts[-1]]
    listed = [*path.get("parameters", []), *path[request.method].get("parameters", [])]
    return [_resolved(described, each) for each in listed]


def _resolved(described: dict, each: dict) -> dict:
    if "$ref" not in each:
        return each
    for step in each["$ref"].removeprefix("#/").split("/"):
        described = described[step]
    return described


def _path(name: str) -> Path:
    return CONTRACTS / f"{name}.json.gz"
