"""The way of one request to the API server and of its answer back, with what the plan has for it on the way.

Comes in: a request, and the rules whose turn it is. Goes out: what the client was answered, or `Over`.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import get_args

import aiohttp
from aiohttp import web

from tests.api_faults import stream, travel
from tests.api_faults.actions import Action, Answer, Delay, Drop, Edit, Kill, Linger, Reset, TimeTravel, Truncate
from tests.api_faults.endings import drop, reset
from tests.api_faults.exchange import Answered, Headers, failure
from tests.api_faults.record import Log, Record
from tests.api_faults.rules import Phase, Rule
from tests.api_faults.upstream import Upstream, headers_of, whole
from tests.api_faults.victim import READ_WITHIN_S, Victim


@dataclass(frozen=True)
class Passage:
    """One request, under its number in `log`."""

    request: web.BaseRequest
    body: bytes
    record: Record
    upstream: Upstream
    victim: Victim
    log: Log
    edited: Callable[[Rule], None]
    """Takes each rule by which events were edited, when they were."""

    async def through(self, rules: list[Rule]) -> web.StreamResponse:
        """Return what the client was answered; raises Over where its connection has ended."""
        before, after = _actions(rules, "before"), _actions(rules, "after")
        instead = await self._disturbed(before)
        if instead is not None:
            return await self._tell(instead)
        if self.record.call.verb == "watch":
            return await self._watch(self._revision(before), self._editors(rules))
        answered = await self._ask_in_time(before)
        answered = await self._disturbed(after) or answered
        told = await self._tell(answered, next((a for a in after if isinstance(a, Truncate)), None))
        await self._disturbed(_actions(rules, "response"), READ_WITHIN_S)
        return told

    async def _disturbed(self, actions: Iterable[Action], kill_after_s: float = 0.0) -> Answered | None:
        """Return the answer to give instead of the true one, if any; raises Over where there is to be none."""
        instead = None
        for action in actions:
            match action:
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case Answer():
                    instead = _made_up(action)
                case Drop():
                    drop(self.request)
                case Reset():
                    reset(self.request)
                case Kill():
                    await self.victim.kill(kill_after_s)
                    drop(self.request)
        return instead

    def _revision(self, actions: Iterable[Action]) -> int | None:
        """Return the revision to answer from, None for the newest."""
        back = [self.log.before(action.writes) for action in actions if isinstance(action, TimeTravel)]
        return back[0] if back else None

    async def _ask_in_time(self, before: Iterable[Action]) -> Answered:
        on_its_way_s = sum(action.seconds for action in before if isinstance(action, Linger))
        if not on_its_way_s:
            return await self._ask(self._revision(before))
        return await self.upstream.regardless(on_its_way_s, self._ask(None))

    async def _ask(self, revision: int | None) -> Answered:
        call, target = self.record.call, self.request.raw_path
        if revision is not None:
            target = travel.then(call, target, revision)
        async with self.upstream.ask(self.request, target, self.body) as real:
            answered = await whole(real)
        self.log.committed(self.record, answered.revision)
        return answered if revision is None else travel.read_then(call, answered)

    async def _tell(self, answered: Answered, cut: Truncate | None = None) -> web.StreamResponse:
        body = answered.body if cut is None else answered.body[: cut.keep]
        claimed = len(body) if cut is None or cut.honest else len(answered.body)
        response = _response(answered.status, answered.headers)
        response.content_length = claimed
        self.log.answered(self.record, answered.status)
        await response.prepare(self.request)
        await response.write(body)
        if claimed > len(body):
            drop(self.request)
        await response.write_eof()
        return response

    async def _watch(self, revision: int | None, editors: list[stream.Editor]) -> web.StreamResponse:
        target = self.request.raw_path
        if revision is not None:
            target = travel.then(self.record.call, target, revision)
        async with self.upstream.ask(self.request, target, self.body) as real:
            if real.status != 200:
                return await self._tell(await whole(real))
            response = _response(200, headers_of(real))
            response.enable_chunked_encoding()
            self.log.answered(self.record, 200)
            await response.prepare(self.request)
            await self._pass_on(real, response, editors)
            await response.write_eof()
        return response

    async def _pass_on(
        self, real: aiohttp.ClientResponse, response: web.StreamResponse, editors: list[stream.Editor]
    ) -> None:
        """Return when the watch has come to its end, by the server or by an editor."""
        if await self._steps(stream.begin(editors), response):
            return
        async for line in real.content:
            if await self._steps(stream.take(editors, line), response):
                return

    async def _steps(self, steps: Iterable[stream.Step], response: web.StreamResponse) -> bool:
        """Take steps; return whether the watch is over. Raises Over where it ends other than the server would do it."""
        for step in steps:
            match step:
                case bytes():
                    await response.write(step)
                case stream.Wait(seconds):
                    await asyncio.sleep(seconds)
                case stream.Hush():
                    await asyncio.Event().wait()  # until the client goes, which ends this handler
                case stream.End(how):
                    return self._end(how)
        return False

    def _editors(self, rules: Iterable[Rule]) -> list[stream.Editor]:
        return [
            stream.Editor(rule.match, rule.action, partial(self.edited, rule))
            for rule in rules
            if isinstance(rule.action, get_args(Edit))
        ]

    def _end(self, how: str) -> bool:
        if how == "cut":
            drop(self.request)
        if how == "reset":
            reset(self.request)
        return True


def _actions(rules: Iterable[Rule], phase: Phase) -> list[Action]:
    return [rule.action for rule in rules if rule.phase == phase]


def _made_up(answer: Answer) -> Answered:
    if answer.text:
        return Answered(answer.status, (("Content-Type", "text/html"), *answer.headers), answer.text.encode())
    return failure(answer.status, answer.reason, answer.message, answer.headers)


def _response(status: int, headers: Headers) -> web.StreamResponse:
    return web.StreamResponse(status=status, headers=headers)
