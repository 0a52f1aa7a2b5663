"""A mail server: whether it would take a mail, and handing it one.

Belongs here: the conversation, and what each of its failures means. Not here: the mail (``reports.incident_mail``), or
whether one is due (``sending``).
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from email.message import EmailMessage
from threading import Timer
from time import monotonic
from typing import Any

from pipelines.distribution.errors import NotSentError
from pipelines.distribution.options import Email
from pipelines.settings import Settings
from pipelines.sources.access import SHORTEST_SECRET, cause, context_of, plain
from pipelines.sources.errors import InputError
from reports.receivers import mailbox

MOST_ANSWERS = 10
"""The whole conversation may last so many times as long as one answer: a server that drips is a slow one too."""
LONGEST_SAID = 200


def send(options: Email, settings: Settings, message: EmailMessage, recipients: Sequence[str]) -> None:
    """Hand a mail over.

    Args:
        recipients: of the mail, those that are still to get it; as the settings write them.

    Raises:
        NotSentError: nobody got it, or not all did.
    """
    addresses = {mailbox(each).addr_spec: each for each in recipients}
    with _conversation(options, settings) as server:
        _refuse_too_large(server, message, options)
        refused = server.send_message(message, mailbox(options.sender).addr_spec, list(addresses))
    if refused:
        taken = [each for address, each in addresses.items() if address not in refused]
        raise NotSentError(_refusals(refused, _secrets(options)), taken)


def probe(options: Email, settings: Settings) -> str:
    """Whether the server can be reached and logged in to; nothing is sent.

    Returns:
        How, as in 'smtp.example.com:587, TLSv1.3, logged in as forewarn'.

    Raises:
        NotSentError: it cannot.
    """
    with _conversation(options, settings) as server:
        code, said = server.noop()
        if code >= 400:
            raise smtplib.SMTPResponseException(code, said)
        sealed = server.sock.version() if isinstance(server.sock, ssl.SSLSocket) else "not encrypted"
        who = f"logged in as {options.username}" if options.username is not None else "without a login"
        return f"{_where(options)}, {sealed}, {who}"


# ------------------------------------------------------------------------------------------------------- conversation


class _Patient(smtplib.SMTP):
    """A conversation that ends in time, though each of its lines may come in time for ever."""

    def __init__(self, options: Email, **more: Any):
        self._limit = Timer(MOST_ANSWERS * options.timeout_s, self._end)
        self._limit.daemon = True
        self._limit.start()
        super().__init__(options.host, options.served_at, timeout=options.timeout_s, **more)

    def _end(self) -> None:
        if self.sock is not None:
            with suppress(OSError):  # it has ended already
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # not TLS's own, which is not for two threads

    def close(self) -> None:
        self._limit.cancel()
        super().close()


class _Sealed(_Patient, smtplib.SMTP_SSL):
    """The same, by TLS from the first byte on."""


@contextmanager
def _conversation(options: Email, settings: Settings) -> Iterator[smtplib.SMTP]:
    """A server that has been greeted, and logged in to; everything that fails within is a NotSentError."""
    try:
        context = context_of(options.tls, settings, "tls") if options.encryption != "none" else None
    except InputError as error:
        raise NotSentError(str(error)) from error
    began = monotonic()
    try:
        with closing(_greeted(options, context)) as server:
            yield server
            with suppress(OSError, smtplib.SMTPException):  # what it has taken does not hang on a goodbye
                server.quit()
    except (OSError, smtplib.SMTPException) as error:
        late = monotonic() - began >= MOST_ANSWERS * options.timeout_s
        raise NotSentError(f"{_where(options)}: {_why(error, options, late=late)}") from error


def _greeted(options: Email, context: ssl.SSLContext | None) -> smtplib.SMTP:
    server = _Sealed(options, context=context) if options.encryption == "tls" else _Patient(options)
    try:
        server.ehlo_or_helo_if_needed()
        if options.encryption == "starttls":
            server.starttls(context=context)  # raises where it is not offered: nothing goes on in plain text
            server.ehlo()
        if options.username is not None and options.password is not None:
            server.login(options.username, options.password.get_secret_value())
    except BaseException:
        server.close()
        raise
    return server


def _refuse_too_large(server: smtplib.SMTP, message: EmailMessage, options: Email) -> None:
    limit = server.esmtp_features.get("size", "")
    size = len(message.as_bytes())
    if limit.isascii() and limit.isdigit() and 0 < int(limit) < size:
        raise NotSentError(
            f"{_where(options)}: takes mails of {int(limit) / 2**20:.1f} MiB at most, and this one has"
            f" {size / 2**20:.1f}; name fewer attachments"
        )


# ------------------------------------------------------------------------------------------------------------- failures


def _why(error: Exception, options: Email, *, late: bool) -> str:
    """What an error means, and its mend."""
    said = _said(error, options)
    if late or isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return f"takes too long (more than {options.timeout_s:g} s); is it well? else raise timeout_s"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"refuses the login ({said}); correct username or password"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return _unsupported(str(error))
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"refuses the sender {error.sender} ({said}); correct sender, or log in with username and password"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return _refusals(error.recipients, _secrets(options))
    if isinstance(error, smtplib.SMTPDataError):
        return f"refuses the mail ({said})"
    if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError | smtplib.SMTPResponseException):
        return f"does not want to talk ({said})"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"broke off ({said})"
    if isinstance(error, smtplib.SMTPException):
        return f"cannot be talked to ({said})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({said}); name its authority in tls.ca"
    if isinstance(error, ssl.SSLError):
        other = "starttls" if options.encryption == "tls" else "tls"
        return f"TLS failed ({said}); is it encryption: {other} on this port?"
    return f"cannot be reached ({said}); is it up, and reachable from here?"


def _unsupported(said: str) -> str:
    if "STARTTLS" in said:
        return "offers no STARTTLS, so nothing was sent; say encryption: tls, or none where the way there is your own"
    if "AUTH" in said:
        return "offers no login; leave out username and password, or name the port that offers it"
    return f"cannot do what is needed ({said})"


def _refusals(refused: Mapping[str, tuple[int, bytes]], secrets: Sequence[str]) -> str:
    """As in 'refuses 1 recipient: a@example.com (550 no such user); correct recipients'."""
    first = "; ".join(
        f"{address} ({_answer(code, said, secrets)})" for address, (code, said) in list(refused.items())[:3]
    )
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
    plural = "" if len(refused) == 1 else "s"
    return f"refuses {len(refused)} recipient{plural}: {first}{more}; correct recipients, or wait where it says so"


def _said(error: Exception, options: Email) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error, _secrets(options))
    return cause(error, _secrets(options))[:LONGEST_SAID]


def _answer(code: int, said: bytes | str, secrets: Sequence[str]) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return plain(f"{code} {text}", secrets)[:LONGEST_SAID]


def _secrets(options: Email) -> list[str]:
    """The password, as itself and as it is sent; a server might repeat it."""
    if options.password is None:
        return []
    password = options.password.get_secret_value()
    plain = b64encode(f"\0{options.username}\0{password}".encode()).decode()
    sent = [plain, b64encode(password.encode()).decode(), password]
    return [each for each in sent if len(each) >= SHORTEST_SECRET]


def _where(options: Email) -> str:
    return f"{options.host}:{options.served_at}"
