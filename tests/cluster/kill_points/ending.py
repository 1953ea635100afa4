"""What is at the end of a run, in words that are the same for each run with that end; and what was wrong on the way.

Comes in: a Stage that is quiet. Goes out: `end_of`, to compare (I4), and `problems_of`: I1, I2, I5, I8 and I10 of the
project's reliability rules, and the rules of kubernetes' conventions for every status that was ever written.
"""

import json
import re
from collections import Counter
from typing import Any

from modelfetch.api.fetch import ModelFetchSpec
from modelfetch.core.job import spec_hash
from modelfetch.kube.client import Object
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES
from tests import kstatus
from tests.cluster.kill_points.stage import Stage
from tests.simulation import pods
from tests.simulation.oracle import is_ready
from tests.simulation.volume import Volume, digest_of

_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)"), "TIME"),
    (re.compile(r"mf-(rm-)?[0-9a-f]{32}"), "JOB"),
    (re.compile(r"\b(\d+):[0-9a-f]{32}\b"), r"\1:INVENTORY"),
    (re.compile(r"\bplayed-\d+\b"), "NODE"),
)
_LATER = "fetches"
"""The counts of a store: they may be minutes late, whether anybody was killed or not."""


def end_of(stage: Stage) -> dict[str, Any]:
    """Return all that is there."""
    names = {body["metadata"]["uid"]: body["metadata"]["name"] for body in stage.witness.all(MODELFETCHES)}
    objects = {
        f"{kind.kind} {body['metadata']['name']}": {**(body.get("status") or {}), _LATER: None}
        for kind in (MODELFETCHES, MODELSTORES)
        for body in stage.witness.all(kind)
    }
    end = {
        "objects": objects,
        "jobs": sorted(_words(job) for job in stage.witness.all(JOBS)),
        "attempts": dict(sorted(_attempts(stage).items())),
        "volumes": {claim: _contents(volume, names) for claim, volume in stage.cast.volumes.items()},
    }
    return _masked(end, stage.namespace)


def _masked(end: dict[str, Any], namespace: str) -> dict[str, Any]:
    text = json.dumps(end, sort_keys=True).replace(namespace, "NAMESPACE")
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return dict(json.loads(text))


def _words(job: Object) -> str:
    meta = job["metadata"]
    about = meta["annotations"].get("modelfetch.io/fetch-name", "")
    ended = next((c["type"] for c in job["status"].get("conditions") or () if c["type"] in ("Complete", "Failed")), "")
    return f"{meta['labels']['modelfetch.io/task']} {about} {meta['labels'].get('modelfetch.io/attempt', '')} {ended}"


def _attempts(stage: Stage) -> Counter[str]:
    """Return how many Jobs there ever were for each attempt of those who are there; of the others all are gone."""
    made = [versions[0]["metadata"] for versions in stage.witness.histories[JOBS.kind].values()]
    living = {body["metadata"]["uid"] for body in stage.witness.all(MODELFETCHES)}
    fetching = [meta for meta in made if meta["labels"].get("modelfetch.io/fetch") in living]
    return Counter(
        f"{meta['annotations']['modelfetch.io/fetch-name']} {meta['labels']['modelfetch.io/attempt']}"
        for meta in fetching
    )


def _contents(volume: Volume, names: dict[str, str]) -> dict[str, Any]:
    """Of private files only whose they are: the same attempt may be stopped before or after it has some."""
    models = {name: [names.get(m.owner, "(gone)"), m.retain, m.trees] for name, m in volume.models.items()}
    return {"models": models, "private": sorted(names.get(o.owner, "(gone)") for o in volume.private.values())}


def problems_of(stage: Stage) -> list[str]:
    """Return what was wrong at any time."""
    found = list(stage.cast.problems)
    for kind in (MODELFETCHES, MODELSTORES):
        for versions in stage.witness.histories[kind.kind].values():
            name = f"{kind.kind} {versions[0]['metadata']['name']}"
            found += [f"{name}: {problem}" for problem in kstatus.check_versions(_written(versions))]
            found += [f"I10: {name} has finalizers" for body in versions if body["metadata"].get("finalizers")]
    for versions in stage.witness.histories[MODELFETCHES.kind].values():
        found += [problem for body in versions for problem in _false_claims(stage, body)]
    found += [f"I2: '{body['metadata']['name']}' is Ready and not there" for body in _missing(stage)]
    found += [f"I5: {count} Jobs for {attempt}" for attempt, count in _per_attempt(stage).items() if count > 1]
    if "a reconcile failed" in stage.shift.said():
        found.append(f"a reconcile failed: {stage.shift.said()}")
    return found


def _written(versions: list[Object]) -> list[Object]:
    """Each status once: a change of the spec brings the old one again."""
    return [body for n, body in enumerate(versions) if n == 0 or body.get("status") != versions[n - 1].get("status")]


def _false_claims(stage: Stage, body: Object) -> list[str]:
    status, name = body.get("status") or {}, body["metadata"]["name"]
    if status.get("observedGeneration") != body["metadata"]["generation"]:
        return []
    if not is_ready(body):
        return []
    digest, revision = status["artifact"]["digest"], status["artifact"]["revision"]
    wanted = digest_of(spec_hash(ModelFetchSpec.model_validate(body["spec"])), revision)
    is_true = digest == wanted and digest in stage.cast.published
    return [] if is_true else [f"I2: '{name}' is Ready with {digest}, which is not what is wanted and published"]


def _missing(stage: Stage) -> list[Object]:
    ready = [body for body in stage.witness.all(MODELFETCHES) if is_ready(body)]
    return [body for body in ready if not _is_published(stage, body["status"]["artifact"])]


def _is_published(stage: Stage, artifact: Object) -> bool:
    claim, _, path = artifact["uri"].removeprefix("pvc://").partition("/")
    return stage.cast.volumes[claim].has(path, artifact["digest"])


def _per_attempt(stage: Stage) -> Counter[tuple[str, str, str]]:
    made = [versions[0] for versions in stage.witness.histories[JOBS.kind].values()]
    fetching = [job for job in made if job["metadata"]["labels"]["modelfetch.io/task"] == "fetch"]
    return Counter(
        (
            pods.owner_of(job),
            job["metadata"]["annotations"]["modelfetch.io/spec-hash"],
            job["metadata"]["labels"]["modelfetch.io/attempt"],
        )
        for job in fetching
    )
