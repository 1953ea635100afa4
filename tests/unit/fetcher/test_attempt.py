"""Whole runs against a real hub on loopback: what is published, what is refused, and what is never fetched twice."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelfetch.api.order import Egress, OrderLimits, OrderTransfer, RemovalTarget, RemoveOrder, Selection, SurveyOrder
from modelfetch.api.source import HttpFile, HttpSource
from modelfetch.devcluster.hub import Corrupt, Cut, File, FixtureHub, Listing, Redirect, Replace, RepoSpec, Status
from modelfetch.fetcher.attempt import Surroundings, carry_out
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason
from modelfetch.report import Report
from modelfetch.store.manifest import owner_short
from tests.loopback import CLOCK, fetch, from_hub, order_for, published_files

SMALL = {"README.md": b"---\nlicense: mit\n---\n", "config.json": b"{}"}
WEIGHTS = bytes(range(256)) * 4000
FILES = {**SMALL, "onnx/model.onnx": b"onnx" * 5000, "model.safetensors": WEIGHTS}
LFS = "/repos/"


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    repositories = [
        RepoSpec("org/name", FILES),
        RepoSpec("org/other", {"config.json": b"{}", "copy.bin": WEIGHTS, "second.bin": b"2" * 3000}),
        RepoSpec("org/data", {"train.parquet": b"rows" * 100}, kind="dataset"),
        RepoSpec("org/gated", FILES, gated="auto"),
        RepoSpec("org/secret", FILES, private=True),
        RepoSpec("org/empty", {"empty.bin": b"", "empty.txt": b""}),
    ]
    with FixtureHub(repositories) as hub:
        yield hub


def sent_by_cdn(hub: FixtureHub) -> int:
    return sum(record.bytes_sent for record in hub.requests if record.port == "cdn")


def by_url(hub: FixtureHub, **fields: Any) -> HttpSource:
    file = {"url": f"{hub.endpoint}/org/name/resolve/main/model.safetensors", "path": "model.safetensors", **fields}
    return HttpSource(files=[HttpFile.model_validate(file)])


def test_a_model_is_published_as_it_is_on_the_hub(hub: FixtureHub, tmp_path: Path) -> None:
    """All files, byte for byte, with what the report says of them."""
    report = fetch(from_hub(hub, "org/name"), tmp_path)
    assert report.artifact is not None

    assert FILES == published_files(tmp_path)
    assert (4, sum(map(len, FILES.values())), 0) == (
        report.artifact.files,
        report.artifact.bytes,
        report.artifact.self_asserted,
    )
    assert ("mit", True) == (report.resolved and report.resolved.license, report.ok)


def test_a_dataset_is_published(hub: FixtureHub, tmp_path: Path) -> None:
    """Datasets have other addresses and the same way."""
    fetch(from_hub(hub, "org/data", repo_type="dataset"), tmp_path)

    assert {"train.parquet": b"rows" * 100} == published_files(tmp_path)


def test_empty_files_are_published(hub: FixtureHub, tmp_path: Path) -> None:
    """A file of no bytes is a file."""
    fetch(from_hub(hub, "org/empty"), tmp_path)

    assert {"empty.bin": b"", "empty.txt": b""} == published_files(tmp_path)


def test_only_what_is_wanted_is_fetched(hub: FixtureHub, tmp_path: Path) -> None:
    """Patterns and the source's path choose; nothing else is asked for."""
    fetch(from_hub(hub, "org/name", path="onnx", selection=Selection(include=("*.onnx",))), tmp_path)

    assert {"onnx/model.onnx"} == set(published_files(tmp_path))
    assert 1 == sum("/resolve/" in record.path for record in hub.requests)


def test_a_revision_of_the_longest_name_is_fetched(hub: FixtureHub, tmp_path: Path) -> None:
    """Every revision that a resource may name fits into the reports."""
    revision = "/".join(["b" * 127] * 4)
    hub.commit("org/name", SMALL, branch=revision)

    assert fetch(from_hub(hub, "org/name", revision=revision), tmp_path).ok


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"selection": Selection(include=("*.gguf",))}, Reason.SOURCE_NOT_FOUND),
        ({"limits": OrderLimits(max_files=3)}, Reason.TOO_MANY_FILES),
        ({"limits": OrderLimits(max_file_size=100)}, Reason.SIZE_LIMIT_EXCEEDED),
        ({"limits": OrderLimits(max_total_size=100)}, Reason.SIZE_LIMIT_EXCEEDED),
        ({"checksums": {"config.json": f"sha256:{'0' * 64}"}}, Reason.CHECKSUM_MISMATCH),
        ({"checksums": {"model.safetensors": f"sha256:{'0' * 64}"}}, Reason.CHECKSUM_MISMATCH),
        ({"checksums": {"nothing.bin": f"sha256:{'0' * 64}"}}, Reason.SPEC_INVALID),
        ({"egress": Egress(allow_http=True, allow_ports=())}, Reason.URL_NOT_ALLOWED),
        ({"egress": Egress(allow_networks=("127.0.0.0/8",), allow_ports=())}, Reason.URL_NOT_ALLOWED),
        ({"egress": Egress(allow_networks=("127.0.0.0/8",), allow_http=True)}, Reason.URL_NOT_ALLOWED),
    ],
)
def test_refused_orders_publish_nothing(
    hub: FixtureHub, tmp_path: Path, fields: dict[str, Any], reason: Reason
) -> None:
    """Each refusal has its reason, and nobody sees a file."""
    report = fetch(from_hub(hub, "org/name", **fields), tmp_path)

    assert (reason, False, {}) == (report.reason, report.ok, published_files(tmp_path))


@pytest.mark.parametrize(
    ("repo", "token", "reason"),
    [
        ("org/gated", None, Reason.GATED_ACCESS_REQUIRED),
        ("org/gated", "stranger", Reason.GATED_ACCESS_REQUIRED),
        ("org/gated", "reader", None),
        ("org/secret", "stranger", Reason.SOURCE_NOT_FOUND),
        ("org/secret", "reader", None),
    ],
)
def test_who_may_read(hub: FixtureHub, tmp_path: Path, repo: str, token: str | None, reason: Reason | None) -> None:
    """Gated and private repositories open to the right token only, and the token is seen by the hub alone."""
    report = fetch(from_hub(hub, repo), tmp_path, hub.tokens[token] if token else None)

    assert reason == report.reason
    assert {"absent"} >= {record.credentials for record in hub.requests if record.port == "cdn"}


def test_a_flipped_bit_is_fetched_again(hub: FixtureHub, tmp_path: Path) -> None:
    """Wrong bytes once cost one more download, never a wrong file."""
    hub.fail(Corrupt(offset=1000), port="cdn", path=LFS, nth=1)
    report = fetch(from_hub(hub, "org/name"), tmp_path)

    assert (True, FILES) == (report.ok, published_files(tmp_path))


@pytest.mark.parametrize("action", [Corrupt(offset=0), Corrupt(offset=-1), Replace(body="<html>", pad=True)])
def test_bytes_that_stay_wrong_are_terminal(hub: FixtureHub, tmp_path: Path, action: Corrupt | Replace) -> None:
    """After a bounded number of downloads the reason is ChecksumMismatch, with the file; nothing is published."""
    hub.fail(action, port="cdn", path=LFS)
    report = fetch(from_hub(hub, "org/name", selection=Selection(include=("model.*",))), tmp_path)

    assert (Reason.CHECKSUM_MISMATCH, "model.safetensors") == (report.reason, report.file)
    assert {} == published_files(tmp_path)
    assert 2 <= sum(record.port == "cdn" for record in hub.requests) <= 4


def test_a_damaged_small_file_is_found_by_its_blob_id(hub: FixtureHub, tmp_path: Path) -> None:
    """Files outside LFS have only git's id to compare with, and it is enough."""
    hub.fail(Corrupt(offset=0), path="config.json")
    report = fetch(from_hub(hub, "org/name"), tmp_path)

    assert (Reason.CHECKSUM_MISMATCH, "config.json") == (report.reason, report.file)


def test_a_cut_is_resumed(hub: FixtureHub, tmp_path: Path) -> None:
    """What had come before the connection broke is not sent again."""
    hub.fail(Cut(after=500_000), port="cdn", nth=1)
    report = fetch(from_hub(hub, "org/name", selection=Selection(include=("model.*",))), tmp_path)

    assert (True, WEIGHTS) == (report.ok, published_files(tmp_path)["model.safetensors"])
    assert sent_by_cdn(hub) < 1.1 * len(WEIGHTS)


def test_verified_files_survive_a_failed_run(hub: FixtureHub, tmp_path: Path) -> None:
    """A later attempt fetches only what the earlier one did not verify."""
    one_by_one = OrderTransfer(parallel_files=1)
    rule = hub.fail(Status(status=404), path="/resolve/.*/config.json")
    failed = fetch(from_hub(hub, "org/name", transfer=one_by_one), tmp_path)
    before = sent_by_cdn(hub)
    hub.rules.remove(rule)
    done = fetch(from_hub(hub, "org/name", transfer=one_by_one), tmp_path)

    assert (Reason.SOURCE_NOT_FOUND, True) == (failed.reason, done.ok)
    assert (0, FILES) == (sent_by_cdn(hub) - before, published_files(tmp_path))


def test_nothing_is_fetched_twice_across_models(hub: FixtureHub, tmp_path: Path) -> None:
    """A file whose digest is in the store is taken from there, whatever its name and model."""
    fetch(from_hub(hub, "org/name"), tmp_path)
    before = sent_by_cdn(hub)
    report = fetch(from_hub(hub, "org/other", name="other"), tmp_path)

    assert (3000, len(WEIGHTS) + 2) == (sent_by_cdn(hub) - before, report.progress.bytes_reused)
    assert {"config.json": b"{}", "copy.bin": WEIGHTS, "second.bin": b"2" * 3000} == published_files(tmp_path, "other")


def test_a_second_run_fetches_nothing(hub: FixtureHub, tmp_path: Path) -> None:
    """The same order again only looks and points `current` to what is there."""
    first = fetch(from_hub(hub, "org/name"), tmp_path)
    asked = len(hub.requests)
    second = fetch(from_hub(hub, "org/name"), tmp_path)

    assert first.artifact == second.artifact
    assert [] == [record.path for record in hub.requests[asked:] if "/resolve/" in record.path or record.port == "cdn"]


def test_a_new_revision_fetches_only_what_changed(hub: FixtureHub, tmp_path: Path) -> None:
    """The old revision stays beside the new one, `current` moves."""
    old = fetch(from_hub(hub, "org/name"), tmp_path)
    hub.commit("org/name", {"config.json": b'{"new": 1}'})
    before = sent_by_cdn(hub)
    new = fetch(from_hub(hub, "org/name"), tmp_path)
    assert old.artifact is not None
    assert new.artifact is not None

    assert (0, b'{"new": 1}') == (sent_by_cdn(hub) - before, published_files(tmp_path)["config.json"])
    assert b"{}" == (tmp_path / old.artifact.path / "config.json").read_bytes()
    assert old.artifact.path != new.artifact.path


def test_a_branch_that_moves_meanwhile_gives_one_commit(hub: FixtureHub, tmp_path: Path) -> None:
    """All files are those of the commit that the branch was at when it was resolved."""

    def move(report: Report) -> None:
        if report.step == "Downloading" and len(hub.shelf.all()) and not moved:
            moved.append(hub.commit("org/name", {"config.json": b"moved", "model.safetensors": b"moved"}))

    moved: list[str] = []
    report = fetch(from_hub(hub, "org/name"), tmp_path, emit=move)
    assert report.artifact is not None

    assert (1, FILES) == (len(moved), published_files(tmp_path))
    assert moved[0] != report.artifact.commit


def test_the_same_content_twice_in_a_model_is_fetched_once(hub: FixtureHub, tmp_path: Path) -> None:
    """Two paths, one content, one download; both are published and counted."""
    hub.add(RepoSpec("org/twice", {"a.bin": WEIGHTS, "b/c.bin": WEIGHTS}))
    report = fetch(from_hub(hub, "org/twice"), tmp_path)

    assert {"a.bin": WEIGHTS, "b/c.bin": WEIGHTS} == published_files(tmp_path)
    assert (len(WEIGHTS), 2, 2 * len(WEIGHTS)) == (
        sent_by_cdn(hub),
        report.progress.files_done,
        report.progress.bytes_done,
    )


def test_a_damaged_blob_is_noticed_and_replaced(hub: FixtureHub, tmp_path: Path) -> None:
    """Bit rot on the volume is found when the file is to be used again, and repaired from the source."""
    fetch(from_hub(hub, "org/name"), tmp_path)
    digest = sha256_digest(WEIGHTS)[7:]
    blob = tmp_path / "blobs" / "sha256" / digest[:2] / digest
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.write(b"rotten")
    blob.chmod(0o444)
    report = fetch(from_hub(hub, "org/name"), tmp_path)

    assert (True, FILES) == (report.ok, published_files(tmp_path))


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "C:\\x", "\\\\host\\share\\x", "a/../../b", "CONFIG.json", "config.json/x",
     "nul", "-rf", "a\nb", "x" * 300, "trailing."],
)  # fmt: skip
def test_a_hostile_name_ends_the_fetch(hub: FixtureHub, tmp_path: Path, path: str) -> None:
    """One bad name is PathRejected for the whole model; nothing is written, inside or outside."""
    volume = tmp_path / "deep" / "volume"
    hub.fail(Listing(append=({"path": path, "size": 1, "oid": "a" * 40},)), path="/tree/")
    report = fetch(from_hub(hub, "org/name"), volume)

    assert Reason.PATH_REJECTED == report.reason
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (File(b"right", lfs=True, claimed_sha256="0" * 64), Reason.CHECKSUM_MISMATCH),
        (File(b"right", lfs=False, claimed_blob="0" * 40), Reason.CHECKSUM_MISMATCH),
        (File(b"right", lfs=True, claimed_size=4), Reason.SIZE_MISMATCH),
        (File(b"right", lfs=True, claimed_size=6), Reason.SIZE_MISMATCH),
    ],
)
def test_a_listing_that_the_bytes_contradict(hub: FixtureHub, tmp_path: Path, file: File, reason: Reason) -> None:
    """Size and digest of the listing are compared with what came."""
    hub.add(RepoSpec("org/liar", {"file.bin": file}))
    report = fetch(from_hub(hub, "org/liar"), tmp_path)

    assert ({}, False) == (published_files(tmp_path), report.ok)
    assert report.reason in (reason, Reason.SOURCE_UNAVAILABLE)


def test_a_file_by_url(hub: FixtureHub, tmp_path: Path) -> None:
    """A file without a digest is published as self-asserted; its manifest names the revision."""
    report = fetch(order_for(by_url(hub)), tmp_path)
    assert report.artifact is not None

    assert {"model.safetensors": WEIGHTS} == published_files(tmp_path)
    assert (1, report.artifact.digest) == (report.artifact.self_asserted, report.artifact.commit)


@pytest.mark.parametrize(
    ("source", "order", "reason"),
    [
        ({"sha256": sha256_digest(WEIGHTS)[7:]}, {}, None),
        ({"sha256": "0" * 64}, {}, Reason.CHECKSUM_MISMATCH),
        ({"size": len(WEIGHTS)}, {}, None),
        ({}, {"checksums": {"model.safetensors": sha256_digest(WEIGHTS)}, "verification_mode": "Require"}, None),
        ({}, {"checksums": {"model.safetensors": f"sha256:{'0' * 64}"}}, Reason.CHECKSUM_MISMATCH),
        ({}, {"verification_mode": "Require"}, Reason.SPEC_INVALID),
        ({}, {"limits": OrderLimits(max_total_size=1000)}, Reason.SIZE_LIMIT_EXCEEDED),
        ({}, {"limits": OrderLimits(max_file_size=1000)}, Reason.SIZE_LIMIT_EXCEEDED),
    ],
)
def test_verification_of_files_by_url(
    hub: FixtureHub, tmp_path: Path, source: dict[str, Any], order: dict[str, Any], reason: Reason | None
) -> None:
    """Digests of the order are compared, limits hold for files whose size nobody listed, Require wants a digest."""
    report = fetch(order_for(by_url(hub, **source), **order), tmp_path)

    assert reason == report.reason
    assert (reason is None) == bool(published_files(tmp_path))


def by_urls(hub: FixtureHub, *paths: str, **fields: Any) -> HttpSource:
    return HttpSource(files=[by_url(hub, **fields).files[0].model_copy(update={"path": path}) for path in paths])


@pytest.mark.parametrize(
    ("limits", "first", "then"),
    [
        (OrderLimits(max_file_size=1000), ["a"], ["a"]),
        (OrderLimits(max_total_size=1000), ["a"], ["a"]),
        (OrderLimits(max_total_size=len(WEIGHTS)), ["a"], ["a", "b"]),
        (OrderLimits(max_total_size=len(WEIGHTS)), [], ["a", "b"]),
    ],
)
def test_limits_hold_for_what_the_store_has(
    hub: FixtureHub, tmp_path: Path, limits: OrderLimits, first: list[str], then: list[str]
) -> None:
    """Files whose size nobody listed count whether they are received, reused or copies of one another."""
    digest = sha256_digest(WEIGHTS)[7:]
    if first:
        assert fetch(order_for(by_urls(hub, *first, sha256=digest)), tmp_path).ok
    report = fetch(order_for(by_urls(hub, *then, sha256=digest), name="second", limits=limits), tmp_path)

    assert (Reason.SIZE_LIMIT_EXCEEDED, {}) == (report.reason, published_files(tmp_path, "second"))


def test_bytes_of_the_store_use_up_the_limit(hub: FixtureHub, tmp_path: Path) -> None:
    """A file of unlisted size is stopped where it and the reused ones pass the limit together, not at its end."""
    reused, new = by_urls(hub, "a", sha256=sha256_digest(WEIGHTS)[7:]), by_urls(hub, "b")
    fetch(order_for(reused), tmp_path)
    limits = OrderLimits(max_total_size=2 * len(WEIGHTS) - 1)
    report = fetch(order_for(HttpSource(files=reused.files + new.files), name="second", limits=limits), tmp_path)

    assert (Reason.SIZE_LIMIT_EXCEEDED, 0) == (report.reason, report.progress.files_done - 1)


def test_a_size_that_only_the_answer_tells_is_shown(hub: FixtureHub, tmp_path: Path) -> None:
    """Progress of a file by URL has a total as soon as the server says it."""
    report = fetch(order_for(by_url(hub)), tmp_path)

    assert (len(WEIGHTS), len(WEIGHTS)) == (report.progress.bytes_total, report.progress.bytes_done)


def test_a_token_is_sent_to_one_host_only(hub: FixtureHub, tmp_path: Path) -> None:
    """Files of two hosts cannot share a token: nobody is asked anything."""
    files = [HttpFile(url=f"{address}/x", path=f"{number}") for number, address in enumerate((hub.endpoint, hub.cdn))]
    report = fetch(order_for(HttpSource(files=files)), tmp_path, token="hf_" + "c" * 30)

    assert (Reason.SPEC_INVALID, []) == (report.reason, hub.requests)


def test_a_login_page_is_no_model(hub: FixtureHub, tmp_path: Path) -> None:
    """Where nothing is known of a file, a web page in its place is refused."""
    hub.fail(Replace(body="<html>log in</html>", content_type="text/html"), path="/resolve/")
    hub.fail(Replace(body="<html>log in</html>", content_type="text/html"), port="cdn")
    report = fetch(order_for(by_url(hub)), tmp_path)

    assert (Reason.FORMAT_NOT_ALLOWED, {}) == (report.reason, published_files(tmp_path))


def test_a_redirect_of_bytes_into_the_network_is_refused(hub: FixtureHub, tmp_path: Path) -> None:
    """A hop to an address that is not allowed ends the fetch, with the hop's name."""
    hub.fail(Redirect(location="http://169.254.169.254/latest/meta-data/"), path="/resolve/")
    report = fetch(from_hub(hub, "org/name"), tmp_path)

    assert (Reason.REDIRECT_REJECTED, True) == (report.reason, "169.254.169.254" in (report.message or ""))


def test_a_folder_that_is_no_store_is_left_alone(hub: FixtureHub, tmp_path: Path) -> None:
    """A folder with other content is refused before anything is downloaded."""
    (tmp_path / "thesis.txt").write_text("years of work")
    report = fetch(from_hub(hub, "org/name"), tmp_path)

    assert Reason.STORAGE_UNSUITABLE == report.reason
    assert (["thesis.txt"], 0) == ([path.name for path in tmp_path.iterdir()], sent_by_cdn(hub))


def test_nothing_private_is_left_behind(hub: FixtureHub, tmp_path: Path) -> None:
    """After a run, whether good or bad, the ingest folder is empty."""
    fetch(from_hub(hub, "org/name"), tmp_path)
    hub.fail(Corrupt(offset=0), port="cdn")
    fetch(from_hub(hub, "org/other", name="other", selection=Selection(include=("second.bin",))), tmp_path)

    assert [] == list((tmp_path / "ingest").iterdir())


def test_a_removal_and_a_survey(hub: FixtureHub, tmp_path: Path) -> None:
    """A survey tells whose trees belong to nobody; a removal takes them; retained ones are nobody's task."""
    fetch(from_hub(hub, "org/name"), tmp_path)
    fetch(from_hub(hub, "org/data", repo_type="dataset", name="kept", deletion_policy="Retain"), tmp_path)
    target = RemovalTarget(namespace="tests", name="model", owner="uid-1")
    orphans = fetch(SurveyOrder(namespace="tests", live=()), tmp_path)
    living = fetch(SurveyOrder(namespace="tests", live=(owner_short("uid-1"),)), tmp_path)
    removed = fetch(RemoveOrder(targets=(target,)), tmp_path)

    assert [["model"], [], ["model"]] == [[owner.name for owner in r.owners] for r in (orphans, living, removed)]
    assert ({}, ["train.parquet"]) == (published_files(tmp_path), list(published_files(tmp_path, "kept")))
    assert [True, True, True] == [r.ok for r in (orphans, living, removed)]


def test_a_defect_still_ends_in_a_report(hub: FixtureHub, tmp_path: Path) -> None:
    """An exception that nobody foresaw is Internal: its class and place are told, its text is not."""
    traced: list[BaseException] = []

    def broken() -> str:
        raise RuntimeError("hf_canarycanarycanary")

    around = Surroundings(str(tmp_path), lambda _report: None, threading.Event(), CLOCK, broken, traced.append)
    report = carry_out(from_hub(hub, "org/name"), around)

    assert (Reason.INTERNAL, [RuntimeError]) == (report.reason, [type(error) for error in traced])
    assert re.fullmatch(r"unexpected RuntimeError at secrecy\.py:\d+", report.message or "")


def test_a_stopped_run_is_cancelled(hub: FixtureHub, tmp_path: Path) -> None:
    """Whoever sets the event is answered with Cancelled, and nothing is published."""
    stop = threading.Event()

    def stop_when_downloading(report: Report) -> None:
        if report.step == "Downloading":
            stop.set()

    report = carry_out(from_hub(hub, "org/name"), Surroundings(str(tmp_path), stop_when_downloading, stop, CLOCK))

    assert (Reason.CANCELLED, {}) == (report.reason, published_files(tmp_path))
