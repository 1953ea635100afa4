"""What the status says where a look at a ModelFetch could not be ended: a defect of the operator's own.

Comes in: the ModelFetch and words of what was raised. Goes out: a status, or None where what stands there is settled.
"""

from datetime import datetime, timedelta

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.core.conditions import Standing, explained, steps_of, timestamp
from modelfetch.core.status import assemble
from modelfetch.reasons import Reason

TOLD_S = 300.0
"""Seconds to the time that is told of the next look. There is one sooner, after a minute at the most; but a status that
is written each minute, of all fetches where all looks fail, is what the API server has to bear then, too."""


def after_defect(fetch: ModelFetch, words: str, now: datetime) -> ModelFetchStatus | None:
    """Return the status that names the defect until a look succeeds.

    What was said of attempts stays, as the next look goes on from it: the time of the next one, too. What is published,
    has ended or is suspended is so whether anybody can look or not.
    """
    if _is_settled(fetch) or fetch.metadata.deletion_timestamp is not None:
        return None
    steps = steps_of(fetch.status.conditions)
    standing = Standing("blocked", "Pending", Reason.INTERNAL, explained(Reason.INTERNAL, words), *steps)
    told = fetch.status.next_retry_time
    if fetch.status.attempt is None and (told is None or datetime.fromisoformat(told) <= now):
        told = timestamp(now + timedelta(seconds=TOLD_S))
    return assemble(fetch, standing, now, next_retry_time=told)


def _is_settled(fetch: ModelFetch) -> bool:
    is_of_this_spec = fetch.status.observed_generation == fetch.metadata.generation
    return fetch.status.is_ready or (fetch.status.phase in ("Failed", "Suspended") and is_of_this_spec)
