"""Zabbix's JSON-RPC: who we are, and questions one at a time.

How a question says who asks it depends on the version: up to 6.2 in its body, from 6.4 on in a header.
"""

from __future__ import annotations

import json
import re
from types import TracebackType
from typing import Any, Protocol

from pipelines.settings import Settings
from pipelines.source_options import Access
from pipelines.sources.access import address
from pipelines.sources.errors import shown
from pipelines.sources.http import Client, FetchError

BY_HEADER = (6, 4)
USERNAME = (5, 4)  # before: user
MOST_SHOWN = 300


class Reached(Protocol):
    """The options of a source that is a Zabbix, of metrics or of problems."""

    @property
    def url(self) -> str: ...

    @property
    def access(self) -> Access: ...


class Api:
    """A session. To be used in a ``with``, in which threads may share it.

    version: of the server.
    name: its address as people may see it.

    Raises:
        FetchError: the server does not answer, or does not let us in.
        InputError: a certificate's file cannot be used.
    """

    def __init__(self, source: Reached, settings: Settings):
        self._access = source.access
        self._url = f"{source.url}/api_jsonrpc.php"
        self.name = address(source.url)
        self._client = Client(
            source.access.model_copy(update={"bearer": None, "username": None, "password": None}), settings
        )
        self._token: str | None = None
        self.version: tuple[int, ...] = ()

    def __enter__(self) -> Api:
        try:
            told = str(self.call("apiinfo.version", []))
            self.version = tuple(int(part) for part in re.findall(r"\d+", told)[:3])
            self._token = self._login(self._access)
        except BaseException:
            self._client.close()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._access.username is not None:
                self.call("user.logout", [])
        except FetchError:
            pass  # the session ends by itself
        finally:
            self._client.close()

    def call(self, method: str, params: object) -> Any:
        """The result of a question.

        Raises:
            FetchError: there is none.
        """
        return self._result(self.ask(method, params))

    def ask(self, method: str, params: object) -> bytes:
        """An answer as it comes, a result for certain: nothing is made of it yet.

        Raises:
            FetchError: it is none.
        """
        question: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        headers = {"Content-Type": "application/json-rpc"}
        if self._token and self.version >= BY_HEADER:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._token:
            question["auth"] = self._token
        answer = self._client.request("POST", self._url, content=json.dumps(question), headers=headers)
        if b'"result"' not in answer[:64]:
            self._result(answer)
        return answer

    def garbled(self) -> FetchError:
        return FetchError(
            f"{self.name}: answers what is no JSON; is this the address of Zabbix's frontend, and is it well?"
        )

    def odd(self, method: str) -> FetchError:
        return FetchError(
            f"{self.name}: its answer to {method} is not laid out as Zabbix's API does; look at the frontend's log"
        )

    def _login(self, access: Access) -> str | None:
        if access.bearer is not None:
            return access.bearer.get_secret_value()
        if access.username is None or access.password is None:
            raise FetchError(f"{self.name}: needs a login; give access.bearer, or access.username and access.password")
        user = "username" if self.version >= USERNAME else "user"
        return self.call("user.login", {user: access.username, "password": access.password.get_secret_value()})

    def _result(self, answer: bytes) -> Any:
        try:
            told = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self.garbled() from error
        if not isinstance(told, dict) or ("result" not in told and not isinstance(told.get("error"), dict)):
            raise self.garbled()
        if "error" in told:
            said = " ".join(str(told["error"].get(part, "")) for part in ("message", "data"))
            raise FetchError(f"{self.name}: {self._without_secrets(shown(' '.join(said.split())))[:MOST_SHOWN]}")
        return told["result"]

    def _without_secrets(self, text: str) -> str:
        for secret in (self._access.bearer, self._access.password):
            if secret is not None and secret.get_secret_value():
                text = text.replace(secret.get_secret_value(), "***")
        return text.replace(self._token, "***") if self._token else text
