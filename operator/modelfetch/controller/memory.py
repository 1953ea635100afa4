"""What is remembered from one look to the next, besides the mirror: the looks at fetches and at stores share it.

None of it is written down. A new operator finds it again in the lists, the stores' inventories and the Lease.
"""

from dataclasses import dataclass, field

from modelfetch.controller.checks import Checks
from modelfetch.controller.claims import Claims
from modelfetch.controller.departed import Departed
from modelfetch.controller.inventory import Inventories
from modelfetch.controller.mirror import Key
from modelfetch.controller.since import Since


@dataclass(frozen=True)
class Memory:
    """Each part says itself what it keeps."""

    departed: Departed
    checks: Checks
    edits: Since
    """Since when the spec of a fetch whose attempt runs is another than the one that its status tells of."""
    claims: Claims = field(default_factory=Claims)
    inventories: Inventories[Key] = field(default_factory=Inventories)
