"""The operator with a full list every few seconds, so that a test need not wait ten minutes for one.

Comes in: the operator's flags. Goes out: the operator, nothing else in it changed.
"""

from modelfetch.controller import loop
from modelfetch.controller.main import main

RESYNC_S = 3.0

if __name__ == "__main__":
    loop.RESYNC_S = RESYNC_S
    main()
