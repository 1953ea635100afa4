"""When each of the attempts that run is looked at again: few of them often, many of them each in its turn.

Comes in: one look. Goes out: a time. Pure: the turn of an attempt is a function of its fetch's uid and of how many run.
"""

import math
import zlib
from datetime import datetime, timedelta

from modelfetch.core.look import Look

POLL_S = 2.0
"""Seconds between looks at a running attempt's report; writes are held back by the loop, phase changes are not."""
POLLS_PER_S = 15.0
"""Looks at reports a second, over all attempts: of many each is looked at less often. What ends an attempt comes as an
event, and so do most things that keep a Pod from starting. Three quarters of the reads that the operator allows itself
(controller/observe.py): the others are for attempts that have just started, and for what Events say."""
PERIODS = 1.25
"""How much longer the next longer period is in which each of many attempts is looked at once."""
NOT_STARTED_S = 10.0
"""Longest time between looks at a Pod that does not run: what its Events say has to be read."""


def next_turn(look: Look) -> datetime:
    """Return when an attempt is looked at again: of many each less often, so that all stay within a budget."""
    share_s = look.seen.running / POLLS_PER_S
    if look.pod is None or look.pod.phase != "Running":
        return look.now + timedelta(seconds=max(POLL_S, min(share_s, NOT_STARTED_S)))
    return look.now + timedelta(seconds=POLL_S if share_s <= POLL_S else _until_turn_s(look, share_s))


def _until_turn_s(look: Look, share_s: float) -> float:
    """Each uid has its moment in a period: of many that started together the same ones would always come too late.

    The period is one of few, so that the moments stay where they are while attempts come and go.
    """
    period_s = POLL_S * PERIODS ** math.ceil(math.log(share_s / POLL_S, PERIODS))
    moment_s = period_s * zlib.crc32(look.meta.uid.encode()) / 2**32
    earliest_s = look.now.timestamp() + period_s / 2
    return period_s / 2 + (moment_s - earliest_s) % period_s
