"""What is on a claim's volume, by the rules of store/: one folder for each model, one record of whose it is.

All revisions of a model are kept while its owner lives; a removal takes the whole folder of an owner. That a published
tree is durable and right is shown in tests/crash; here it is there, or it is not.
"""

import hashlib
from dataclasses import dataclass, field

from modelfetch.api.order import CheckOrder, FetchOrder, RemovalTarget, SurveyOrder
from modelfetch.core.store import owner_mark, published_mark
from modelfetch.report import Artifact, Owner


def digest_of(spec_hash: str, commit: str) -> str:
    """Return the digest of what a spec asks for at a commit."""
    return "sha256:" + hashlib.sha256(f"{spec_hash}/{commit}".encode()).hexdigest()


@dataclass
class Model:
    """The folder of one name: whose it is, and the digest of each published tree."""

    owner: str
    retain: bool
    trees: dict[str, str] = field(default_factory=dict)


class Volume:
    """The models and the private files on one volume."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.private: dict[str, Owner] = {}
        """Whose files each attempt has that are not published."""

    def begin(self, order: FetchOrder) -> None:
        """An attempt has files of its own."""
        self.private[order.attempt] = Owner(namespace=order.namespace, name=order.name, owner=order.owner)

    def publish(self, order: FetchOrder, spec_hash: str, commit: str) -> Artifact:
        """Publish what was asked for; the folder is the order's owner's from now on."""
        digest = digest_of(spec_hash, commit)
        path = f"models/{order.namespace}/{order.name}/{commit[:7]}-{digest[7:19]}"
        model = self.models.setdefault(order.name, Model(order.owner, retain=False))
        model.owner, model.retain = order.owner, order.deletion_policy == "Retain"
        model.trees[path] = digest
        self.private.pop(order.attempt, None)
        return Artifact(digest=digest, path=path, commit=commit, files=1, bytes=2048)

    def has(self, path: str, digest: str) -> bool:
        """Return whether this tree is published."""
        return any(model.trees.get(path) == digest for model in self.models.values())

    def remove(self, targets: tuple[RemovalTarget, ...]) -> tuple[Owner, ...]:
        """Take away what these owners have, published trees only where they are not retained; return all of them."""
        for target in targets:
            self.private = {name: owner for name, owner in self.private.items() if owner.owner != target.owner}
            model = self.models.get(target.name)
            if model is not None and model.owner == target.owner and not target.retain and not model.retain:
                del self.models[target.name]
        return tuple(Owner(namespace=t.namespace, name=t.name, owner=t.owner) for t in targets)

    def survey(self, order: SurveyOrder) -> tuple[Owner, ...]:
        """Return whose files belong to nobody living."""
        found = {owner.owner: owner for owner in self.private.values()}
        for name, model in self.models.items():
            if not model.retain:
                found[model.owner] = Owner(namespace=order.namespace, name=name, owner=model.owner)
        return tuple(owner for uid, owner in sorted(found.items()) if owner_mark(uid) not in order.live)

    def check(self, order: CheckOrder) -> tuple[str, ...]:
        """Return which of these models are not here."""
        models = self.models.values()
        here = {published_mark(model.owner, digest) for model in models for digest in model.trees.values()}
        return tuple(mark for mark in order.published if mark not in here)

    def owners(self) -> set[str]:
        """Return the uids of all who have something here that is not to be retained."""
        private = {owner.owner for owner in self.private.values()}
        return private | {model.owner for model in self.models.values() if not model.retain}
