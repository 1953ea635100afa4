"""Each import rule catches what it is there to catch: one wrong import planted at a time, in a copy of the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import PACKAGE, ROOT

PLANTED = [
    ("layers", "core/planted.py", "import modelfetch.store"),
    ("layers", "fetcher/planted.py", "import modelfetch.controller"),
    ("layers", "sources/planted.py", "import modelfetch.store"),
    ("layers", "helpers.py", ""),
    ("acyclic", "reasons.py", "import modelfetch.errors"),
    ("pure", "core/planted.py", "from time import monotonic as now"),
    ("pure", "api/meta.py", "import os"),
    ("fetcher-alone", "fetcher/planted.py", "import modelfetch.kube"),
    ("operator-apart", "controller/planted.py", "import modelfetch.sources"),
    ("one-kubernetes", "controller/planted.py", "import aiohttp"),
    ("one-kopf", "controller/planted.py", "import kopf"),
    ("one-curl", "sources/planted.py", "import pycurl"),
    ("one-hub", "sources/planted.py", "import huggingface_hub"),
    ("one-hash", "store/planted.py", "import blake3"),
    ("one-log", "controller/planted.py", "import structlog"),
    ("one-terminal", "fetcher/planted.py", "import rich.progress"),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package with the project's configuration."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "operator" / "modelfetch", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(("contract", "path", "line"), PLANTED, ids=[f"{row[0]}-{row[1]}" for row in PLANTED])
def test_a_wrong_import_is_caught(copy: Path, contract: str, path: str, line: str) -> None:
    """The contract that is named for the rule breaks where one line breaks the rule."""
    module = copy / "operator" / "modelfetch" / path
    before = module.read_text() if module.exists() else None
    module.write_text(f"{before or ''}\n{line}\n")
    try:
        found = lint(copy, contract)
    finally:
        module.unlink() if before is None else module.write_text(before)

    assert "0 kept, 1 broken" in found, found


@pytest.mark.parametrize("contract", sorted({row[0] for row in PLANTED}))
def test_the_package_keeps_the_rule(copy: Path, contract: str) -> None:
    """Without a planted import the same contract holds, so the tests above fail for the right reason."""
    found = lint(copy, contract)

    assert "1 kept, 0 broken" in found, found


def lint(folder: Path, contract: str) -> str:
    """Return what import-linter says about one contract of the copy in `folder`."""
    code = "import sys; sys.path.insert(0, 'operator'); from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", code, "--no-logo", "--no-cache", "--contract", contract]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    return done.stdout + done.stderr
