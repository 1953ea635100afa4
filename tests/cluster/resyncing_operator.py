"""The operator with a full list every few seconds, so that a test need not wait ten minutes for one.

So it does not wait as long either until a watch that owes an event is silent.

Comes in: the operator's flags. Goes out: the operator, nothing else in it changed.
"""

from modelfetch.controller import loop, vigil
from modelfetch.controller.main import main

RESYNC_S, SILENT_S = 3.0, 6.0

if __name__ == "__main__":
    loop.RESYNC_S, vigil.SILENT_S = RESYNC_S, SILENT_S
    main()
