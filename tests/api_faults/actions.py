"""What can befall a request between the operator and the API server, and what can befall a watch.

Comes in: nothing. Goes out: frozen values, which proxy.py (requests) and stream.py (watches) carry out. `do` names each
in a plan's JSON.
"""

from dataclasses import dataclass, field
from typing import Literal

from pydantic import ConfigDict


class _Strict:
    """A field that nobody knows is refused where a plan is read."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Kill(_Strict):
    """The client is killed, by the callback that the test gave."""

    do: Literal["kill"] = field(default="kill", kw_only=True)


@dataclass(frozen=True)
class Drop(_Strict):
    """The connection is closed in order: TLS says goodbye, HTTP says nothing."""

    do: Literal["drop"] = field(default="drop", kw_only=True)


@dataclass(frozen=True)
class Reset(_Strict):
    """The connection ends by RST."""

    do: Literal["reset"] = field(default="reset", kw_only=True)


@dataclass(frozen=True)
class Delay(_Strict):
    """Nothing happens for `seconds`."""

    seconds: float
    do: Literal["delay"] = field(default="delay", kw_only=True)


@dataclass(frozen=True)
class Linger(_Strict):
    """A write is on its way for `seconds`, and arrives then, whether its client is still there or not."""

    seconds: float
    do: Literal["linger"] = field(default="linger", kw_only=True)


@dataclass(frozen=True)
class Answer(_Strict):
    """This answer instead of the true one: a Status with `reason` and `message`, or `text` as a balancer would say."""

    status: int
    reason: str = ""
    message: str = "injected"
    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""
    do: Literal["answer"] = field(default="answer", kw_only=True)


@dataclass(frozen=True)
class Truncate(_Strict):
    """The first `keep` bytes of the true body, and no more; `honest` says so in Content-Length, else it is too long."""

    keep: int
    honest: bool = False
    do: Literal["truncate"] = field(default="truncate", kw_only=True)


@dataclass(frozen=True)
class TimeTravel(_Strict):
    """A read is answered as it would have been before the last `writes` writes; a watch starts there."""

    writes: int
    do: Literal["time-travel"] = field(default="time-travel", kw_only=True)


@dataclass(frozen=True)
class Close(_Strict):
    """The watch ends after so many events: in order as the server ends it, without the last chunk, or by RST."""

    after: int
    how: Literal["end", "cut", "reset"] = "end"
    do: Literal["close"] = field(default="close", kw_only=True)


@dataclass(frozen=True)
class Silence(_Strict):
    """After so many events the watch stays open and nothing more comes, not even a bookmark."""

    after: int
    do: Literal["silence"] = field(default="silence", kw_only=True)


@dataclass(frozen=True)
class Lose(_Strict):
    """One event never comes."""

    event: int
    do: Literal["lose"] = field(default="lose", kw_only=True)


@dataclass(frozen=True)
class Repeat(_Strict):
    """One event comes twice."""

    event: int
    do: Literal["repeat"] = field(default="repeat", kw_only=True)


@dataclass(frozen=True)
class Pause(_Strict):
    """One event, and all that follow, come `seconds` later than they could."""

    event: int
    seconds: float
    do: Literal["pause"] = field(default="pause", kw_only=True)


@dataclass(frozen=True)
class Coalesce(_Strict):
    """Of `events` events from the event `first` on, only the newest of each name comes, when all are there."""

    first: int
    events: int
    do: Literal["coalesce"] = field(default="coalesce", kw_only=True)


@dataclass(frozen=True)
class Expire(_Strict):
    """After so many events the server says that the revision is too old, and ends the watch."""

    after: int
    do: Literal["expire"] = field(default="expire", kw_only=True)


Disturbance = Kill | Drop | Reset | Delay | Linger | Answer | Truncate | TimeTravel
"""What befalls a request."""
Edit = Close | Silence | Lose | Repeat | Pause | Coalesce | Expire
"""What befalls the events of a watch. Events count from 1, those of the rule's names only; bookmarks never count."""
Action = Disturbance | Edit
