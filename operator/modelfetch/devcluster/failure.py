"""What the embedded cluster raises and how it talks.

    Exception
    └── ClusterFailure      what failed, why, and what the person at the terminal can do next
        └── SiteFailure     a download site did not give the file; another way to get it may work

These are no FetchErrors: the closed list of reasons speaks about models, not about a developer's machine.
"""

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes one line for the person who waits."""


class ClusterFailure(Exception):
    """The embedded cluster cannot do what was asked; the text names what failed, why and what to do next."""


class SiteFailure(ClusterFailure):
    """A site could not be reached in time, or answered something other than the file that was expected."""
