"""An Alertmanager asked for its silences. Not here: what they mean (``pipelines.maintenance.silences``)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import httpx

from pipelines.sources.errors import InputError, shown

PATH = "/api/v2/silences"
LARGEST = 32 << 20  # bytes


def silences(address: str, headers: Mapping[str, str], timeout_s: float) -> object:
    """The answer to the question for all silences, as JSON says it.

    Args:
        address: of the Alertmanager, with its path prefix if it has one.
        timeout_s: for the whole answer.

    Raises:
        InputError: it cannot be reached, answers with another status than 200, too much, or no JSON.
    """
    try:
        text = _fetched(address + PATH, headers, timeout_s)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = shown(str(error)[:120]) or type(error).__name__
        raise InputError(
            f"{address}: cannot be reached ({said}); see that it runs and can be reached from here"
        ) from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{address}: answered no JSON; is this an Alertmanager with its API v2?") from error


def _fetched(url: str, headers: Mapping[str, str], timeout_s: float) -> bytes:
    deadline = time.monotonic() + timeout_s
    found = bytearray()
    asked = {"Accept": "application/json", **headers}
    with httpx.stream("GET", url, headers=asked, timeout=timeout_s, follow_redirects=False) as response:
        if response.status_code != 200:
            mend = "correct headers" if response.status_code in (401, 403) else "correct maintenance.alertmanager"
            raise InputError(f"{url}: answered {response.status_code} {shown(response.reason_phrase[:60])}; {mend}")
        for chunk in response.iter_bytes():
            found += chunk
            if len(found) > LARGEST:
                raise InputError(f"{url}: answered more than {LARGEST >> 20} MiB; let old silences expire")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout(f"no whole answer within {timeout_s:g} s")
    return bytes(found)
