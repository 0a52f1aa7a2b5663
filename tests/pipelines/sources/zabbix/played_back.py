"""A server that answers as a real Zabbix did when it was recorded (``record``)."""

import json
from pathlib import Path

from loopback import Answer, Asked

RECORDING = Path(__file__).parent / "zabbix-6.0.14.jsonl"
SAID_TO_ALL = {"user.login": "token-of-a-session", "user.logout": True}
"""Questions that hold secrets, or are answered by one."""


def answers() -> dict[str, object]:
    """Question -> result."""
    exchanges = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    return {_question(each["method"], each["params"]): each["result"] for each in exchanges}


def play_back(asked: Asked) -> Answer:
    question = json.loads(asked.body)
    method, params = question["method"], question["params"]
    if method not in ("apiinfo.version", "user.login"):
        assert question.get("auth") == SAID_TO_ALL["user.login"], "6.0 wants to be told in the body who asks"
    result = answers()[_question(method, None if method in SAID_TO_ALL else params)]
    return Answer(json.dumps({"jsonrpc": "2.0", "result": result, "id": question["id"]}).encode())


def _question(method: str, params: object) -> str:
    return json.dumps([method, params], sort_keys=True)
