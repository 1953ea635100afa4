"""The operator as tests start it: it lists everything and looks at everybody at once, too, when SIGUSR1 asks for that.

Comes in: the operator's flags. Goes out: the operator, nothing else in it changed; `LOOKED` in its log, once it has.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from unittest import mock

from modelfetch.controller import main
from modelfetch.controller.loop import Loop, resync_for_ever

LOOKED = "has looked at everybody, as it was asked to"
Resync = Callable[[Loop, float], Awaitable[None]]

log = logging.getLogger(__name__)


def run(resync: Resync = resync_for_ever) -> None:
    """Run the operator; `resync` is how it lists everything by itself."""

    async def both(loop: Loop, listed_in_s: float) -> None:
        await asyncio.gather(resync(loop, listed_in_s), _resync_when_asked(loop))

    with mock.patch.object(main, "resync_for_ever", both):
        main.main()


async def _resync_when_asked(loop: Loop) -> None:
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, asked.set)
    while True:
        await asked.wait()
        asked.clear()
        await loop.resync()
        await loop.queue.until_done()
        log.warning(LOOKED)


if __name__ == "__main__":
    run()
