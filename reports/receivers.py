"""What is known of those who receive a report: their mailboxes, the formats that they take, the nights that they name.

Light, for the settings are made of it. Not here: what they are sent (``incident_mail``, ``incident_chat``).
"""

from __future__ import annotations

import re
from email.headerregistry import Address
from typing import Literal

DueOn = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "first", "every"]
Format = Literal["slack", "mattermost", "teams", "markdown", "json"]

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
MAILBOX = re.compile(
    rf"(?:(?P<name>[^<>\"]*?)\s*<(?P<named>{ATOM}(?:\.{ATOM})*@[A-Za-z0-9.-]+)>"
    rf"|(?P<bare>{ATOM}(?:\.{ATOM})*@[A-Za-z0-9.-]+))"
)
HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


def mailbox(text: str) -> Address:
    """A mailbox: 'forewarn@example.com', or 'Forewarn <forewarn@example.com>'.

    Raises:
        ValueError: it is none, with how to write one. Domains with other letters are written as DNS has them (xn--...).
    """
    found = MAILBOX.fullmatch(text) if text.isprintable() else None
    spec = (found["named"] or found["bare"]) if found else ""
    if found is None or len(spec) > 254 or not HOSTNAME.fullmatch(spec.rpartition("@")[2]):
        raise ValueError("is no mail address; write it as ops@example.com, or Operations <ops@example.com>")
    return Address((found["name"] or "").strip(), addr_spec=spec)
