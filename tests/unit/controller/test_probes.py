"""What a kubelet is told, by a real server on loopback."""

import asyncio

import aiohttp
import pytest

from modelfetch.controller.probes import Answers, Probes
from modelfetch.devcluster.controlplane import free_port


def ask(path: str, problem: str | None = None, *, is_ready: bool = True) -> tuple[int, str, str]:
    """Return status, media type and text of the answer."""
    (answer,) = ask_all(Answers(lambda: problem, lambda: is_ready, lambda: b"modelfetch_leader 1.0\n"), path)
    return answer


def ask_all(answers: Answers, *paths: str) -> list[tuple[int, str, str]]:
    """Return what one server answers to each, in turn."""

    async def run() -> list[tuple[int, str, str]]:
        port, found = free_port(), []
        async with Probes(port, answers), aiohttp.ClientSession() as client:
            for path in paths:
                async with client.get(f"http://127.0.0.1:{port}{path}") as response:
                    found.append((response.status, response.content_type, await response.text()))
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
def test_it_lives_until_something_is_wrong(path):
    """Then it says what, and the kubelet starts it again."""

    assert 200 == ask(path)[0]
    assert (503, "text/plain", "no event for 90 s\n") == ask(path, "no event for 90 s")


def test_it_is_ready_once_the_api_server_has_answered():
    """Whether it leads is another matter: a silent watch does not make it unready either."""

    assert 503 == ask("/readyz", is_ready=False)[0]
    assert 200 == ask("/readyz", "no event for 90 s")[0]


def test_metrics_are_text():
    """As Prometheus wants it."""

    assert (200, "text/plain", "modelfetch_leader 1.0\n") == ask("/metrics")


def test_nothing_else_is_there():
    """No page tells more than it should."""

    assert 404 == ask("/")[0]


def test_no_port_is_no_server():
    """Port 0 means none, not any."""

    async def run() -> None:
        async with Probes(0, Answers(lambda: None, lambda: True, lambda: b"")) as probes:
            assert probes._runner is None

    asyncio.run(run())


def test_f11_a_question_that_fails_is_answered_so():
    """A defect in the metrics is a 500 to whoever asks for them; the next question is answered."""

    def broken():
        raise RuntimeError("a defect")

    answers = Answers(problem=lambda: None, is_ready=lambda: True, metrics=broken)

    assert [500, 200] == [status for status, _, _ in ask_all(answers, "/metrics", "/livez")]
