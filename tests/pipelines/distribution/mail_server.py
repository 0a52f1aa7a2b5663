"""A real mail server on the loopback, with TLS and logins as a test wants them; and some that are slow."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "forewarn", "s3cret-of-the-mail"


@dataclass
class Mailed:
    """A mail as it came in."""

    sender: str
    recipients: list[str]
    content: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)  # pyright: ignore[reportReturnType]


@dataclass
class MailServer:
    """What came in, and who is refused: address -> answer; data: the answer to a mail."""

    port: int = 0
    mails: list[Mailed] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    data: str = "250 taken"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data.startswith("250"):
            self.mails.append(Mailed(envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return self.data


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=isinstance(given, LoginPassword) and given == right, handled=False)


@contextmanager
def mail_server(
    certificate: Path | None = None, *, sealed: bool = False, login: bool = False, **options: Any
) -> Iterator[MailServer]:
    """Serve: with STARTTLS where there is a certificate, by TLS from the first byte on where it is `sealed`."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = MailServer(free_port())
    options |= {"ssl_context": context} if sealed else {"tls_context": context}
    if login:
        tls = certificate is not None and not sealed
        options |= {"authenticator": _authenticate, "auth_required": tls, "auth_require_tls": tls}
    controller = Controller(server, "127.0.0.1", server.port, ready_timeout=10, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@contextmanager
def slow_server(greeting: bytes = b"", drip_s: float = 0.02) -> Iterator[int]:
    """A port that says nothing; or says its greeting again and again, byte by byte."""
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                while not over.wait(drip_s):
                    for byte in greeting:
                        connection.send(bytes([byte]))
                        if over.wait(drip_s):
                            return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def make_certificate(folder: Path) -> Path:
    """One for 127.0.0.1 that signs itself, with its key in one file."""
    key, cert, both = folder / "key", folder / "cert", folder / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    return both
