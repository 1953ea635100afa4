"""Requests of these tests and the servers behind them."""

import datetime
import ssl

import pytest
import trustme

from modelfetch.errors import FetchError
from modelfetch.transfer.answers import Head
from modelfetch.transfer.curl import Request, Session
from modelfetch.transfer.guard import parse_url
from modelfetch.transfer.reader import Sink
from tests.fakes.evil_server import Answer, EvilServer, Script

CONTENT = bytes(range(256)) * 1000


def context(authority: trustme.CA, name: str = "127.0.0.1", expires: datetime.datetime | None = None) -> ssl.SSLContext:
    """Return a server's TLS settings with a certificate for `name`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, not_after=expires).configure_cert(made)
    return made


def refusal(session: Session, url: str, **options: object) -> FetchError:
    """Return the error with which a request ends."""
    with pytest.raises(FetchError) as caught:
        session.get(url, **options)  # type: ignore[arg-type]
    return caught.value


def redirect(location: str, status: int = 302) -> Script:
    """Return a script that sends elsewhere."""
    return lambda _request: Answer(status, (("Location", location),), b"moved")


def stream(session: Session, server: EvilServer) -> tuple[Head, bytes]:
    """Return head and body of a streamed request."""
    body = bytearray()

    def on_head(_head: Head) -> Sink:
        return lambda data: body.extend(data)

    head = session.stream(Request(parse_url(server.url())), on_head)
    return head, bytes(body)
