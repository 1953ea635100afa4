"""From what a source lists and what the order wants to the files to fetch: pure, before any byte moves.

Comes in: `Listing` and `FetchOrder`. Goes out: `Plan`, whose paths are safe and within the limits, each with the
digest that verify.py will compare it with. Everything refused here is refused before the store is touched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from modelfetch.api.order import FetchOrder, OrderLimits, Selection
from modelfetch.api.source import HuggingFaceSource
from modelfetch.errors import FetchError
from modelfetch.fetcher.globs import Globs
from modelfetch.fetcher.paths import check_paths, shown
from modelfetch.reasons import Reason
from modelfetch.sources.base import Listing, RemoteFile

VerifiedBy = Literal["user", "source", "none"]
"""Who vouches for a file: the order, only the source that serves it, or nobody (self-asserted)."""


@dataclass(frozen=True)
class PlannedFile:
    """A file to have at the end; at most one of `sha256` and `git_blob` (hex) is set. `size` None: not listed."""

    path: str
    size: int | None
    sha256: str | None
    git_blob: str | None
    verified_by: VerifiedBy
    remote: RemoteFile


@dataclass(frozen=True)
class Plan:
    """The files to have at the end, by path; never empty."""

    files: tuple[PlannedFile, ...]

    @property
    def known_bytes(self) -> int:
        """Bytes of all files whose size the source lists."""
        return sum(file.size or 0 for file in self.files)


def make_plan(listing: Listing, order: FetchOrder) -> Plan:
    """Return the files of `listing` that `order` wants, checked; raises FetchError naming the file and the rule."""
    only = order.source.path if isinstance(order.source, HuggingFaceSource) else None
    wanted = select(listing.files, order.selection, only)
    check_count(len(wanted), order.limits)
    check_paths(file.path for file in wanted)
    check_regular(wanted)
    check_sizes(wanted, order.limits)
    checksums = {path: text.removeprefix("sha256:") for path, text in order.checksums.items()}
    check_checksums_are_used(checksums, wanted)
    files = tuple(planned(file, checksums.get(file.path)) for file in sorted(wanted, key=lambda file: file.path))
    if order.verification_mode == "Require":
        check_all_have_digests(files)
    return Plan(files)


def select(files: Iterable[RemoteFile], selection: Selection, only: str | None) -> list[RemoteFile]:
    """Return the wanted files, each path once; raises FetchError(SourceNotFound) when there are none."""
    include, exclude = Globs(selection.include or ("*",)), Globs(selection.exclude)
    wanted: dict[str, RemoteFile] = {}
    count = 0
    for count, file in enumerate(files, 1):  # noqa: B007 - the number is told below
        if _is_below(file.path, only) and include.match(file.path) and not exclude.match(file.path):
            _add_once(wanted, file)
    if not wanted:
        raise FetchError(Reason.SOURCE_NOT_FOUND, f"0 of {count} files match{_criteria(selection, only)}")
    return list(wanted.values())


def _is_below(path: str, only: str | None) -> bool:
    return only is None or path == only or path.startswith(f"{only}/")


def _add_once(wanted: dict[str, RemoteFile], file: RemoteFile) -> None:
    if wanted.setdefault(file.path, file) != file:
        raise FetchError(
            Reason.PATH_REJECTED,
            f"the source lists {shown(file.path)} twice, with different sizes or digests",
            file=shown(file.path)[1:-1],
        )


def _criteria(selection: Selection, only: str | None) -> str:
    parts = [f" path {shown(only)}"] if only else []
    parts += [f" include {_list(selection.include)}"] if selection.include else []
    parts += [f" exclude {_list(selection.exclude)}"] if selection.exclude else []
    return ",".join(parts) or ": the source lists no file"


def _list(patterns: tuple[str, ...]) -> str:
    more = f" and {len(patterns) - 5} more" if len(patterns) > 5 else ""
    return ", ".join(shown(pattern) for pattern in patterns[:5]) + more


def check_count(count: int, limits: OrderLimits) -> None:
    """Return when `count` files are allowed; raises FetchError(TooManyFiles)."""
    if count > limits.max_files:
        raise FetchError(
            Reason.TOO_MANY_FILES,
            f"expected at most {limits.max_files} files (limits.maxFiles), {count} are wanted",
        )


def check_regular(files: Iterable[RemoteFile]) -> None:
    """Return when all are files; raises FetchError(LinkRejected) naming one that is a link or another repository."""
    for file in files:
        if not file.is_regular:
            raise FetchError(
                Reason.LINK_REJECTED,
                f"expected only regular files, {shown(file.path)} is a link or another repository",
                file=file.path,
            )


def check_sizes(files: Iterable[RemoteFile | PlannedFile], limits: OrderLimits) -> None:
    """Return when the sizes that are known keep the limits; raises FetchError(SizeLimitExceeded) naming the file."""
    total = 0
    for file in files:
        size = file.size or 0
        total += size
        if limits.max_file_size is not None and size > limits.max_file_size:
            raise FetchError(
                Reason.SIZE_LIMIT_EXCEEDED,
                f"expected at most {limits.max_file_size} bytes (limits.maxFileSize) for {shown(file.path)},"
                f" it has {size}",
                file=file.path,
            )
    if limits.max_total_size is not None and total > limits.max_total_size:
        raise FetchError(
            Reason.SIZE_LIMIT_EXCEEDED,
            f"expected at most {limits.max_total_size} bytes in all (limits.maxTotalSize), the files have {total}",
        )


def check_checksums_are_used(checksums: Mapping[str, str], files: Iterable[RemoteFile]) -> None:
    """Return when each checksum is for a planned file; raises FetchError(SpecInvalid) naming one that is not."""
    unused = checksums.keys() - {file.path for file in files}
    if unused:
        path = min(unused)
        raise FetchError(
            Reason.SPEC_INVALID,
            f"verification.checksums names {shown(path)}, which is not among the files of this fetch",
            file=shown(path)[1:-1],
        )


def planned(file: RemoteFile, checksum: str | None) -> PlannedFile:
    """Return the file with what it is compared with: the order's digest, else the listing's sha256, else its blob id.

    Raises FetchError(ChecksumMismatch) when the order and the listing already contradict each other.
    """
    if checksum is not None and file.sha256 not in (None, checksum):
        reason = Reason.SPEC_INVALID if file.asserted_by_user else Reason.CHECKSUM_MISMATCH
        whose = "the order's own sha256 is" if file.asserted_by_user else "the source lists"
        raise FetchError(
            reason, f"expected sha256:{checksum} for {shown(file.path)}, {whose} sha256:{file.sha256}", file=file.path
        )
    sha256 = checksum or file.sha256
    git_blob = None if sha256 else file.git_blob
    by_user = checksum is not None or (file.asserted_by_user and sha256 is not None)
    return PlannedFile(
        path=file.path,
        size=file.size,
        sha256=sha256,
        git_blob=git_blob,
        verified_by="user" if by_user else "source" if sha256 or git_blob else "none",
        remote=replace(file, sha256=sha256, git_blob=git_blob),
    )


def check_all_have_digests(files: Iterable[PlannedFile]) -> None:
    """Return when every file can be compared; raises FetchError(SpecInvalid), for `verification.mode: Require`."""
    for file in files:
        if file.verified_by == "none":
            raise FetchError(
                Reason.SPEC_INVALID,
                f"verification.mode is 'Require', but nothing says which digest {shown(file.path)} must have: "
                "add it to verification.checksums",
                file=file.path,
            )
