"""One TCP port: accepts connections, gives each a thread, and ends them all on `stop`.

In: a function that serves one connection. Out: nothing but side effects on the network; after `stop` no thread and no
socket is left. TLS is made in the connection's own thread, so a slow handshake holds up nobody.
"""

import socket
import ssl
import threading
from collections.abc import Callable

from modelfetch.devcluster.hub.wire import Connection, Gone

Serve = Callable[[Connection, int], None]
_BACKLOG = 1024
_STOP_DEADLINE_S = 10.0
_HANDSHAKE_DEADLINE_S = 10.0


class Listener:
    """A port bound at once, served from `start` on. `address` is the host it is bound to, `port` the number it got."""

    def __init__(self, host: str, port: int, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self.port: int = self._server.getsockname()[1]
        self._serve = serve
        self._tls = tls
        self._threads: dict[int, threading.Thread] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._accepted = 0
        self._acceptor = threading.Thread(target=self._accept, name=f"hub-accept-{self.port}", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def stop(self) -> None:
        """Close the port and every connection; all threads have ended. Raises RuntimeError if one does not."""
        with self._lock:
            self._stopping = True
            sockets = list(self._sockets.values())
        if self._acceptor.is_alive():
            _hang_up(self._server)
            self._acceptor.join(_STOP_DEADLINE_S)
        self._server.close()
        for sock in sockets:
            _hang_up(sock)
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(_STOP_DEADLINE_S)
            if thread.is_alive():
                raise RuntimeError(f"the hub's thread '{thread.name}' did not end")

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                # The port was closed by `stop`, or the machine has no file descriptor left for the next client.
                if self._stopping:
                    return
                continue
            with self._lock:
                self._accepted += 1
                number = self._accepted
                if self._stopping:
                    sock.close()
                    return
                self._sockets[number] = sock
                thread = threading.Thread(
                    target=self._run, args=(number,), name=f"hub-{self.port}-{number}", daemon=True
                )
                self._threads[number] = thread
                # Started under the lock, so that `stop` never joins a thread that has not begun.
                thread.start()

    def _run(self, number: int) -> None:
        sock = self._sockets[number]
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(Connection(self._secured(number, sock)), number)
        except (Gone, OSError):
            pass  # the client left or the reply broke the connection: both are the daily life of this server
        finally:
            with self._lock:
                last = self._sockets.pop(number)
                self._threads.pop(number)
            _hang_up(last)
            last.close()

    def _secured(self, number: int, sock: socket.socket) -> socket.socket:
        if self._tls is None:
            return sock
        sock.settimeout(_HANDSHAKE_DEADLINE_S)
        secured = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._sockets[number] = secured
            stopping = self._stopping
        if stopping:
            raise Gone("the hub stops")
        secured.do_handshake()
        secured.settimeout(None)
        return secured


def _hang_up(sock: socket.socket) -> None:
    try:
        # The plain shutdown, for TLS too: SSLSocket.shutdown would tear the session from under the thread that uses it.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # already disconnected
