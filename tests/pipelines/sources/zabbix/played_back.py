"""A server that answers as a real Zabbix did when it was recorded (``record``)."""

import json
from functools import cache
from pathlib import Path

from loopback import Answer, Asked

RECORDING = Path(__file__).parent / "zabbix-6.0.14.jsonl"
PROBLEMS = Path(__file__).parent / "problems-6.0.14.jsonl"
"""Its first line tells what was done when (``problems.Story``)."""
SAID_TO_ALL = {"user.login": "token-of-a-session", "user.logout": True}
"""Questions that hold secrets, or are answered by one."""


@cache
def answers(recording: Path) -> dict[str, object]:
    """Question -> result."""
    exchanges = [told for told in map(json.loads, recording.read_text().splitlines()) if "method" in told]
    return {_question(each["method"], each["params"]): each["result"] for each in exchanges}


def play_back(asked: Asked, recording: Path = RECORDING) -> Answer:
    question = json.loads(asked.body)
    method, params = question["method"], question["params"]
    if method not in ("apiinfo.version", "user.login"):
        assert question.get("auth") == SAID_TO_ALL["user.login"], "6.0 wants to be told in the body who asks"
    result = answers(recording)[_question(method, None if method in SAID_TO_ALL else params)]
    return Answer(json.dumps({"jsonrpc": "2.0", "result": result, "id": question["id"]}).encode())


def _question(method: str, params: object) -> str:
    return json.dumps([method, params], sort_keys=True)
