"""Sources that misbehave, one fault at a time: the files are right, or nothing is published and the reason is told.

The kinds of fault are those under which other downloaders end well with wrong or missing bytes, hang, or give up.
"""

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from modelfetch.api.order import OrderTransfer
from modelfetch.devcluster.hub import (
    Close,
    ContentRange,
    Corrupt,
    Cut,
    ETag,
    FixtureHub,
    Gzip,
    Headers,
    HubSettings,
    IgnoreRange,
    Length,
    Listing,
    Paging,
    Rate,
    Redirect,
    Replace,
    RepoSpec,
    Stall,
    Status,
)
from modelfetch.devcluster.hub.rules import Action
from modelfetch.reasons import Reason
from tests.loopback import fetch, from_hub, published_files

WEIGHTS = bytes(range(256)) * 4000
FILES = {"README.md": b"hello", "config.json": b"{}", "model.safetensors": WEIGHTS}
SIZE = len(WEIGHTS)
TRANSFER = OrderTransfer(request_retries=4, stall_timeout_s=2, deadline_s=100, connections_per_file=2)

CDN: dict[str, Any] = {"port": "cdn"}
SMALL: dict[str, Any] = {"path": "/resolve/.*/config.json"}
RESOLVE: dict[str, Any] = {"path": "/resolve/.*/model.safetensors"}
INFO: dict[str, Any] = {"path": "/revision/"}
TREE: dict[str, Any] = {"path": "/tree/"}
ONCE, TWICE = {"count": 1}, {"count": 2}
CUT = Cut(after=600_000)

PASSING: list[tuple[str, list[tuple[tuple[Action, ...], dict[str, Any]]]]] = [
    ("a flipped first byte once", [((Corrupt(offset=0),), CDN | ONCE)]),
    ("a flipped last byte once", [((Corrupt(offset=-1),), CDN | ONCE)]),
    ("swapped blocks once", [((Corrupt(how="swap", offset=0, length=65536),), CDN | ONCE)]),
    ("a zeroed tail twice", [((Corrupt(how="zero", offset=-4096, length=4096),), CDN | TWICE)]),
    ("another file of the same size once", [((Replace(body="x", pad=True),), CDN | ONCE)]),
    ("a damaged small file once", [((Corrupt(offset=0),), SMALL | ONCE)]),
    ("a cut", [((CUT,), CDN | ONCE)]),
    ("a cut by reset", [((Cut(after=600_000, reset=True),), CDN | ONCE)]),
    ("a cut near the start, three times", [((Cut(after=10),), CDN | {"count": 3})]),
    ("a cut at the last byte", [((Cut(after=SIZE - 1),), CDN | ONCE)]),
    ("closed before the header", [((Close(),), CDN | ONCE)]),
    ("closed inside the header", [((Close(header_bytes=20),), CDN | ONCE)]),
    ("a cut and then another version", [((CUT,), CDN | {"nth": 1}), ((ETag(value='"other"'),), CDN | {"nth": 2})]),
    ("a cut and then an early range", [((CUT,), CDN | {"nth": 1}), ((ContentRange(shift=-4096),), CDN | {"nth": 2})]),
    (
        "a cut and then an early range that hides it",
        [((CUT,), CDN | {"nth": 1}), ((ContentRange(shift=-4096, hide_shift=True),), CDN | {"nth": 2})],
    ),
    ("a cut and then no range", [((CUT,), CDN | {"nth": 1}), ((IgnoreRange(),), CDN | {"nth": 2})]),
    ("a cut and then 416", [((CUT,), CDN | {"nth": 1}), ((Status(status=416),), CDN | {"nth": 2})]),
    (
        "a cut and then a total that is unknown",
        [((CUT,), CDN | {"nth": 1}), ((ContentRange(value="bytes {start}-{end}/*"),), CDN | {"nth": 2})],
    ),
    ("ranges that are always ignored", [((IgnoreRange(),), CDN)]),
    ("a short body that says so, once", [((Length(how="body", delta=-100),), CDN | ONCE)]),
    ("a long body once", [((Length(how="declared", delta=100),), CDN | ONCE)]),
    ("a body in chunks", [((Length(how="chunked"),), CDN)]),
    ("500 twice", [((Status(status=500),), CDN | TWICE)]),
    ("502 on the hub", [((Status(status=502),), RESOLVE | ONCE)]),
    ("503 for a small file", [((Status(status=503),), SMALL | TWICE)]),
    ("504 on the info", [((Status(status=504),), INFO | ONCE)]),
    ("503 on the listing", [((Status(status=503),), TREE | ONCE)]),
    ("429 on the listing", [((Status(status=429, headers={"Retry-After": "1"}),), TREE | ONCE)]),
    ("429 with a date", [((Status(status=429, headers={"Retry-After": formatdate(usegmt=True)}),), CDN | ONCE)]),
    (
        "429 with a date in the past",
        [((Status(status=429, headers={"Retry-After": formatdate(0, usegmt=True)}),), TREE | ONCE)],
    ),
    ("429 for ten years", [((Status(status=429, headers={"Retry-After": "315360000"}),), TREE | ONCE)]),
    ("429 with nonsense", [((Status(status=429, headers={"Retry-After": "soon"}),), RESOLVE | ONCE)]),
    ("an expired address", [((Status(status=403),), CDN | ONCE)]),
    ("a stall in the body", [((Stall(after=1000),), CDN | ONCE)]),
    ("a stall before the header", [((Stall(),), CDN | ONCE)]),
    ("a trickle", [((Rate(bytes_per_s=1, after=1000),), CDN | ONCE)]),
    ("a stall of the listing", [((Stall(after=10),), TREE | ONCE)]),
]

REFUSED: list[tuple[str, tuple[Action, ...], dict[str, Any], set[Reason]]] = [
    ("a flipped byte for ever", (Corrupt(offset=SIZE // 2),), CDN, {Reason.CHECKSUM_MISMATCH}),
    (
        "a login page for ever",
        (Replace(body="<html>", content_type="text/html"),),
        CDN,
        {Reason.FORMAT_NOT_ALLOWED},
    ),
    (
        "a login page of the right size",
        (Replace(body="<html>", pad=True, content_type="text/html"),),
        CDN,
        {Reason.FORMAT_NOT_ALLOWED},
    ),
    ("an empty body", (Replace(body=""),), CDN, {Reason.SIZE_MISMATCH, Reason.SOURCE_UNAVAILABLE}),
    ("204", (Status(status=204),), CDN, {Reason.SOURCE_UNAVAILABLE, Reason.SIZE_MISMATCH}),
    (
        "a body that is always short",
        (Length(how="body", delta=-100),),
        CDN,
        {Reason.SIZE_MISMATCH, Reason.SOURCE_UNAVAILABLE},
    ),
    ("a body that is always long", (Replace(body="x" * (SIZE + 9)),), CDN, {Reason.SIZE_MISMATCH}),
    ("gzip for ever", (Gzip(),), CDN, {Reason.FORMAT_NOT_ALLOWED}),
    ("a gzip bomb", (Gzip(bomb_bytes=1 << 23),), CDN, {Reason.FORMAT_NOT_ALLOWED}),
    ("a gzip bomb as listing", (Gzip(bomb_bytes=1 << 23),), TREE, {Reason.FORMAT_NOT_ALLOWED}),
    ("a listing of 17 MiB", (Replace(body="[" + " " * (17 << 20)),), TREE, {Reason.SOURCE_UNAVAILABLE}),
    ("500 for ever", (Status(status=500),), CDN, {Reason.SOURCE_UNAVAILABLE}),
    ("429 for ever", (Status(status=429, headers={"Retry-After": "0"}),), CDN, {Reason.RATE_LIMITED}),
    ("404 for a listed file", (Status(status=404),), RESOLVE, {Reason.SOURCE_NOT_FOUND}),
    ("403 for a file", (Status(status=403),), RESOLVE, {Reason.SOURCE_FORBIDDEN}),
    ("a redirect without Location", (Redirect(location=None),), RESOLVE, {Reason.REDIRECT_REJECTED}),
    ("a redirect to itself", (Redirect(location="{self}"),), RESOLVE, {Reason.REDIRECT_REJECTED}),
    ("a redirect to file:", (Redirect(location="file:///etc/passwd"),), RESOLVE, {Reason.REDIRECT_REJECTED}),
    (
        "a redirect into the network",
        (Redirect(location="http://169.254.169.254/"),),
        RESOLVE,
        {Reason.REDIRECT_REJECTED},
    ),
    (
        "a redirect of the listing into the network",
        (Redirect(location="http://10.0.0.1/"),),
        TREE,
        {Reason.REDIRECT_REJECTED},
    ),
    ("headers without end", (Headers(count=10_000, size=100),), CDN, {Reason.SOURCE_UNAVAILABLE}),
    ("a header of 1 MiB", (Headers(values={"X-Big": "x" * (1 << 20)}),), INFO, {Reason.SOURCE_UNAVAILABLE}),
    ("a listing that goes in circles", (Paging(how="same"),), TREE, {Reason.SOURCE_UNAVAILABLE}),
    ("a listing without end", (Paging(how="new"),), TREE, {Reason.SOURCE_UNAVAILABLE, Reason.TOO_MANY_FILES}),
    ("a next page elsewhere", (Paging(how="url", url="{cdn}/x"),), TREE, {Reason.REDIRECT_REJECTED}),
    (
        "another size in the listing",
        (Listing(patch={"config.json": {"size": 3}}),),
        TREE,
        {Reason.SIZE_MISMATCH, Reason.SOURCE_UNAVAILABLE, Reason.CHECKSUM_MISMATCH},
    ),
    (
        "a huge size in the listing",
        (Listing(patch={"config.json": {"size": 1 << 59}}),),
        TREE,
        {Reason.INSUFFICIENT_STORAGE},
    ),
    (
        "another blob id in the listing",
        (Listing(patch={"config.json": {"oid": "0" * 40}}),),
        TREE,
        {Reason.CHECKSUM_MISMATCH},
    ),
    (
        "a file that is not there",
        (Listing(append=({"path": "ghost.bin", "size": 1, "oid": "0" * 40},)),),
        TREE,
        {Reason.SOURCE_NOT_FOUND},
    ),
]


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("org/name", FILES)], HubSettings(page_size=2)) as hub:
        yield hub


@pytest.mark.parametrize("faults", [faults for _, faults in PASSING], ids=[name for name, _ in PASSING])
def test_a_fault_that_passes_costs_no_more_than_time(
    hub: FixtureHub, tmp_path: Path, faults: list[tuple[tuple[Action, ...], dict[str, Any]]]
) -> None:
    """The files are those of the hub, byte for byte."""
    for actions, where in faults:
        hub.fail(*actions, **where)
    report = fetch(from_hub(hub, "org/name", transfer=TRANSFER), tmp_path)

    assert (None, FILES) == (report.reason, published_files(tmp_path))


@pytest.mark.parametrize(
    ("actions", "where", "reasons"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_fault_that_stays_is_explained(
    hub: FixtureHub, tmp_path: Path, actions: tuple[Action, ...], where: dict[str, Any], reasons: set[Reason]
) -> None:
    """Nothing is published, and the reason says whose fault it is."""
    hub.fail(*actions, **where)
    report = fetch(from_hub(hub, "org/name", transfer=TRANSFER), tmp_path, hub.tokens["reader"])

    assert ({}, True) == (published_files(tmp_path), report.reason in reasons), report.message
    assert {"absent"} >= {record.credentials for record in hub.requests if record.port == "cdn"}
