"""What tests of sources and programs share: egress rules that allow loopback, and a session behind them."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from modelfetch.api.order import Egress
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.curl import Limits, Session
from modelfetch.transfer.guard import Credential, EgressRules, parse_url
from modelfetch.transfer.retry import Retry

EGRESS = Egress(allow_networks=("127.0.0.0/8",), allow_ports=(), allow_http=True)
CLOCK = Clock(monotonic=time.monotonic, now=lambda: datetime.now(UTC))


@contextmanager
def loopback_session(
    waits: list[float] | None = None, retries: int = 3, egress: Egress = EGRESS, stall_timeout_s: float = 10.0
) -> Iterator[Session]:
    """Hold a session to loopback whose retries do not wait: the delays are appended to `waits`."""
    told = [] if waits is None else waits

    def note(delay_s: float) -> bool:
        told.append(delay_s)
        return False

    retry = Retry(retries=retries, chance=random.Random(0).random, wait=note, monotonic=time.monotonic)
    rules, limits = EgressRules.from_order(egress), Limits(stall_timeout_s=stall_timeout_s)
    with Session(rules, CLOCK, threading.Event(), limits=limits, retry=retry) as session:
        yield session


def credential(address: str, token: str) -> Credential:
    """Return a token bound to the origin of `address`."""
    return Credential(parse_url(address).origin, token)
