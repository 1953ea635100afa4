"""The files that the servers serve: made once from a fixed seed, kept between runs, with their SHA-256 in a manifest.

In: a folder and a scale (1 is the full size). Out: `Collection`s, named groups of files under the servers' root, laid
out as a hub lays out a repository, so that one server answers both plain downloads and a hub's clients.
"""

import contextlib
import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMIT = "5eed" * 10
"""The one commit that every repository has."""
SEED = 20_240_101
MIB = 1 << 20
_SEGMENT = 4 * MIB


@dataclass(frozen=True)
class File:
    """A file of a collection: its name, size and SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Collection:
    """Files of one repository `bench/NAME`, below the servers' root."""

    name: str
    root: Path
    files: tuple[File, ...]

    @property
    def repo(self) -> str:
        """The repository's id."""
        return f"bench/{self.name}"

    @property
    def path(self) -> str:
        """The folder of the files, from the root."""
        return f"{self.repo}/resolve/{COMMIT}"

    @property
    def folder(self) -> Path:
        """The folder of the files on disk."""
        return self.root / self.path

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Recipe:
    """How many files of what size a collection has, at full scale, or of which collections it is made."""

    name: str
    count: int = 0
    size: int = 0
    parts: tuple[str, ...] = ()

    def scaled(self, scale: float) -> "Recipe":
        """Return the recipe for a quick run: large files get smaller, small ones fewer."""
        if scale == 1 or self.parts:
            return self
        if self.count == 1:
            return Recipe(self.name, 1, max(64 * 1024, int(self.size * scale)))
        return Recipe(self.name, max(2, int(self.count * scale)), self.size if scale >= 0.01 else min(self.size, 65536))


RECIPES = (
    Recipe("big", 1, 2048 * MIB),
    Recipe("paced", 1, 512 * MIB),
    Recipe("many", 200, 8 * MIB),
    Recipe("tiny", 3000, 8 * 1024),
    Recipe("whole", parts=("big", "many")),
    Recipe("again", parts=("big", "many")),
    Recipe("verify", parts=("big", "many", "paced")),
)
"""`again` is `whole` under another name; `verify` is about 4 GiB."""


def prepare(root: Path, scale: float, names: set[str]) -> dict[str, Collection]:
    """Make what is missing of the named collections below `root` and return them with their listings written."""
    recipes = {recipe.name: recipe.scaled(scale) for recipe in RECIPES}
    made: dict[str, Collection] = {}
    for name in sorted(names, key=list(recipes).index):
        for part in (*recipes[name].parts, name):
            made[part] = made.get(part) or _collection(root, recipes[part], made)
    return {name: made[name] for name in names}


def bytes_on_disk(folder: Path) -> int:
    """Return what the files below a folder take on disk, each file once however many names it has."""
    inodes: dict[int, int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            # What a program still works on may be renamed or removed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                facts = os.lstat(os.path.join(parent, name))
                inodes[facts.st_ino] = facts.st_blocks * 512
    return sum(inodes.values())


def read(path: Path) -> None:
    """All files below a folder, or the one file, have been read."""
    paths = [path] if path.is_file() else [at for at in path.rglob("*") if at.is_file()]
    room = bytearray(_SEGMENT)
    for at in paths:
        with at.open("rb", buffering=0) as stream:
            while stream.readinto(room):
                pass


def _collection(root: Path, recipe: Recipe, made: dict[str, Collection]) -> Collection:
    manifest = root / "manifests" / f"{recipe.name}.json"
    wanted = {"recipe": repr(recipe), "seed": SEED}
    known = json.loads(manifest.read_text()) if manifest.exists() else {}
    if {key: known.get(key) for key in wanted} != wanted:
        shutil.rmtree(root / "bench" / recipe.name, ignore_errors=True)
        files = list(_linked(root, recipe, made) if recipe.parts else _generated(root, recipe))
        known = wanted | {"files": [vars(file) for file in files]}
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps(known))
    collection = Collection(recipe.name, root, tuple(File(**file) for file in known["files"]))
    _write_listing(collection)
    return collection


def _generated(root: Path, recipe: Recipe) -> Iterator[File]:
    folder = Collection(recipe.name, root, ()).folder
    folder.mkdir(parents=True)
    noise = random.Random(SEED).randbytes(min(_SEGMENT, recipe.size))
    for number in range(recipe.count):
        name = "model.safetensors" if recipe.count == 1 else f"{recipe.name}-{number:05}.safetensors"
        name = name if recipe.name != "paced" else "paced.safetensors"
        yield _generate(folder / name, recipe.size, noise, f"{recipe.name}/{number}")


def _generate(path: Path, size: int, noise: bytes, salt: str) -> File:
    """Write a file of noise in which no two segments are the same, and return its facts."""
    hasher = hashlib.sha256()
    with path.open("wb") as stream:
        for start in range(0, size, len(noise)):
            head = hashlib.sha256(f"{salt}/{start}".encode()).digest()
            block = (head + noise[len(head) :])[: size - start]
            hasher.update(block)
            stream.write(block)
    return File(path.name, size, hasher.hexdigest())


def _linked(root: Path, recipe: Recipe, made: dict[str, Collection]) -> Iterator[File]:
    folder = Collection(recipe.name, root, ()).folder
    folder.mkdir(parents=True)
    for part in recipe.parts:
        for file in made[part].files:
            (folder / file.name).hardlink_to(made[part].folder / file.name)
            yield file


def _write_listing(collection: Collection) -> None:
    """Write the answers of a hub's API as files; the servers add `.json` below /api/."""
    rows = [
        {
            "type": "file",
            "path": file.name,
            "size": file.size,
            "oid": file.sha256[:40],
            "lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 134},
        }
        for file in collection.files
    ]
    info = {
        "_id": collection.name,
        "id": collection.repo,
        "modelId": collection.repo,
        "sha": COMMIT,
        "private": False,
        "gated": False,
        "disabled": False,
        "tags": [],
        "siblings": [{"rfilename": file.name} for file in collection.files],
    }
    api = collection.root / "api" / "models" / collection.repo
    for path, answer in [("revision/main", info), (f"revision/{COMMIT}", info), (f"tree/{COMMIT}", rows)]:
        target = api / f"{path}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(answer))
    api.with_name(f"{api.name}.json").write_text(json.dumps(info))
