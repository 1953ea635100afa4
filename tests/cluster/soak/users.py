"""What people do meanwhile: they want models, edit, suspend, ask again, delete; and what they are owed in the end.

In: the world and the hub's models. Out: ModelFetches, and for each what its spec asks for when all is quiet.
"""

import random
from dataclasses import dataclass, field, replace

from modelfetch.devcluster.hub.hub import FixtureHub
from tests.cluster.world import Object, World, repo

RETRY = {"initialDelay": "1s", "maxDelay": "4s", "limit": 50}


@dataclass(frozen=True)
class Wish:
    """What a fetch asks for: which files, and whether it is suspended."""

    files: tuple[str, ...] = ("config.json", "model.safetensors")
    suspended: bool = False


@dataclass
class Users:
    """They remember what they asked for."""

    world: World
    hub: FixtureHub
    chance: random.Random
    wishes: dict[str, Wish] = field(default_factory=dict)
    dropped: int = 0

    def want_all(self, names: list[str]) -> None:
        """Ask for all of these at once."""
        self.wishes = dict.fromkeys(names, Wish())
        self.world.apply(*(self._body(name, wish) for name, wish in self.wishes.items()))

    def act(self) -> None:
        """One of them does something."""
        name = self.chance.choice(sorted(self.wishes))
        act = self.chance.choice((self._edit, self._suspend_or_resume, self._ask_again, self._delete_and_want_anew))
        act(name)

    def _edit(self, name: str) -> None:
        files = self.chance.choice((("config.json",), ("model.safetensors",), Wish().files))
        self._wish(name, replace(self.wishes[name], files=files))

    def _suspend_or_resume(self, name: str) -> None:
        self._wish(name, replace(self.wishes[name], suspended=not self.wishes[name].suspended))

    def _ask_again(self, name: str) -> None:
        at = f"modelfetch.io/reconcile-at={self.chance.getrandbits(32)}"
        self.world.try_kubectl("annotate", "--overwrite", "modelfetch", name, at)

    def _delete_and_want_anew(self, name: str) -> None:
        if self.world.try_kubectl("delete", "modelfetch", name, "--wait=true", "--timeout=30s").returncode == 0:
            self.dropped += 1
            self._wish(name, Wish())

    def _wish(self, name: str, wish: Wish) -> None:
        self.world.apply(self._body(name, wish))
        self.wishes[name] = wish

    def _body(self, name: str, wish: Wish) -> Object:
        files = {} if wish.files == Wish().files else {"include": list(wish.files)}
        spec = {
            **self.world.auth,
            "source": repo(self.hub, f"soak/{name}"),
            "retry": RETRY,
            "suspend": wish.suspended,
            "files": files,
        }
        meta = {"name": name}
        return {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelFetch", "metadata": meta, "spec": spec}

    def unfulfilled(self) -> dict[str, str]:
        """Return the fetches that are not as they were asked to be, with what they say."""
        bodies = {body["metadata"]["name"]: body for body in self.world.all("modelfetch")}
        assert set(self.wishes) == set(bodies), "a fetch came or went by itself"
        return {
            name: _word(bodies[name]) for name, wish in self.wishes.items() if not _is_fulfilled(bodies[name], wish)
        }


def _is_fulfilled(body: Object, wish: Wish) -> bool:
    status = body.get("status") or {}
    is_of_spec = status.get("observedGeneration") == body["metadata"]["generation"]
    asked = (body["metadata"].get("annotations") or {}).get("modelfetch.io/reconcile-at")
    if wish.suspended:
        return is_of_spec and status.get("phase") == "Suspended"
    return is_of_spec and status.get("phase") == "Ready" and asked in (None, status.get("lastHandledReconcileAt"))


def _word(body: Object) -> str:
    status = body.get("status") or {}
    return f"{status.get('phase')}: {next((c['message'] for c in status.get('conditions') or ()), 'nothing')}"
