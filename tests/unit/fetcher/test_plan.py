"""What is fetched out of a listing, and what is refused before a byte moves."""

from typing import Any

import pytest

from modelfetch.api.order import FetchOrder, OrderLimits, Selection
from modelfetch.api.source import HttpFile, HttpSource, HuggingFaceSource
from modelfetch.errors import FetchError
from modelfetch.fetcher.plan import make_plan
from modelfetch.reasons import Reason
from modelfetch.sources.base import Listing, RemoteFile

A, B = "a" * 64, "b" * 64
BLOB = "c" * 40


def order(source: HuggingFaceSource | HttpSource | None = None, **fields: Any) -> FetchOrder:
    source = source or HuggingFaceSource(repo="org/name")
    return FetchOrder(namespace="ns", name="n", owner="o", attempt="a1", source=source, **fields)


def listing(*files: RemoteFile) -> Listing:
    return Listing(revision="main", commit="d" * 40, files=files)


WEIGHTS = RemoteFile("model.safetensors", 1000, sha256=A)
CONFIG = RemoteFile("config.json", 10, git_blob=BLOB)
ONNX = RemoteFile("onnx/model.onnx", 500, sha256=B)
ALL = listing(WEIGHTS, CONFIG, ONNX)


@pytest.mark.parametrize(
    ("include", "exclude", "only", "paths"),
    [
        ((), (), None, ["config.json", "model.safetensors", "onnx/model.onnx"]),
        (("*.json",), (), None, ["config.json"]),
        ((), ("onnx/",), None, ["config.json", "model.safetensors"]),
        (("*.onnx", "*.json"), ("config*",), None, ["onnx/model.onnx"]),
        ((), (), "onnx", ["onnx/model.onnx"]),
        ((), (), "config.json", ["config.json"]),
    ],
)
def test_wanted_files(include: tuple[str, ...], exclude: tuple[str, ...], only: str | None, paths: list[str]) -> None:
    """Include first, then exclude, below the source's path; sorted, with the listing's paths unchanged."""
    wanted = order(HuggingFaceSource(repo="org/name", path=only), selection=Selection(include=include, exclude=exclude))

    assert paths == [file.path for file in make_plan(ALL, wanted).files]


@pytest.mark.parametrize(
    ("file", "checksums", "compared"),
    [
        (WEIGHTS, {}, (A, None, "source")),
        (WEIGHTS, {"model.safetensors": f"sha256:{A}"}, (A, None, "user")),
        (CONFIG, {}, (None, BLOB, "source")),
        (CONFIG, {"config.json": f"sha256:{B}"}, (B, None, "user")),
        (RemoteFile("x", None), {}, (None, None, "none")),
        (RemoteFile("x", None, sha256=A, asserted_by_user=True), {}, (A, None, "user")),
    ],
)
def test_what_a_file_is_compared_with(
    file: RemoteFile, checksums: dict[str, str], compared: tuple[str | None, str | None, str]
) -> None:
    """The order's digest wins over the listing's sha256, that over the blob id; nothing is called nothing."""
    [planned] = make_plan(listing(file), order(checksums=checksums)).files

    assert compared == (planned.sha256, planned.git_blob, planned.verified_by)


HTTP = HttpSource(files=[HttpFile(url="https://h.example/x", path="x", sha256=A)])


@pytest.mark.parametrize(
    ("files", "fields", "reason", "words"),
    [
        (ALL.files, {"selection": Selection(include=("*.gguf",))}, Reason.SOURCE_NOT_FOUND, "0 of 3 files match"),
        ((), {}, Reason.SOURCE_NOT_FOUND, "0 of 0 files match"),
        (ALL.files, {"limits": OrderLimits(max_files=2)}, Reason.TOO_MANY_FILES, "at most 2 files"),
        (ALL.files, {"limits": OrderLimits(max_file_size=999)}, Reason.SIZE_LIMIT_EXCEEDED, "model.safetensors"),
        (ALL.files, {"limits": OrderLimits(max_total_size=1509)}, Reason.SIZE_LIMIT_EXCEEDED, "the files have 1510"),
        (ALL.files, {"checksums": {"other": f"sha256:{A}"}}, Reason.SPEC_INVALID, "'other'"),
        (ALL.files, {"checksums": {"model.safetensors": f"sha256:{B}"}}, Reason.CHECKSUM_MISMATCH, f"lists sha256:{A}"),
        ((RemoteFile("x", 1),), {"verification_mode": "Require"}, Reason.SPEC_INVALID, "verification.checksums"),
        ((WEIGHTS, RemoteFile("model.safetensors", 2)), {}, Reason.PATH_REJECTED, "twice"),
        ((RemoteFile("../x", 1),), {}, Reason.PATH_REJECTED, "'..' step"),
        ((CONFIG, RemoteFile("link", None, is_regular=False)), {}, Reason.LINK_REJECTED, "'link'"),
        (
            (RemoteFile("x", 1, sha256=A, asserted_by_user=True),),
            {"checksums": {"x": f"sha256:{B}"}},
            Reason.SPEC_INVALID,
            "the order's own",
        ),
    ],
)
def test_refusals(files: tuple[RemoteFile, ...], fields: dict[str, Any], reason: Reason, words: str) -> None:
    """Each refusal has its reason and names the field or the file."""
    with pytest.raises(FetchError) as caught:
        make_plan(listing(*files), order(**fields))

    assert (reason, True) == (caught.value.reason, words in caught.value.message)


def test_a_bad_name_that_is_not_wanted_stops_nothing() -> None:
    """The remedy of PathRejected works: exclude the named file."""
    wanted = order(selection=Selection(exclude=("*passwd",)))

    assert 1 == len(make_plan(listing(CONFIG, RemoteFile("../../etc/passwd", 1)), wanted).files)


def test_the_same_entry_twice_is_one_file() -> None:
    """A page that repeats an entry unchanged does no harm."""

    assert 1 == len(make_plan(listing(CONFIG, CONFIG), order()).files)


def test_require_accepts_what_the_source_lists() -> None:
    """A blob id or sha256 of the listing is something to compare with."""

    assert 1510 == make_plan(ALL, order(verification_mode="Require")).known_bytes
