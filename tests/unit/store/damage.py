"""Seeded damage to a store, and what a look must call it: done with plain file calls, none of the code under test."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelfetch.store.findings import Kind

Expected = set[tuple[str, Kind]]


@dataclass(frozen=True)
class Place:
    """A store to damage, and where the dice come from."""

    root: Path
    dice: random.Random

    def pick(self, pattern: str) -> Path:
        """Return one of the files that match; an empty one has nothing to damage."""
        paths = sorted(self.root.glob(pattern))
        return self.dice.choice([path for path in paths if path.lstat().st_size > 0])

    def name(self, path: Path) -> str:
        return str(path.relative_to(self.root))


BLOBS, MANIFESTS, SUMS, OWNERS = "blobs/sha256/*/*", "manifests/sha256/*", "blobs/blake3/*/*", "models/*/*/owner.json"


def rewrite(path: Path, data: bytes) -> None:
    """Change the content of a read-only file under the hands of its readers, as a failing disk does."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    path.chmod(mode)


def flip(place: Place, pattern: str, kind: Kind) -> Expected:
    path = place.pick(pattern)
    data = bytearray(path.read_bytes())
    data[place.dice.randrange(len(data))] ^= 1 << place.dice.randrange(8)
    rewrite(path, bytes(data))
    return {(place.name(path), kind)}


def cut(place: Place, pattern: str, kind: Kind) -> Expected:
    path = place.pick(pattern)
    data = path.read_bytes()
    rewrite(path, data[: place.dice.randrange(len(data))])
    return {(place.name(path), kind)}


def grow(place: Place) -> Expected:
    path = place.pick(BLOBS)
    rewrite(path, path.read_bytes() + b"\0" * place.dice.randrange(1, 5000))
    return {(place.name(path), Kind.WRONG_SIZE)}


def zero(place: Place) -> Expected:
    """Zeros in place of the end, as a file system leaves it that had the length but not the data."""
    path = place.pick(BLOBS)
    data = path.read_bytes()
    start = place.dice.randrange(len(data))
    rewrite(path, data[:start] + b"\0" * (len(data) - start))
    return {(place.name(path), Kind.CORRUPT)}


def swap(place: Place, pattern: str, kind: Kind) -> Expected:
    one = place.pick(pattern)
    while (other := place.pick(pattern)) == one:
        pass
    first, second = one.read_bytes(), other.read_bytes()
    rewrite(one, second)
    rewrite(other, first)
    return {(place.name(one), kind), (place.name(other), kind)}


def tree_files(place: Place) -> list[Path]:
    return sorted(path for path in place.root.glob("models/*/*/*-*/**/*") if path.is_symlink() or not path.is_dir())


def swap_in_trees(place: Place) -> Expected:
    one = place.dice.choice(tree_files(place))
    other = place.dice.choice([path for path in tree_files(place) if path.read_bytes() != one.read_bytes()])
    between = one.with_name("between")
    one.rename(between)
    other.rename(one)
    between.rename(other)
    return {(place.name(one), Kind.WRONG_LINK), (place.name(other), Kind.WRONG_LINK)}


def delete(place: Place, pattern: str) -> Expected:
    path = place.pick(pattern)
    path.unlink()
    return {(place.name(path), Kind.MISSING)}


def delete_manifest(place: Place) -> Expected:
    path = place.pick(MANIFESTS)
    path.unlink()
    return {(f"manifests/sha256/{path.name[:12]}*.json", Kind.MISSING)}


def delete_in_tree(place: Place) -> Expected:
    path = place.dice.choice(tree_files(place))
    path.unlink()
    return {(place.name(path), Kind.MISSING)}


def add(place: Place) -> Expected:
    patterns = ("blobs", "blobs/*/*", "blobs/sha256", "manifests", "manifests/*", "models", "models/*", "models/*/*")
    folders = {place.root, *(path for pattern in patterns for path in place.root.glob(pattern) if path.is_dir())}
    folder = place.dice.choice(sorted(folders))
    path = folder / f"extra-{place.dice.randrange(100)}"
    path.write_bytes(b"extra")
    return {(place.name(path), Kind.EXTRA)}


def add_in_tree(place: Place) -> Expected:
    folder = place.dice.choice(tree_files(place)).parent
    path = folder / "extra"
    if place.dice.random() < 0.5:
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    return {(place.name(path), Kind.EXTRA)}


def copy_in_tree(place: Place) -> Expected:
    """A file of a tree that is a copy of its blob: a change of the one is not seen in the other."""
    path = place.dice.choice(tree_files(place))
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    return {(place.name(path), Kind.WRONG_LINK)}


def mislead(place: Place) -> Expected:
    path = place.pick("models/*/*/current")
    path.unlink()
    path.symlink_to(place.dice.choice(["nowhere", "../other", "/etc"]))
    return {(place.name(path), Kind.WRONG_LINK)}


def mislead_hint(place: Place) -> Expected:
    path = place.pick("blobs/git/*/*")
    text = os.readlink(path)
    path.unlink()
    path.symlink_to(place.dice.choice(["nowhere", text + "0", "../" + text]))
    return {(place.name(path), Kind.WRONG_HINT)}


def open_up(place: Place) -> Expected:
    path = place.pick(BLOBS)
    path.chmod(place.dice.choice([0o644, 0o664, 0o466, 0o400, 0o440]))
    return {(place.name(path), Kind.WRONG_MODE)}


def close_off(place: Place) -> Expected:
    passed = (path for pattern in ("models/*", "models/*/*", "blobs/sha256/*") for path in place.root.glob(pattern))
    path = place.dice.choice(sorted({*passed, *(path.parent for path in tree_files(place))}))
    path.chmod(0o700)
    return {(place.name(path), Kind.WRONG_MODE)}


def plant(place: Place) -> Expected:
    """A blob whose content was never that of its name, under a name that nothing refers to."""
    sha256 = f"{place.dice.randrange(2**256):064x}"
    path = place.root / "blobs" / "sha256" / sha256[:2] / sha256
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"planted")
    path.chmod(0o444)
    return {(place.name(path), Kind.CORRUPT)}


DAMAGES: dict[str, Callable[[Place], Expected]] = {
    "bit flip in a blob": lambda place: flip(place, BLOBS, Kind.CORRUPT),
    "bit flip in a manifest": lambda place: flip(place, MANIFESTS, Kind.CORRUPT),
    "bit flip in sums": lambda place: flip(place, SUMS, Kind.WRONG_HINT),
    "zeros in a blob": zero,
    "truncated blob": lambda place: cut(place, BLOBS, Kind.WRONG_SIZE),
    "truncated manifest": lambda place: cut(place, MANIFESTS, Kind.CORRUPT),
    "truncated record": lambda place: cut(place, OWNERS, Kind.CORRUPT),
    "truncated sums": lambda place: cut(place, SUMS, Kind.WRONG_HINT),
    "longer blob": grow,
    "swapped blobs": lambda place: swap(place, BLOBS, Kind.SWAPPED),
    "swapped manifests": lambda place: swap(place, MANIFESTS, Kind.SWAPPED),
    "swapped records": lambda place: swap(place, OWNERS, Kind.SWAPPED),
    "swapped files of trees": swap_in_trees,
    "deleted blob": lambda place: delete(place, BLOBS),
    "deleted manifest": delete_manifest,
    "deleted record": lambda place: delete(place, OWNERS),
    "deleted current": lambda place: delete(place, "models/*/*/current"),
    "deleted file of a tree": delete_in_tree,
    "extra file": add,
    "extra in a tree": add_in_tree,
    "planted blob": plant,
    "copy in a tree": copy_in_tree,
    "current elsewhere": mislead,
    "git id elsewhere": mislead_hint,
    "writable or private blob": open_up,
    "private folder": close_off,
}
"""What is done, and what must be found for it, whatever else is found because of it."""
