"""What a document points to is there: links, paths and make targets."""

import re

from tests.tree import PACKAGE, ROOT, documents

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|[\n;&`] *(?:\$ )?)make ([a-z][a-z0-9-]*)")
TOP = r"(?:operator|crds|deploy|charts|tests|docs|examples|benchmarks|scripts|requirements|\.ci)/"
LAYER = r"(?:api|core|transfer|store|sources|kube|controller|fetcher|cli|devcluster|agent|service)/"
PATH = re.compile(rf"(?:{TOP}[\w./{{}},*-]*|{LAYER}[\w./{{}},*-]*\.py)(?:::\w+)?")


def expand(text: str) -> list[str]:
    """Return the paths that `a/{b,c}.py` stands for."""
    if not (braces := re.search(r"\{([^{}]*)\}", text)):
        return [text]
    return [name for part in braces[1].split(",") for name in expand(text.replace(braces[0], part, 1))]


def exists(path: str) -> bool:
    """Return whether `path` names something, from the repository's root or from the package."""
    return any(any(base.glob(path.rstrip("/"))) for base in (ROOT, PACKAGE))


def targets() -> set[str]:
    """Return the names of the Makefile's targets."""
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_links_lead_somewhere() -> None:
    """Every relative link of a document leads to a file or folder."""
    links = {(document, link) for document in documents() for link in LINK.findall(FENCE.sub("", document.read_text()))}

    assert set() == {(document.name, link) for document, link in links if not (document.parent / link).exists()}


def test_named_paths_exist() -> None:
    """Every path in code type is there, so a map of the tree cannot go stale."""
    named = {
        (document.name, path)
        for document in documents()
        for span in CODE.findall(FENCE.sub("", document.read_text()))
        if PATH.fullmatch(span)
        for path in expand(span.partition("::")[0])
    }

    assert set() == {(document, path) for document, path in named if not exists(path)}


def test_named_make_targets_exist() -> None:
    """Every `make` command of a document is one that the Makefile has."""
    named = {(document.name, name) for document in documents() for name in COMMAND.findall(document.read_text())}

    assert set() == {(document, name) for document, name in named if name not in targets()}


def test_help_lists_every_target() -> None:
    """`make help` shows each target that is not an inner step."""
    listed = set(re.findall(r"^([a-z][a-z0-9-]*):.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {"lint-and-unit"} == targets() - listed
