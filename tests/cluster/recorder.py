"""Every version of some objects of a namespace, as a watch hands them out, for checks over whole histories.

Comes in: a connection, a namespace, kinds. Goes out: versions in order; `Recorder.catch_up` returns when
all that was written before has arrived, and fails where a watch has ended before its time.
"""

import contextlib
import http
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import Resource

Object = dict[str, Any]
_ANSWER_WITHIN_S = 60.0
_AGAIN_S = 0.2
_NOT_YET = (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)
_LIFE_S = 1800
"""Of a watch; no test takes as long."""


class Recorder:
    """What was seen so far; filled by a thread of its own."""

    def __init__(self) -> None:
        self._versions: list[Object] = []
        self._arrived = threading.Condition()
        self.problem: Exception | None = None

    def take(self, body: Object) -> None:
        """Keep one version."""
        with self._arrived:
            self._versions.append(body)
            self._arrived.notify_all()

    def fail(self, problem: Exception) -> None:
        """Take note that a watch has ended before its time, so that nobody waits for it."""
        with self._arrived:
            self.problem = problem
            self._arrived.notify_all()

    def versions(self, kind: str) -> list[Object]:
        """Return all versions of the objects of a kind, in the order in which they were written."""
        with self._arrived:
            return [body for body in self._versions if body["kind"] == kind]

    def texts(self) -> list[str]:
        """Return all versions of all objects as JSON."""
        with self._arrived:
            return [json.dumps(body) for body in self._versions]

    def by_uid(self, kind: str) -> dict[str, list[Object]]:
        """Return the versions of each object: two that had one name, one after the other, are two."""
        found: dict[str, list[Object]] = {}
        for body in self.versions(kind):
            found.setdefault(body["metadata"]["uid"], []).append(body)
        return found

    def catch_up(self, objects: list[Object]) -> None:
        """Return when these versions, or later ones, have arrived; fails where they do not."""
        wanted = {body["metadata"]["uid"]: int(body["metadata"]["resourceVersion"]) for body in objects}

        def has_all() -> bool:
            newest: dict[str, int] = {}
            for body in self._versions:
                newest[body["metadata"]["uid"]] = int(body["metadata"]["resourceVersion"])
            return self.problem is not None or all(newest.get(uid, -1) >= at for uid, at in wanted.items())

        with self._arrived:
            assert self._arrived.wait_for(has_all, _ANSWER_WITHIN_S), f"the watch has not told of {wanted}"
        assert self.problem is None, f"a watch of the test ended: {self.problem}"


@contextlib.contextmanager
def recording(connection: Connection, namespace: str, kinds: tuple[Resource, ...]) -> Iterator[Recorder]:
    """Yield a recorder that takes in everything of these kinds until the block ends."""
    recorder = Recorder()
    watches = [_Watch(recorder, connection, kind, namespace) for kind in kinds]
    for watch in watches:
        watch.start()
    try:
        yield recorder
    finally:
        for watch in watches:
            watch.end()


class _Watch(threading.Thread):
    """Watches one kind; by hand, because an event loop that is closed in the middle of a stream leaves its socket."""

    def __init__(self, recorder: Recorder, connection: Connection, kind: Resource, namespace: str) -> None:
        super().__init__(name=f"watch-{kind.plural}-{namespace}")
        self._recorder, self._kind = recorder, kind
        self._path = f"{kind.path(namespace)}?watch=true&allowWatchBookmarks=true&timeoutSeconds={_LIFE_S}"
        self._headers = {"Authorization": f"Bearer {connection.bearer()}"}
        server = connection.server.removeprefix("https://")
        self._http = http.client.HTTPSConnection(server, context=connection.ssl_context())
        self._http.connect()
        self._ending = threading.Event()

    def end(self) -> None:
        """Afterwards the thread has ended."""
        self._ending.set()
        with contextlib.suppress(OSError):  # it has broken by itself, which `problem` tells
            self._http.sock.shutdown(socket.SHUT_RDWR)
        self.join()
        self._http.close()

    def run(self) -> None:
        """Take in events until the end."""
        try:
            with self._open() as answer:
                for line in answer:
                    self._take(json.loads(line))
            problem: Exception = EOFError(f"the watch of {self._kind.plural} is over")
        except (OSError, ValueError, http.client.HTTPException) as error:
            problem = error
        if not self._ending.is_set():
            self._recorder.fail(problem)

    def _open(self) -> http.client.HTTPResponse:
        """Return the answer; of a kind that was defined a moment ago the server's cache may still be filled."""
        end = time.monotonic() + _ANSWER_WITHIN_S
        while True:
            self._http.request("GET", self._path, headers=self._headers)
            answer = self._http.getresponse()
            if answer.status == http.HTTPStatus.OK:
                return answer
            said = answer.read()
            if answer.status not in _NOT_YET or self._ending.wait(_AGAIN_S) or time.monotonic() > end:
                raise ValueError(f"{answer.status}: {said!r}")

    def _take(self, event: Object) -> None:
        if event["type"] == "ERROR":
            raise ValueError(str(event["object"]))
        if event["type"] != "BOOKMARK":
            self._recorder.take({**event["object"], "kind": self._kind.kind})
