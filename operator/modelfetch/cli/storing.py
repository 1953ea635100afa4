"""`modelfetch store verify|ls|du|gc`: from options to an exit code.

Comes in: the options of cmd_store.py. Goes out: what store/ finds, shown by store_output.py, and the exit code. Every
error becomes its reason's exit code, as with `modelfetch pull`.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelfetch.cli import output, store_output, values
from modelfetch.cli.cores import usable_cores
from modelfetch.cli.surroundings import absolute_path
from modelfetch.devcluster.folders import cache_folder
from modelfetch.errors import FetchError
from modelfetch.fetcher.outcome import defect
from modelfetch.fetcher.stopping import stopping
from modelfetch.reasons import Reason
from modelfetch.store.checkpoint import Checkpoint
from modelfetch.store.collection import execute_collection, plan_collection
from modelfetch.store.contents import gather
from modelfetch.store.findings import exit_code
from modelfetch.store.fs import Filesystem, Volume
from modelfetch.store.store import Store, look, read_id
from modelfetch.store.usage import measure, revisions
from modelfetch.store.verify import Request, Watch
from modelfetch.store.verify import verify as look_at

MOST_THREADS = 256


def verify(store: str, form: str, verbose: bool, given: Mapping[str, Any]) -> int:
    """Return the sum of the findings' codes, Cancelled's code if it was stopped, or that of the error."""

    def act(root: Path) -> int:
        request = _request(given)
        with look(str(root), Filesystem()) as volume, stopping() as stop, store_output.progress() as watch:
            watch.stop, watch.pause = stop, stop.wait
            outcome = _look_at(volume, request, watch, given)
        store_output.write_outcome(form, root, request, outcome)
        return exit_code(outcome.findings) if outcome.is_whole else Reason.CANCELLED.row.exit_code

    return _guarded(store, form, verbose, act)


def ls(store: str, form: str, verbose: bool) -> int:
    """Return 0, or the code of the error."""

    def act(root: Path) -> int:
        with look(str(root), Filesystem()) as volume:
            store_output.write_revisions(form, root, revisions(gather(volume)))
        return 0

    return _guarded(store, form, verbose, act)


def du(store: str, form: str, verbose: bool) -> int:
    """Return 0, or the code of the error."""

    def act(root: Path) -> int:
        with look(str(root), Filesystem()) as volume:
            store_output.write_usage(form, root, measure(volume, gather(volume)))
        return 0

    return _guarded(store, form, verbose, act)


def gc(store: str, form: str, verbose: bool, is_dry: bool, grace: str) -> int:
    """Return 0 after the plan was shown and, unless `is_dry`, carried out, or the code of the error."""

    def act(root: Path) -> int:
        grace_s = values.duration_s("--grace", grace)
        with look(str(root), Filesystem()) as volume:
            plan = plan_collection(volume, grace_s)
        if form == "table":
            store_output.write_plan(plan)
        if not is_dry and not plan.is_empty:
            with Store.open(str(root), Filesystem()) as opened:
                execute_collection(opened, plan)
        store_output.write_collection(form, root, plan, is_dry)
        return 0

    return _guarded(store, form, verbose, act)


def _guarded(store: str, form: str, verbose: bool, act: Callable[[Path], int]) -> int:
    """Return what `act` returns for the store's folder; errors are shown as those of `pull` are."""
    name = "json" if form == "json" else "human"
    output.prepare(name)
    try:
        root = absolute_path("STORE", store)
        if not os.path.isdir(root):
            raise FetchError(Reason.SPEC_INVALID, f"STORE: expected the folder of a store, got '{root}'")
        return act(root)
    except FetchError as error:
        output.refuse(error, name)
        return error.reason.row.exit_code
    except Exception as error:  # noqa: BLE001 - the last border: a defect has its reason, too
        if verbose:
            output.trace(error)
        refusal = defect(error)
        output.refuse(refusal, name)
        return refusal.reason.row.exit_code


def _request(given: Mapping[str, Any]) -> Request:
    threads = given["threads"]
    return Request(
        is_full=given["is_full"],
        subset=(1, 1) if given["subset"] is None else values.subset("--subset", given["subset"]),
        threads=usable_cores() if threads is None else values.whole_number("--threads", threads, 1, MOST_THREADS),
        repair=given["repair"],
    )


def _look_at(volume: Volume, request: Request, watch: Watch, given: Mapping[str, Any]) -> Any:
    checkpoint = _checkpoint(volume, request, given)
    if checkpoint is None:
        return look_at(volume, request, watch)
    with checkpoint:
        return look_at(volume, request, watch, checkpoint)


def _checkpoint(volume: Volume, request: Request, given: Mapping[str, Any]) -> Checkpoint | None:
    """Return where the state is kept; none where nobody asked for one and the usual folder takes no files."""
    kind = "full" if request.is_full else "quick"
    number, count = request.subset
    about = {"store": read_id(volume), "kind": kind, "subset": f"{number}/{count}"}
    default = cache_folder(os.environ) / "verify" / f"{about['store']}-{kind}-{number}-of-{count}"
    path = default if given["state"] is None else absolute_path("--state", given["state"])
    try:
        return Checkpoint.open(path, about, resume=given["resume"])
    except FetchError:
        if given["state"] is not None or given["resume"]:
            raise
        return None  # the look is as good without, it only cannot be resumed
