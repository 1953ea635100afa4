"""The way of a model onto the volume: resolve ▶ plan ▶ reuse ▶ transfer ▶ verify ▶ publish.

Comes in: an order and the parts that carry it out, made by attempt.py. Goes out: the published `Artifact`, or the
FetchError of the first step that could not go on. Every verified file is a blob at once, so that whatever ends a run,
the next one begins with what this one had.
"""

from dataclasses import replace

from modelfetch.api.order import FetchOrder, OrderLimits
from modelfetch.fetcher import describe, verify
from modelfetch.fetcher.checkpoints import Checkpoints
from modelfetch.fetcher.crew import Crew, Parts
from modelfetch.fetcher.landing import Allowance, Berth
from modelfetch.fetcher.plan import Plan, PlannedFile, check_sizes, make_plan
from modelfetch.fetcher.progress import Progress
from modelfetch.fetcher.reuse import Blobs, Shelf
from modelfetch.report import Artifact
from modelfetch.sources.base import Listing
from modelfetch.store.attempts import Holder
from modelfetch.store.ingest import Ingest
from modelfetch.store.manifest import Manifest, Owner
from modelfetch.store.store import Store

ABANDONED_S = 2 * 86_400.0
"""Private folders of runs that were killed are removed after this time, or twice the order's deadline if longer."""


def run(order: FetchOrder, parts: Parts) -> Artifact:
    """Return what was published: all files of one commit, each verified and durable; raises FetchError."""
    parts.progress.enter("Resolving")
    listing = parts.source.list()
    plan = make_plan(listing, order)
    parts.progress.resolve(describe.resolved(listing, plan), {file.path: file.size for file in plan.files})
    with (
        parts.open_store() as store,
        store.ingest(order.attempt, str(Holder(order.namespace, order.name, order.owner))) as ingest,
        Checkpoints(ingest) as checkpoints,
    ):
        store.sweep(store.plan_sweep(max(ABANDONED_S, 2 * order.transfer.deadline_s)))
        shelf = Shelf(store, ingest, parts.check)
        blobs = shelf.take(plan, parts.progress, order.transfer.parallel_files)
        plan = with_sizes(plan, blobs, order.limits)
        missing = first_of_each(plan, blobs)
        parts.progress.enter("Downloading")
        berth = Berth(ingest, Allowance(order.limits.max_total_size, plan.known_bytes), checkpoints.wrote)
        blobs |= Crew(order, listing, parts, shelf, berth).bring(missing)
        with_sizes(plan, blobs, order.limits)  # files of one content are received once and count each
        count_copies(plan, missing, blobs, parts.progress)
        parts.check()
        parts.progress.enter("Publishing")
        return publish(order, manifest_of(order, listing, plan, blobs), store, ingest)


def with_sizes(plan: Plan, blobs: Blobs, limits: OrderLimits) -> Plan:
    """Return the plan with the sizes that blobs have; raises FetchError(SizeLimitExceeded) where they are too large."""
    sizes = {key: blob.size for key, blob in blobs.items()}
    files = tuple(replace(file, size=sizes.get(verify.content_key(file), file.size)) for file in plan.files)
    check_sizes(files, limits)
    return Plan(files)


def first_of_each(plan: Plan, blobs: Blobs) -> list[PlannedFile]:
    """Return the files to transfer: what is not in `blobs`, files of the same content once."""
    first: dict[str, PlannedFile] = {}
    for file in plan.files:
        key = verify.content_key(file)
        if key not in blobs:
            first.setdefault(key, file)
    return list(first.values())


def count_copies(plan: Plan, moved: list[PlannedFile], blobs: Blobs, progress: Progress) -> None:
    """Tell `progress` of the files whose content came with another file of this plan."""
    keys, paths = {verify.content_key(file) for file in moved}, {file.path for file in moved}
    for file in plan.files:
        key = verify.content_key(file)
        if key in keys and file.path not in paths:
            progress.reuse(file.path, blobs[key].size)


def manifest_of(order: FetchOrder, listing: Listing, plan: Plan, blobs: Blobs) -> Manifest:
    """Return the manifest of the plan's files with the content in `blobs`."""
    files = [verify.recorded(file, blobs[verify.content_key(file)]) for file in plan.files]
    return Manifest.of(describe.recorded(order.source), listing.revision, listing.commit, listing.license, files)


def publish(order: FetchOrder, manifest: Manifest, store: Store, ingest: Ingest) -> Artifact:
    """Return the artifact: `manifest` is the current revision of the order's model, durable."""
    owner = Owner(
        namespace=order.namespace,
        name=order.name,
        owner=order.owner,
        deletion_policy=order.deletion_policy,
        model=order.model,
    )
    published = store.views.publish(ingest, owner, manifest)
    return Artifact(
        digest=published.digest,
        path=published.path,
        commit=manifest.commit or published.digest,
        files=len(manifest.files),
        bytes=manifest.total_bytes,
        self_asserted=verify.self_asserted(manifest.files),
    )
