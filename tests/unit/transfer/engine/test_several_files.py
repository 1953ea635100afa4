"""What one file's trouble means for the others."""

import threading
from collections.abc import Callable

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.engine import Engine, Item, Moved
from modelfetch.transfer.guard import parse_url
from modelfetch.transfer.http_reader import HttpReader
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer, serve_file
from tests.fakes.transfer import MemorySink, open_session
from tests.unit.transfer.engine.rig import LARGE, SMALL, Rig, exactly


def test_a_storage_error_passes_through() -> None:
    """An error of the sink ends the run with its own reason and the file's name, and asks for nothing again."""
    rig = Rig()
    rig.sinks["file"] = MemorySink(FetchError(Reason.STORAGE_IO_ERROR, "disk says no"))
    with evil_server(serve_file(SMALL)) as server:
        error = rig.failure(server, exactly(SMALL))

    assert (Reason.STORAGE_IO_ERROR, "file", 1) == (error.reason, error.file, len(server.requests))


def serve_two(first: Script) -> Callable[[Request], Answer]:
    """Return the script of a server with a bad file and a good one."""
    return lambda request: first(request) if request.target == "/bad" else file_answer(request, SMALL)


def test_a_terminal_error_begins_nothing_new() -> None:
    """After a terminal error no further file is asked for, and that error is raised."""
    rig = Rig(parallel=1)
    with evil_server(serve_two(lambda _request: Answer(404))) as server, pytest.raises(FetchError) as caught:
        rig.run([("bad", server.url("/bad"), exactly(LARGE)), ("good", server.url("/good"), exactly(SMALL))])

    assert (Reason.SOURCE_NOT_FOUND, "bad", ["/bad"]) == (caught.value.reason, caught.value.file, server.targets())


def test_a_retryable_error_lets_begun_files_end() -> None:
    """A file that is under way when another fails for now is ended: the next attempt need not fetch it."""
    rig, begun, failed = Rig(parallel=2, retries=0), threading.Event(), threading.Event()

    def script(request: Request) -> Answer:
        if request.target == "/bad":
            begun.wait(10)
            failed.set()
            return Answer(503)
        begun.set()
        failed.wait(10)
        return file_answer(request, SMALL)

    with evil_server(script) as server, pytest.raises(FetchError) as caught:
        rig.run([("bad", server.url("/bad"), exactly(SMALL)), ("good", server.url("/good"), exactly(SMALL))])

    assert (Reason.SOURCE_UNAVAILABLE, ["good"]) == (caught.value.reason, list(rig.moved))


def test_a_terminal_error_is_told_before_others() -> None:
    """Where files fail for different reasons, the one that waiting cannot mend is raised."""
    rig, both = Rig(parallel=2, retries=0), threading.Barrier(2)

    def script(request: Request) -> Answer:
        both.wait(10)
        return Answer(404 if request.target == "/bad" else 503)

    with evil_server(script) as server, pytest.raises(FetchError) as caught:
        rig.run([("a", server.url("/worse"), exactly(LARGE)), ("b", server.url("/bad"), exactly(LARGE))])

    assert Reason.SOURCE_NOT_FOUND == caught.value.reason


def test_an_error_of_the_caller_is_raised() -> None:
    """What `done` raises ends the run."""

    def fail(_moved: Moved) -> None:
        raise FetchError(Reason.STORE_CORRUPT, "not ours")

    rig = Rig()
    engine = Engine(rig.transfer, rig.retry, rig.stop, rig.counters)
    with evil_server(serve_file(SMALL)) as server, open_session() as session, pytest.raises(FetchError) as caught:
        engine.run([Item("a", HttpReader(session, parse_url(server.url())), MemorySink(), exactly(SMALL))], fail)

    assert (Reason.STORE_CORRUPT, "a") == (caught.value.reason, caught.value.file)


@pytest.mark.parametrize("status", [404, 503])
def test_an_empty_file_is_asked_for_too(status: int) -> None:
    """A file of no bytes is there only when the server says so."""
    with evil_server(lambda _request: Answer(status)) as server:
        error = Rig(retries=1).failure(server, exactly(b""))

    assert error.reason in {Reason.SOURCE_NOT_FOUND, Reason.SOURCE_UNAVAILABLE}


def test_nothing_to_do_is_done() -> None:
    """A run of no files ends at once."""
    rig = Rig()
    rig.run([])

    assert {} == rig.moved
