"""What the status says where a look at a ModelFetch could not be ended: a defect of the operator's own.

Comes in: the ModelFetch and words of what was raised. Goes out: a status, or None where what stands there is settled.
"""

from datetime import datetime

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.core.conditions import Standing, explained, steps_of, timestamp
from modelfetch.core.status import assemble
from modelfetch.reasons import Reason

_SETTLED = ("Ready", "Failed", "Suspended")


def after_defect(fetch: ModelFetch, words: str, now: datetime, again_at: datetime) -> ModelFetchStatus | None:
    """Return the status that names the defect until a look succeeds; `again_at` is when the next one is made.

    What was said of attempts stays, as the next look goes on from it. What is published, has ended or is suspended is
    so whether anybody can look or not.
    """
    if fetch.status.phase in _SETTLED or fetch.metadata.deletion_timestamp is not None:
        return None
    steps = steps_of(fetch.status.conditions)
    standing = Standing("blocked", "Pending", Reason.INTERNAL, explained(Reason.INTERNAL, words), *steps)
    return assemble(fetch, standing, now, next_retry_time=timestamp(again_at))
