"""Rules about files that no linter knows."""

import re
import subprocess
import sys
from pathlib import Path

from tests.tree import PACKAGE, ROOT, attributes, modules, tracked

KOPF_HANDLERS = re.compile(r"^kopf\.(on\.(create|update|delete|resume|field|timer|daemon)|daemon|timer)\b")


def test_operator_folder_is_no_package() -> None:
    """With operator/__init__.py and the repository on the path, `import operator` would be ours: Python would break."""

    assert not (ROOT / "operator" / "__init__.py").exists()


def test_standard_library_survives_the_repository_on_the_path() -> None:
    """A program started in the repository gets Python's own `operator` module."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import operator, collections; print(operator.__file__)"
    found = subprocess.run([sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True).stdout

    assert not Path(found.strip()).is_relative_to(ROOT)


def test_events_only_enqueue() -> None:
    """No module registers a Kopf handler that keeps state on the object or runs by itself."""
    found = {(module.name, name) for module in modules() for name in attributes(module) if KOPF_HANDLERS.match(name)}

    assert set() == found


def test_a_unit_test_mirrors_its_module() -> None:
    """tests/unit/store/test_fs.py is about store/fs.py, as would be any file in tests/unit/store/fs/."""
    folder = ROOT / "tests" / "unit"
    tests = [path.relative_to(folder) for path in tracked() if path.match("tests/unit/**/test_*.py")]

    assert [] == [str(test) for test in tests if not _mirrors_a_module(test)]


def _mirrors_a_module(test: Path) -> bool:
    module = PACKAGE / test.with_name(test.name.removeprefix("test_"))
    return module.exists() or module.with_suffix("").is_dir() or module.parent.with_suffix(".py").exists()
