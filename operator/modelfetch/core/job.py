"""The Job as data: its name is a function of who, what and which attempt; its Pod lends no privilege.

Comes in: a resource, its store, the administrator's settings. Goes out: manifests for controller/apply.py. Hardening
is reliability.md B5, line by line; tests/cluster asks the real restricted Pod Security admission.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from modelfetch.api.fetch import ModelFetch, ModelFetchSpec
from modelfetch.api.meta import API_VERSION, GROUP, ObjectMeta, parse_duration_s, parse_quantity, parse_size
from modelfetch.api.order import FetchOrder, Order, OrderLimits, OrderTransfer, Selection, dump
from modelfetch.api.source import HuggingFaceSource
from modelfetch.api.store import ModelStore, Resources
from modelfetch.core.observed import ClaimSeen, Settings
from modelfetch.core.retry import Tally

CONTAINER = "fetcher"
VOLUME_PATH = "/volume"
SECRETS_PATH = "/secrets"
TERMINATION_LOG = "/dev/termination-log"
GRACE_S = 30
FINISHED_TTL_S = 86_400
"""Seconds that a finished Job stays, for its log; the status tells its outcome, and its Pod would hold the claim."""
DEADLINE_SLACK_S = 300
"""Seconds that a Job outlives the fetcher's own deadline, so that the fetcher reports it in its own words."""

FETCH_LABEL = f"{GROUP}/fetch"
STORE_LABEL = f"{GROUP}/store"
ATTEMPT_LABEL = f"{GROUP}/attempt"
TASK_LABEL = f"{GROUP}/task"
HASH_ANNOTATION = f"{GROUP}/spec-hash"
FAILURES_ANNOTATION = f"{GROUP}/failures"
DISRUPTIONS_ANNOTATION = f"{GROUP}/disruptions"
VOLUME_ANNOTATION = f"{GROUP}/volume"
MADE_OF_ANNOTATION = f"{GROUP}/made-of"
ENDED_ANNOTATION = f"{GROUP}/ended"
NAME_ANNOTATION = f"{GROUP}/fetch-name"
CLAIM_ANNOTATION = f"{GROUP}/claim"
"""`uid/volume`: the store's claim when the Job was made, and the name of its volume, empty where it had none yet."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "modelfetch-operator"}
MANAGED_SELECTOR = "app.kubernetes.io/managed-by=modelfetch-operator"

_DEFAULT_REQUESTS = {"cpu": "100m", "memory": "128Mi"}
_DEFAULT_LIMITS = {"memory": "512Mi"}


@dataclass(frozen=True)
class Attempt:
    """Which attempt a Job is: of which spec, the how manieth of the fetch, after what went wrong, on which claim."""

    spec_hash: str
    number: int
    tally: Tally
    claim: ClaimSeen = field(default_factory=ClaimSeen)


def spec_hash(spec: ModelFetchSpec) -> str:
    """Return 16 hex digits over all in the spec that changes what a Job does; suspend, retry and priority do not."""
    # Without defaults: a field that a later version brings must not make 10,000 Ready models start again.
    data = spec.model_dump(mode="json", by_alias=True, exclude={"suspend", "retry", "priority"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def job_name(uid: str, hash_: str, attempt: int) -> str:
    """Return the name of one attempt's Job: the same for the same attempt, whoever asks and how often."""
    return "mf-" + hashlib.sha256(f"{uid}/{hash_}/{attempt}".encode()).hexdigest()[:32]


def label_value(name: str) -> str:
    """Return `name` where it is short enough for a label's value (63 characters), else a hash of it."""
    return name if len(name) <= 63 else "sha256-" + hashlib.sha256(name.encode()).hexdigest()[:32]


def volume_of(store: ModelStore) -> str:
    """Return where a store's files are: `pvc://claim/` with its folder; another place is another store to a fetch."""
    return f"pvc://{store.spec.claim_name}/" + (f"{store.spec.path}/" if store.spec.path else "")


def made_of(store: ModelStore, settings: Settings) -> str:
    """Return 16 hex digits over what the administrator decides about a Pod that is to start."""
    data = [
        store.spec.job_template.model_dump(mode="json"),
        settings.image,
        settings.image_pull_policy,
        settings.run_as_user,
    ]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def memory_limit(store: ModelStore) -> str:
    """Return what a fetch Pod may use at most, as a Kubernetes quantity."""
    return _resources(store.spec.job_template.resources)["limits"]["memory"]


def fetch_order(fetch: ModelFetch, store: ModelStore, settings: Settings, attempt: str) -> FetchOrder:
    """Return the order of one attempt: effective values only. Raises ValueError where the spec's values contradict."""
    spec = fetch.spec
    source = spec.source.normalise()
    if isinstance(source, HuggingFaceSource) and source.endpoint is None:
        source = source.model_copy(update={"endpoint": settings.huggingface_endpoint})
    return FetchOrder(
        namespace=fetch.metadata.namespace,
        name=fetch.metadata.name,
        owner=fetch.metadata.uid,
        attempt=attempt,
        root=store.spec.path or "",
        source=source,
        has_token=spec.auth is not None,
        selection=Selection(include=tuple(spec.files.include), exclude=tuple(spec.files.exclude)),
        verification_mode=spec.verification.mode,
        checksums=dict(spec.verification.checksums),
        limits=_limits(spec),
        transfer=_transfer(spec).within(_granted(spec, store)),
        egress=settings.egress,
        model=spec.model,
        deletion_policy=spec.deletion_policy,
    )


def _limits(spec: ModelFetchSpec) -> OrderLimits:
    largest, total = spec.limits.max_file_size, spec.limits.max_total_size
    return OrderLimits(
        max_file_size=None if largest is None else parse_size(largest),
        max_total_size=None if total is None else parse_size(total),
        max_files=spec.limits.max_files,
    )


def _transfer(spec: ModelFetchSpec) -> OrderTransfer:
    return OrderTransfer(
        parallel_files=spec.transfer.parallel_files,
        connections_per_file=spec.transfer.connections_per_file,
        stall_timeout_s=parse_duration_s(spec.transfer.stall_timeout),
        deadline_s=parse_duration_s(spec.transfer.deadline),
    )


def _granted(spec: ModelFetchSpec, store: ModelStore) -> int | None:
    """Return bytes per second: the fetch's own bound, and an equal share of the store's for each of its slots."""
    own, whole = spec.transfer.bandwidth_limit, store.spec.bandwidth_limit
    shares = () if whole is None else (parse_size(whole) // store.spec.slots,)
    return min((*shares, *(() if own is None else (parse_size(own),))), default=None)


def fetch_job(
    fetch: ModelFetch, store: ModelStore, settings: Settings, order: FetchOrder, attempt: Attempt
) -> dict[str, Any]:
    """Return the Job of one attempt. Raises FetchError(SpecInvalid) where the order is too large for it."""
    meta, auth = fetch.metadata, fetch.spec.auth
    secret = None if auth is None else {"name": auth.secret_ref.name, "key": auth.secret_ref.key}
    return _job(
        name=order.attempt,
        owner=_owner("ModelFetch", meta),
        labels={FETCH_LABEL: meta.uid, ATTEMPT_LABEL: str(attempt.number), TASK_LABEL: "fetch"},
        annotations={
            HASH_ANNOTATION: attempt.spec_hash,
            FAILURES_ANNOTATION: str(attempt.tally.failures),
            DISRUPTIONS_ANNOTATION: str(attempt.tally.disruptions),
            VOLUME_ANNOTATION: volume_of(store),
            MADE_OF_ANNOTATION: made_of(store, settings),
            NAME_ANNOTATION: meta.name,
            CLAIM_ANNOTATION: f"{attempt.claim.uid}/{attempt.claim.volume}",
            **({ENDED_ANNOTATION: ",".join(order.ended)} if order.ended else {}),
        },
        store=store,
        settings=settings,
        order=order,
        secret=secret,
        deadline_s=int(order.transfer.deadline_s) + DEADLINE_SLACK_S,
    )


def store_job(store: ModelStore, settings: Settings, order: Order, name: str, hash_: str) -> dict[str, Any]:
    """Return a Job that works on the store itself: removal, survey or check."""
    return _job(
        name=name,
        owner=_owner("ModelStore", store.metadata),
        labels={TASK_LABEL: order.task},
        annotations={HASH_ANNOTATION: hash_},
        store=store,
        settings=settings,
        order=order,
        secret=None,
        deadline_s=3600,
    )


def _owner(kind: str, meta: ObjectMeta) -> dict[str, Any]:
    # blockOwnerDeletion would need rights on the owner's finalizers, and would let a Job hold up a user's deletion.
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _job(  # noqa: PLR0913 - one place that writes a Job, called by the two functions above only
    *,
    name: str,
    owner: dict[str, Any],
    labels: dict[str, str],
    annotations: dict[str, str],
    store: ModelStore,
    settings: Settings,
    order: Order,
    secret: dict[str, str] | None,
    deadline_s: int,
) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/name": "modelfetch",
        "app.kubernetes.io/component": "fetcher",
        "app.kubernetes.io/part-of": "modelfetch",
        **MANAGED_BY,
        STORE_LABEL: label_value(store.metadata.name),
        **labels,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": store.metadata.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": deadline_s,
            "ttlSecondsAfterFinished": FINISHED_TTL_S,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod_spec(store, settings, order, secret),
            },
        },
    }


def _pod_spec(store: ModelStore, settings: Settings, order: Order, secret: dict[str, str] | None) -> dict[str, Any]:
    template = store.spec.job_template
    volumes: list[dict[str, Any]] = [
        {"name": "store", "persistentVolumeClaim": {"claimName": store.spec.claim_name}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if secret is not None:
        items = [{"key": secret["key"], "path": "token"}]
        volumes.append(
            {"name": "token", "secret": {"secretName": secret["name"], "items": items, "defaultMode": 0o440}}
        )
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": _pod_security(settings),
        "containers": [_container(settings, template.resources, order, has_secret=secret is not None)],
        "volumes": volumes,
        "nodeSelector": dict(template.node_selector),
        "tolerations": [t.model_dump(by_alias=True, exclude_none=True) for t in template.tolerations],
        "imagePullSecrets": [ref.model_dump(by_alias=True) for ref in template.image_pull_secrets],
    }
    if template.priority_class_name is not None:
        spec["priorityClassName"] = template.priority_class_name
    return {key: value for key, value in spec.items() if value not in ({}, [])}


def _pod_security(settings: Settings) -> dict[str, Any]:
    security: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if settings.run_as_user is not None:
        # OnRootMismatch: a recursive chown of terabytes at each start would cost hours (reliability.md B5).
        security |= {
            "runAsUser": settings.run_as_user,
            "runAsGroup": settings.run_as_user,
            "fsGroup": settings.run_as_user,
            "fsGroupChangePolicy": "OnRootMismatch",
        }
    return security


def _container(settings: Settings, resources: Resources, order: Order, *, has_secret: bool) -> dict[str, Any]:
    env = {
        "MODELFETCH_ORDER": dump(order),
        "MODELFETCH_VOLUME": VOLUME_PATH,
        "MODELFETCH_TERMINATION_LOG": TERMINATION_LOG,
        "TMPDIR": "/tmp",  # noqa: S108 - the mount path of the Pod's own emptyDir
        "HOME": "/tmp",  # noqa: S108 - the root file system is read-only
    }
    mounts: list[dict[str, Any]] = [
        {"name": "store", "mountPath": VOLUME_PATH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    if has_secret:
        env["MODELFETCH_SECRETS"] = SECRETS_PATH
        mounts.append({"name": "token", "mountPath": SECRETS_PATH, "readOnly": True})
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["modelfetch-fetcher"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "resources": _resources(resources),
        "volumeMounts": mounts,
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _resources(resources: Resources) -> dict[str, dict[str, str]]:
    """What is left out gives way to what is given: a request above its limit makes no Pod."""
    asked = resources.requests.model_dump(by_alias=True, exclude_none=True)
    most = resources.limits.model_dump(by_alias=True, exclude_none=True)
    requests = {
        name: min(amount, most.get(name, amount), key=parse_quantity) for name, amount in _DEFAULT_REQUESTS.items()
    } | asked
    limits = {name: max(amount, requests[name], key=parse_quantity) for name, amount in _DEFAULT_LIMITS.items()} | most
    return {"requests": requests, "limits": limits}
