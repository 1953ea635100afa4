"""The ways in which a connection to a client ends before its time.

Comes in: a request of aiohttp's server. Goes out: nothing; `drop` and `reset` raise `Over`: nobody is there to answer.
"""

import socket
import struct
from typing import NoReturn

from aiohttp import web

_AT_ONCE = struct.pack("ii", 1, 0)


class Over(Exception):
    """The connection is closed or broken."""


def close(request: web.BaseRequest) -> None:
    """Afterwards the connection is on its way to be closed; what was written before still goes out."""
    if request.transport is not None:
        request.transport.close()


def drop(request: web.BaseRequest) -> NoReturn:
    """Close the connection and raise Over."""
    close(request)
    raise Over


def reset(request: web.BaseRequest) -> NoReturn:
    """End the connection by RST and raise Over."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        request.transport.abort()
    raise Over
