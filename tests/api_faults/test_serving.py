"""The server that stands for others in tests ends, whatever its clients do."""

import asyncio
import gc
import socket
import ssl

import trustme
from aiohttp import web

from tests.api_faults.serving import HOST, Certificate, stop


async def _answer(_: web.BaseRequest) -> web.Response:
    return web.Response(text="here")


async def _served_once(certificate: Certificate, authority: trustme.CA) -> ssl.SSLSocket:
    """Return the connection of a client that has had an answer and does not care for the end of its server."""
    server = web.Server(_answer)
    listening = await asyncio.get_running_loop().create_server(server, HOST, 0, ssl=certificate.context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def ask() -> ssl.SSLSocket:
        plain = socket.create_connection(listening.sockets[0].getsockname())
        client = trusting.wrap_socket(plain, server_hostname=HOST)
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        return client

    client = await asyncio.to_thread(ask)
    listening.close()
    await stop(server)
    return client


def test_a_client_that_stays_keeps_no_connection_open() -> None:
    """Else the next test that collects garbage would find it, as an error of its own."""
    authority = trustme.CA()
    client = asyncio.run(_served_once(Certificate(authority), authority))
    found = [
        one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() >= 0 and one is not client
    ]

    with client:
        assert client.getsockname() not in [one.getpeername() for one in found if _is_connected(one)]


def _is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True
