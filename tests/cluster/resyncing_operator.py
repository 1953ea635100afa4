"""The operator with a full list every few seconds, so that a test need not wait ten minutes for one.

So it does not wait as long either until a watch that owes an event is silent.

Comes in: the operator's flags. Goes out: the operator of operator_main.py, nothing else in it changed.
"""

from modelfetch.controller import loop, vigil
from tests.cluster import operator_main

RESYNC_S, SILENT_S = 3.0, 6.0

if __name__ == "__main__":
    loop.RESYNC_S, vigil.SILENT_S = RESYNC_S, SILENT_S
    operator_main.run()
