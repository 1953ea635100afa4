"""What the servers send, and what their logs say of it."""

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.files import Collection, prepare
from benchmarks.servers.traffic import Request, Traffic


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Hold a bench whose files are small."""
    with ExitStack() as stack:
        yield Bench(tmp_path, Path("unused"), 0.0005, 60, stack)


def get(bench: Bench, kind: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Return status and body of a request to one of the servers."""
    connection = http.client.HTTPConnection(bench.address(kind).removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", f"/{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def collection(bench: Bench, name: str) -> Collection:
    """Return a collection that the bench's servers serve."""
    return prepare(bench.root, bench.scale, {name})[name]


@pytest.mark.parametrize("kind", ["http", "paced", "shared"])
def test_a_server_gives_files_and_ranges_and_logs_them(bench: Bench, kind: str) -> None:
    """A whole file and a part of it come byte for byte; the log has both with their bytes."""
    served = collection(bench, "many")
    path, content = f"{served.path}/{served.files[0].name}", (served.folder / served.files[0].name).read_bytes()
    log = bench.log(kind)
    log.mark()

    assert (200, content) == get(bench, kind, path)
    assert (206, content[100:200]) == get(bench, kind, path, Range="bytes=100-199")
    assert [len(content), 100] == [request.body_bytes for request in log.since_mark().files]


def test_a_hub_lists_what_it_serves(bench: Bench) -> None:
    """The API's answers are files beside the model's; a listing does not count as a file."""
    served = collection(bench, "tiny")
    log = bench.log("http")
    log.mark()
    status, body = get(bench, "http", f"api/models/{served.repo}/revision/main")

    assert 200 == status
    assert served.files[0].name.encode() in body
    assert 0 == log.since_mark().body_bytes


def test_files_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    """Two benches serve the same bytes, and a bench that is there already makes nothing again."""
    first, second = (prepare(tmp_path / name, 0.0005, {"whole"})["whole"] for name in ("a", "b"))
    before = (first.folder / first.files[0].name).stat().st_mtime_ns
    again = prepare(tmp_path / "a", 0.0005, {"whole"})["whole"]

    assert first.files == second.files == again.files
    assert before == (first.folder / first.files[0].name).stat().st_mtime_ns


def test_connections_at_the_end_are_those_of_the_last_tenth() -> None:
    """Of three connections over ten seconds, one ended early and one has sent nothing."""
    path = "/bench/x/resolve/c/f"
    rows = [("1", 10.0, 10.0, 5), ("2", 6.0, 6.0, 5), ("3", 9.5, 1.0, 5), ("4", 9.9, 1.0, 0)]
    requests = [Request(name, end, took, 200, size, "GET", path) for name, end, took, size in rows]

    assert 2 == Traffic(tuple(requests)).connections_at_end()


def test_what_a_client_took_before_it_left_is_logged(bench: Bench) -> None:
    """A client that reads a part of a file and closes is in the log with less than the file."""
    served = collection(bench, "paced")
    log = bench.log("shared")
    log.mark()
    with socket.create_connection(("127.0.0.1", int(bench.address("shared").rpartition(":")[2]))) as client:
        client.sendall(f"GET /{served.path}/{served.files[0].name} HTTP/1.1\r\n\r\n".encode())
        client.recv(1024)
    deadline = time.monotonic() + 30
    while not (requests := log.since_mark().files) and time.monotonic() < deadline:
        pass

    assert 1 == len(requests)
    assert 0 < requests[0].body_bytes <= served.size
