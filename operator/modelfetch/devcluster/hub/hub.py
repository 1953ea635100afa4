"""The fixture hub itself: two ports, its repositories, its rules, its journal.

In: settings and repositories. Out: a running server with `endpoint` and `cdn`, which answers as the Hugging Face Hub
does and fails where a rule says so. Composition of everything else in this package; used in tests as a context manager
and by __main__.py as a program.
"""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from modelfetch.devcluster.hub import faults
from modelfetch.devcluster.hub.access import refusal
from modelfetch.devcluster.hub.control import PREFIX, Control
from modelfetch.devcluster.hub.journal import Journal, Record
from modelfetch.devcluster.hub.listener import Listener, Serve
from modelfetch.devcluster.hub.listing import Listings
from modelfetch.devcluster.hub.message import Answer, Request, reply_to
from modelfetch.devcluster.hub.repository import Files, Kind, Repository, RepoSpec
from modelfetch.devcluster.hub.resolve import Cdn, Signer
from modelfetch.devcluster.hub.resolve import Files as FileAnswers
from modelfetch.devcluster.hub.rules import Action, Delay, Match, PortName, Rule, RuleBook, Stall
from modelfetch.devcluster.hub.settings import HubSettings, default_tokens
from modelfetch.devcluster.hub.shelf import Shelf
from modelfetch.devcluster.hub.wire import Connection, Head


class FixtureHub:
    """A hub on loopback; `with FixtureHub([...]) as hub:` serves until the block ends and leaves nothing behind.

    The ports are bound at once, so `endpoint` (API and `resolve`) and `cdn` (bytes of LFS files) are known before
    `start`. `scratch` is the folder of large generated files, `rules` the rule book, `tokens` maps names to secrets,
    `rate` may be changed at any time. Each connection has a thread until the client closes it: a hub that outlives a
    test keeps the threads of that test's idle connections, so make one for each test; it costs a millisecond.
    """

    def __init__(self, repositories: Iterable[RepoSpec] = (), settings: HubSettings | None = None) -> None:
        settings = settings or HubSettings()
        self._hub = Listener(settings.host, settings.port, self._server_of("hub"), settings.tls)
        self._cdn = Listener(settings.host, settings.cdn_port, self._server_of("cdn"), settings.tls)
        self._scratch = tempfile.TemporaryDirectory(prefix="fixture-hub-")
        self.scratch = Path(self._scratch.name)
        scheme = "http" if settings.tls is None else "https"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.endpoint = f"{scheme}://{host}:{self._hub.port}"
        self.cdn = f"{scheme}://{host}:{self._cdn.port}"
        self.tokens = dict(default_tokens(settings.seed) if settings.tokens is None else settings.tokens)
        self.rate = settings.rate
        self.rules = RuleBook()
        self.journal = Journal()
        self.shelf = Shelf(self.scratch)
        self._places = {"hub": self.endpoint, "cdn": self.cdn}
        self._signer = Signer(f"signer {settings.seed}".encode(), time.time, settings.url_ttl_s)
        self._listings = Listings(self.shelf, self._places, settings.page_size, settings.xet)
        self._files = FileAnswers(self.shelf, self._places, self._signer, settings.resolve_cache, settings.xet)
        self._bytes = Cdn(self.shelf, self._signer)
        self._control = Control(self.rules, self.journal, self.expire_urls, self.revoke)
        for spec in repositories:
            self.add(spec)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Begin to serve both ports."""
        self._hub.start()
        self._cdn.start()

    def close(self) -> None:
        """Stop serving: both ports are closed, every connection has ended, the temporary folder is gone."""
        self._hub.stop()
        self._cdn.stop()
        self._scratch.cleanup()

    @property
    def requests(self) -> list[Record]:
        """Every request so far in order of arrival, those to /_fixture left out."""
        return self.journal.records()

    def add(self, spec: RepoSpec) -> Repository:
        """Serve the repository of `spec`, in place of one of the same kind and id."""
        return self.shelf.add(spec)

    def commit(self, repo_id: str, files: Files, *, kind: Kind = "model", branch: str = "main") -> str:
        """Add a commit with `files` to `branch` and return its id. Raises KeyError for an unknown repository."""
        repository = self.shelf.find(kind, repo_id)
        if repository is None:
            raise KeyError(repo_id)
        return repository.commit(files, branch=branch)

    def alias(self, old: str, new: str, kind: Kind = "model") -> None:
        """Let the id `old` (a legacy one-word id, or a former name) redirect to `new`."""
        self.shelf.alias(old, new, kind)

    def fail(
        self,
        *actions: Action,
        path: str = "",
        port: PortName | None = None,
        method: str | None = None,
        nth: int | None = None,
        count: int | None = None,
    ) -> str:
        """Put a rule in force that lets matching requests meet `actions`; return its name. See rules.Match."""
        return self.rules.add(
            Rule(match=Match(method=method, path=path, port=port, nth=nth, count=count), actions=actions)
        )

    def expire_urls(self) -> None:
        """Let every CDN URL given out so far answer 403 from now on; new ones work."""
        self._signer.expire_all()

    def revoke(self, name: str) -> bool:
        """Let the token of this name be unknown from now on; False when it was."""
        return self.tokens.pop(name, None) is not None

    def _server_of(self, port: PortName) -> Serve:
        def serve(connection: Connection, number: int) -> None:
            keep = True
            while keep and (head := connection.read()) is not None:
                keep = self._exchange(connection, number, self._request(port, head)) and head.keeps_alive

        return serve

    def _request(self, port: PortName, head: Head) -> Request:
        sent = head.headers.get("authorization")
        token, credentials = self._who(sent)
        return Request(port, head.method, head.target, head.headers, head.body, token, credentials)

    def _who(self, sent: str | None) -> tuple[str | None, str]:
        """Return the name of the token that was sent, and what the journal says of the credentials."""
        if sent is None:
            return None, "absent"
        if not sent.startswith("Bearer "):
            return None, "other"
        name = next((name for name, secret in list(self.tokens.items()) if sent == f"Bearer {secret}"), None)
        return name, name or "unknown"

    def _exchange(self, connection: Connection, number: int, request: Request) -> bool:
        if request.port == "hub" and request.path.startswith(PREFIX):
            reply = reply_to(self._control.answer(request), request)
            return connection.send(request.method, reply, lambda _: None, None)
        names, actions = self.rules.take(request.method, request.target, request.port, request.headers)
        record = self.journal.open(request, number, tuple(names))
        try:
            return self._respond(connection, record, replace(request, actions=tuple(actions)))
        finally:
            self.journal.close(record)

    def _respond(self, connection: Connection, record: Record, request: Request) -> bool:
        for action in request.actions:
            if isinstance(action, Delay) or (isinstance(action, Stall) and action.after is None):
                connection.hold(action.seconds)
        answer = faults.instead(request, self._places) or self._true_answer(request)
        answer = faults.changed_answer(answer, request)
        reply = faults.changed_reply(reply_to(answer, faults.changed_request(request)), request)
        if reply.header_bytes is None:
            record.status = reply.status

        def count(sent: int) -> None:
            record.bytes_sent += sent

        return connection.send(request.method, reply, count, self.rate)

    def _true_answer(self, request: Request) -> Answer:
        if request.port == "cdn":
            return self._bytes.answer(request)
        if request.method not in ("GET", "HEAD", "POST"):
            return refusal(405, None, "Method not allowed")
        if (answer := self._files.answer(request)) is not None:
            return answer
        return self._listings.answer(request)
