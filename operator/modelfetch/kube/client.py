"""A thin asynchronous client of the Kubernetes API: the verbs that modelfetch uses, each one request, errors as ours.

Comes in: a Connection. Goes out: objects as plain dicts, in the forms of forms.py. It keeps no cache and retries
nothing; the queue of the operator retries whole reconciles. Every call ends by itself, a write before others may lead.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError, refused, unreachable
from modelfetch.kube.forms import fitted
from modelfetch.kube.lists import ListReader, as_object
from modelfetch.kube.objects import Resource, plural_in

Object = dict[str, Any]
REQUEST_TIMEOUT_S = 30.0
WATCH_LINE_LIMIT = 8 << 20
"""Bytes of one watch event; etcd stores at most 1.5 MiB, JSON escapes can multiply that."""
PIECE = 256 << 10
"""Bytes of a list that are taken in at once; so many objects are in memory twice."""
PAGE = 500
"""Objects on a page, where a list does not come as a whole; what kubectl and Kopf ask for."""
PATIENCE_S = 25.0
"""Seconds from which on a list that fails is taken to be too long: below what it may wait for its first byte, and below
the minute that the API server gives a request."""
LIST_TIMEOUT_S = 120.0
_USER_AGENT = "modelfetch"
_NOT_IN_YAML = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
LOG_TIMEOUT_S = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
_LIST_TIMEOUT = aiohttp.ClientTimeout(total=LIST_TIMEOUT_S, connect=10, sock_read=REQUEST_TIMEOUT_S)
_LOG_TIMEOUT = aiohttp.ClientTimeout(total=LOG_TIMEOUT_S)


Tell = Callable[[str, str, int], None]
"""Takes the verb, the plural name of the resource and the status of a request."""


class Kube:
    """The client; use as an async context manager."""

    def __init__(
        self,
        connection: Connection,
        write_window_s: Callable[[], float] = lambda: REQUEST_TIMEOUT_S,
        tell: Tell = lambda _verb, _resource, _code: None,
    ) -> None:
        """`write_window_s` is asked before each write how long it may take; none is sent where that is 0.0 or less.

        `tell` takes the verb, the plural name and the status of each request that has ended, 0 without an answer.
        """
        self.connection = connection
        self.has_answered = False
        """Whether any request was answered yet."""
        self._write_window_s = write_window_s
        self._tell = tell
        self._session: aiohttp.ClientSession | None = None
        self.writing: set[asyncio.Task[Any] | None] = set()
        """The tasks that wait for the answer to a write."""
        self._written = asyncio.Event()
        self._limit = ""
        """Objects on a page of a list, empty where a list comes as a whole."""

    async def __aenter__(self) -> Self:
        """Open the session; a connection pool of 100 to one host is aiohttp's default."""
        connector = aiohttp.TCPConnector(ssl=self.connection.ssl_context(), limit=100)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Return the object; raises KubeError (404 where it does not exist)."""
        return fitted(resource.kind, await self._json("GET", resource.path(namespace, name)))

    async def find(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """Return the object, or None where it does not exist; raises KubeError on anything else."""
        try:
            return await self.get(resource, namespace, name)
        except KubeError as error:
            if error.is_not_found:
                return None
            raise

    async def parts(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[list[Object], None]:
        """Yield all objects as of one moment, as they arrive: ten thousand whole ones are a lot of memory.

        They are asked for at once, which the API server answers from its cache; pages after the first it may read from
        etcd (docs/decisions/0019). Once a list has failed because it took too long, lists are pages.
        """
        path, kind = resource.path(namespace), {"apiVersion": resource.api_version, "kind": resource.kind}
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": self._limit}
        token, now = "first", asyncio.get_running_loop().time
        while token:
            reader, asked = ListReader(), {name: value for name, value in query.items() if value}
            began = now()
            try:
                async with contextlib.aclosing(self._items(path, asked, reader)) as parts:
                    async for items in parts:
                        yield [fitted(resource.kind, kind | item) for item in items]
            except KubeError as error:
                if error.status == 504 or now() - began >= PATIENCE_S:
                    self._limit = str(PAGE)
                raise
            token = query["continue"] = reader.token

    async def _items(
        self, path: str, query: Mapping[str, str], reader: ListReader
    ) -> AsyncGenerator[list[Object], None]:
        """Yield the items of one answer, as they arrive; afterwards `reader` has all of it."""
        try:
            async with contextlib.aclosing(self._pieces(path, query)) as pieces:
                async for piece in pieces:
                    if items := reader.feed(piece):
                        yield items
                    # What is there already comes without a turn of the event loop, and others wait for theirs.
                    await asyncio.sleep(0)
            reader.end()
        except ValueError as error:
            raise unreachable("GET", path, error) from error

    async def _pieces(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        """Yield the body of an answer as it arrives; nothing more is sent while the caller is busy with a piece."""
        code = 0
        try:
            async with self._request("GET", path, query=query, timeout=_LIST_TIMEOUT, buffer=PIECE) as response:
                code, self.has_answered = response.status, True
                await _check(response)
                async for piece in response.content.iter_chunked(PIECE):
                    yield piece
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable("GET", path, error) from error
        finally:
            self._tell("GET", plural_in(path), code)

    async def list(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """Return all objects."""
        return [item async for part in self.parts(resource, namespace, labels=labels, fields=fields) for item in part]

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, labels: str = "", fields: str = "", since: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (type, object) events until the server ends the watch (after 5 minutes at most); raises KubeError."""
        query = {
            "watch": "true",
            "labelSelector": labels,
            "fieldSelector": fields,
            "resourceVersion": since,
            "timeoutSeconds": "300",
            "allowWatchBookmarks": "true",
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_read=330, connect=10)
        query = {k: v for k, v in query.items() if v}
        async with self._request("GET", resource.path(namespace), query=query, timeout=timeout) as response:
            await _check(response)
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise refused(event["object"].get("code", 500), event["object"])
                yield event["type"], fitted(resource.kind, event["object"])

    async def create(self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        """Create the object with strict field validation and return it as stored."""
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return fitted(resource.kind, await self._json("POST", resource.path(namespace), body, query=query))

    async def create_at(self, resource: Resource, namespace: str, name: str, subresource: str, body: Object) -> Object:
        """Create a subresource such as pods/binding or serviceaccounts/token."""
        return await self._json("POST", resource.path(namespace, name, subresource), body)

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Object, subresource: str = ""
    ) -> Object:
        """Replace the object; a resourceVersion in `body` is a precondition."""
        path = resource.path(namespace, name, subresource or None)
        return fitted(resource.kind, await self._json("PUT", path, body))

    async def merge(
        self, resource: Resource, namespace: str | None, name: str, body: Object, subresource: str = ""
    ) -> Object:
        """Patch by JSON merge patch."""
        path = resource.path(namespace, name, subresource or None)
        stored = await self._json("PATCH", path, body, content="application/merge-patch+json")
        return fitted(resource.kind, stored)

    async def apply(
        self, resource: Resource, namespace: str | None, name: str, body: Object, *, manager: str, subresource: str = ""
    ) -> Object:
        """Server-side apply with force: `manager` owns afterwards exactly the fields in `body`."""
        stored = await self._json(
            "PATCH",
            resource.path(namespace, name, subresource or None),
            {"apiVersion": resource.api_version, "kind": resource.kind, **body},
            query={"fieldManager": manager, "force": "true"},
            content="application/apply-patch+yaml",
        )
        return fitted(resource.kind, stored)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
        grace_s: int | None = None,
    ) -> Object | None:
        """Delete the object if it still has that uid; returns None where it is already gone or another one.

        Else the answer: the object where something has to come before its end, a Status where it has gone.
        """
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            answer = await self._json("DELETE", resource.path(namespace, name), body)
        except KubeError as error:
            if error.is_not_found or error.is_conflict:
                return None
            raise
        return fitted(resource.kind, answer) if answer.get("kind") == resource.kind else answer

    async def log_tail(
        self, resource: Resource, namespace: str, pod: str, container: str, *, lines: int, limit_bytes: int
    ) -> str:
        """Return the last lines of a container's log; raises KubeError, soon where its node does not answer."""
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(limit_bytes)}
        path, code = resource.path(namespace, pod, "log"), 0
        try:
            async with self._request("GET", path, query=query, timeout=_LOG_TIMEOUT) as response:
                code = response.status
                await _check(response)
                return (await response.read()).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unreachable("GET", path, error) from error
        finally:
            self._tell("GET", plural_in(path), code)

    async def raw(self, path: str, accept: str = "application/json") -> Object:
        """Return what `path` answers in the form that `accept` names, such as a Table for columns."""
        return await self._json("GET", path, accept=accept)

    async def _json(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        headers = {"Accept": accept} | ({"Content-Type": content} if body is not None else {})
        data = _encode(body) if body is not None else None
        timeout = _TIMEOUT if method == "GET" else self._write_timeout(method, path)
        code = 0
        try:
            with self.write() if method != "GET" else contextlib.nullcontext():
                async with self._request(
                    method, path, query=query, data=data, headers=headers, timeout=timeout
                ) as response:
                    code, self.has_answered = response.status, True
                    await _check(response)
                    return as_object(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise unreachable(method, path, error) from error
        finally:
            self._tell(method, plural_in(path), code)

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """Whoever is in here waits for the answer to a write."""
        task = asyncio.current_task()
        self.writing.add(task)
        try:
            yield
        finally:
            self.writing.discard(task)
            self._written.set()

    async def until_written(self) -> None:
        """Return when nobody waits for the answer to a write."""
        while self.writing:
            self._written.clear()
            await self._written.wait()

    def _write_timeout(self, method: str, path: str) -> aiohttp.ClientTimeout:
        """A write ends while its sender still may write, so that it cannot arrive when somebody else does."""
        window_s = self._write_window_s()
        if window_s <= 0:
            raise KubeError(0, "NotLeader", f"{method} {path}: another replica may lead by now")
        return aiohttp.ClientTimeout(total=min(REQUEST_TIMEOUT_S, window_s))

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
        buffer: int = WATCH_LINE_LIMIT,
    ) -> "aiohttp.client._RequestContextManager":
        assert self._session is not None, "the client is used inside 'async with'"
        sent = {"User-Agent": _USER_AGENT, **(headers or {})}
        if bearer := self.connection.bearer():
            sent["Authorization"] = f"Bearer {bearer}"
        return self._session.request(
            method,
            self.connection.server + path,
            params=query,
            data=data,
            headers=sent,
            allow_redirects=False,
            timeout=timeout,
            read_bufsize=buffer,
        )


def _encode(body: Object) -> bytes:
    # What is applied is read as YAML, which knows JSON's escapes except pairs of surrogates, and refuses some signs
    # unless they are escaped.
    text = json.dumps(body, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status < 300:
        return
    text = await response.text(errors="replace")
    try:
        body = json.loads(text)
    except ValueError:
        body = {"message": text[:300]}
    raise refused(response.status, body if isinstance(body, dict) else {}, response.headers.get("Retry-After"))
