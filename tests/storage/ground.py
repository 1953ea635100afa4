"""Where a fault of the storage is tried: a store on a faulty volume, with a model published, and a real hub.

Comes in: rules for the volume. Goes out: the last report of a real fetch, and what the oracles say of the store:
nothing wrong under a digest name, what was published before unharmed, and, without the fault, the fetch ends well.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from modelfetch.reasons import Reason
from modelfetch.report import Report
from tests.loopback import fetch, from_hub, published_files
from tests.storage.mounts import Volume
from tests.unit.store import samples

KEPT = {"config.json": b'{"kept":true}', "kept.safetensors": b"what was published before" * 1000}
WEIGHTS = b"".join(hashlib.sha256(bytes([number])).digest() * 32 for number in range(256)) * 5
MODEL = {"config.json": b'{"a":1}', "model.safetensors": WEIGHTS}
"""One small file of git, and one of 1.25 MiB: two writes of the kernel."""
LARGE = {"large.safetensors": WEIGHTS[::-1] * 8}
"""10 MiB: three segments."""
OTHER = {"other.safetensors": bytes(reversed(LARGE["large.safetensors"])) + b"other"}
"""As much, and none of it the same file."""
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
BLOB = f"blobs/sha256/{SHA256[:2]}/{SHA256}"
CONTENT = {"kept": KEPT, "model": MODEL, "large": LARGE, "other": OTHER}
REPOSITORIES = [RepoSpec(f"org/{name}", files) for name, files in CONTENT.items()]


@dataclass(frozen=True)
class Ground:
    """A volume with the model `kept` on it; `hub` has the model that a test fetches."""

    volume: Volume
    hub: FixtureHub
    ended: list[str] = field(default_factory=list)

    def fetch(self, name: str = "model", repo: str | None = None, **fields: Any) -> Report:
        """Return the last report of a fetch of `org/<repo>` onto the volume; it is told which have ended."""
        order = from_hub(self.hub, f"org/{repo or name}", name=name, ended=tuple(self.ended[-16:]), **fields)
        report = fetch(order, self.volume.path)
        self.ended.append(order.attempt)
        return report

    def wrong(self) -> list[str]:
        """Return what is wrong below the faults: with any digest name, or with what was published before."""
        found = samples.violations(self.volume.below)
        return found if published_files(self.volume.below, "kept") == KEPT else [*found, "'kept' was harmed"]

    def require_good_end(self, name: str = "model", repo: str | None = None, can_tidy: bool = True) -> None:
        """Without any fault, a fetch ends well: everything is there, whole, and nothing is left over.

        Where the volume did not let the earlier fetch tidy up (`can_tidy`), a sweep does so some days later.
        """
        self.volume.lift()
        report = self.fetch(name, repo)

        assert report.ok, report.message
        assert published_files(self.volume.below, name) == CONTENT[repo or name]
        assert [] == self.wrong()
        assert not can_tidy or [] == samples.leftovers(self.volume.below)

    def require_refused(self, report: Report, reason: Reason, name: str = "model", can_tidy: bool = True) -> None:
        """The fetch ended with `reason`, nothing of it is to be seen, nothing is wrong, and the next one ends well."""
        assert (reason, False) == (report.reason, report.ok), report.message
        assert {} == published_files(self.volume.below, name)
        assert [] == self.wrong()
        self.require_good_end(name, can_tidy=can_tidy)

    def sent(self) -> int:
        """Return how many bytes of large files the hub has sent so far."""
        return sum(record.bytes_sent for record in self.hub.requests if record.port == "cdn")
