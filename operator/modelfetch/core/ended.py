"""Which earlier attempts are proven to have ended, so that the next one may take over their files as they are.

Comes in: the Jobs of a fetch with all that the cluster says about their Pods. Goes out: names for `FetchOrder.ended`.
Proof is a statement of the kubelet that every container has ended: with restartPolicy Never none of them starts again.
A lost node makes no such statement, so its Ready condition need not be asked. A Pod or Job that is gone proves nothing:
its processes may go on, on a node that nobody hears from. The fetcher copies what it finds of an attempt without proof.
"""

from collections.abc import Iterable

from modelfetch.api.order import ENDED_LIMIT
from modelfetch.core.observed import JobSeen, PodEnd


def is_proven(job: JobSeen) -> bool:
    """True when no process of the Job runs or ever will: it makes no more Pods, and each it ever had is seen ended."""
    if job.result == "Running" or job.pods_open or len(job.pods) != job.pods_ended:
        return False
    return job.pods_ended > 0 and all(map(_has_ended, job.pods))


def _has_ended(pod: PodEnd) -> bool:
    return pod.terminated and not pod.forced and not pod.lost


def proven_attempts(jobs: Iterable[JobSeen]) -> tuple[str, ...]:
    """Return the names of attempts that have ended, at most ENDED_LIMIT, the newest last.

    A Job passes on what was proven when it was made, so an attempt stays proven after its own Job has gone.
    """
    names: dict[str, None] = {}
    for job in sorted(jobs, key=lambda job: (job.created_at, job.name)):
        own = (job.name,) if is_proven(job) else ()
        for name in (*job.proven, *own):
            names.pop(name, None)
            names[name] = None
    return tuple(names)[-ENDED_LIMIT:]
