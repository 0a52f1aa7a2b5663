"""An Alertmanager asked for its silences. Not here: what they mean (``pipelines.maintenance.silences``)."""

from __future__ import annotations

import json

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources.errors import NotFetchedError
from pipelines.sources.http import Client

PATH = "/api/v2/silences"
LARGEST = 32 << 20  # bytes


def silences(address: str, access: Access, settings: Settings) -> object:
    """The answer to the question for all silences, as JSON says it.

    Args:
        address: of the Alertmanager, with its path prefix if it has one.

    Raises:
        InputError: a certificate's file cannot be used.
        NotFetchedError: it cannot be reached, answers no success, too much, or no JSON.
    """
    with Client(access, settings, server=address) as client:
        text = client.request("GET", address + PATH, largest=LARGEST, headers={"Accept": "application/json"})
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotFetchedError(f"{address}: answered no JSON; is this an Alertmanager with its API v2?") from error
