"""One thread that performs the requests of many, over connections that carry several at once (HTTP/2).

Comes in: prepared handles, from threads that wait for them as if they performed them by themselves. Goes out: the same
result or error. All callbacks of such a handle run in the reactor's thread, so none of them may wait.
"""

import selectors
import socket
import time
from collections import deque
from threading import Event, Lock, Thread

import pycurl

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

LOOK_S = 0.5
"""How often handles that hear nothing are asked whether they should go on."""

_MULTIPLEX = 2
"""CURLPIPE_MULTIPLEX."""


class _Job:
    """A handle on its way; `error` is what it failed with."""

    def __init__(self, handle: pycurl.Curl) -> None:
        self.handle = handle
        self.error: Exception | None = None
        self.done = Event()

    def end(self, error: Exception | None) -> None:
        """Whoever waits goes on."""
        self.error = error
        self.done.set()


class Reactor:
    """Performs handles; the thread begins with the first one that may share a connection and ends with `close`."""

    def __init__(self) -> None:
        self._loop: _Loop | None = None
        self._lock = Lock()

    def perform(self, handle: pycurl.Curl, may_share: bool) -> None:
        """Return when the transfer of `handle` is complete; raises pycurl.error as its own `perform` does.

        Raises FetchError(Internal) where the thread has ended, which it does only with a defect.
        """
        if not may_share:
            handle.perform()
            return
        job = _Job(handle)
        self._started().add(job)
        job.done.wait()
        if job.error is not None:
            raise job.error

    def close(self) -> None:
        """The thread has ended; no request is running."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()

    def _started(self) -> "_Loop":
        with self._lock:
            if self._loop is None:
                self._loop = _Loop()
            return self._loop


class _Loop:
    """The thread, its sockets and the multi handle, which only that thread touches."""

    def __init__(self) -> None:
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, _MULTIPLEX)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._selector = selectors.DefaultSelector()
        self._bell, self._rung = socket.socketpair()
        self._rung.setblocking(False)
        self._selector.register(self._rung, selectors.EVENT_READ)
        self._added: deque[_Job] = deque()
        self._jobs: dict[pycurl.Curl, _Job] = {}
        self._timer: float | None = None
        self._looked_at = time.monotonic()
        self._ended = False
        self._lock = Lock()
        self._thread = Thread(target=self._run, name="transfer-reactor", daemon=True)
        self._thread.start()

    def add(self, job: _Job) -> None:
        """Take a job on; `done` is set when it ended."""
        with self._lock:
            if self._ended:
                job.end(_defect())
                return
            self._added.append(job)
        self._bell.send(b"!")

    def close(self) -> None:
        """The thread has ended and all connections are closed."""
        self._ended = True
        self._bell.send(b"!")
        self._thread.join()
        self._multi.close()
        self._selector.close()
        self._bell.close()
        self._rung.close()

    def _run(self) -> None:
        try:
            while not self._ended:
                self._turn()
        finally:
            # Nobody may wait for a thread that is no more.
            with self._lock:
                self._ended = True
            for job in (*self._added, *self._jobs.values()):
                job.end(_defect())

    def _turn(self) -> None:
        for key, events in self._selector.select(self._pause_s()):
            if key.fileobj is self._rung:
                self._rung.recv(4096)
            else:
                self._act(key.fd, events)
        self._begin_added()
        self._look_after()
        self._end_done()

    def _pause_s(self) -> float:
        if self._timer is None:
            return LOOK_S
        return min(LOOK_S, max(0.0, self._timer - time.monotonic()))

    def _act(self, fd: int, events: int) -> None:
        reads = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
        writes = pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
        self._multi.socket_action(fd, reads | writes)

    def _begin_added(self) -> None:
        while self._added:
            job = self._added.popleft()
            self._jobs[job.handle] = job
            self._multi.add_handle(job.handle)

    def _look_after(self) -> None:
        now = time.monotonic()
        if self._timer is not None and now >= self._timer:
            self._timer = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._multi.perform()

    def _end_done(self) -> None:
        left = 1
        while left:
            left, whole, failed = self._multi.info_read()
            for handle in whole:
                self._end(handle, None)
            for handle, code, text in failed:
                self._end(handle, pycurl.error(code, text))

    def _end(self, handle: pycurl.Curl, error: pycurl.error | None) -> None:
        self._multi.remove_handle(handle)
        self._jobs.pop(handle).end(error)

    def _watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._forget(fd)
            return
        reads = selectors.EVENT_READ if what in {pycurl.POLL_IN, pycurl.POLL_INOUT} else 0
        writes = selectors.EVENT_WRITE if what in {pycurl.POLL_OUT, pycurl.POLL_INOUT} else 0
        self._forget(fd)
        if reads | writes:
            self._selector.register(fd, reads | writes)

    def _forget(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def _set_timer(self, milliseconds: int) -> None:
        self._timer = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _defect() -> FetchError:
    return FetchError(Reason.INTERNAL, "expected the requests over shared connections to go on, their thread has ended")
