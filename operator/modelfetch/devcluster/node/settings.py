"""What a process node is told once, at its start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Capacity:
    """What the node offers to Pods, as Kubernetes quantities."""

    cpu: str
    memory: str
    pods: str

    def as_map(self) -> dict[str, str]:
        """Return the resource names with their quantities."""
        return {"cpu": self.cpu, "memory": self.memory, "pods": self.pods}


@dataclass(frozen=True)
class Settings:
    """One node. `python_env` is the environment whose bin folder leads the PATH of Pods; `work_dir` is the node's.

    `marks` are variables that every process of the node carries, so that its cluster can find them all.
    """

    name: str
    image: str
    work_dir: Path
    python_env: Path
    capacity: Capacity
    server: str
    heartbeat_s: float
    marks: Mapping[str, str]

    @property
    def pods_dir(self) -> Path:
        """Where the folders of Pods are, one per uid."""
        return self.work_dir / "pods"
