"""The repository as a list of files: what git tracks, the package's modules, the documents.

In: nothing. Out: paths and parsed source for the tests in architecture/ and docs/.
"""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "operator" / "modelfetch"


def tracked() -> list[Path]:
    """Return every file that git tracks and that is still there."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def documents() -> list[Path]:
    """Return every tracked Markdown file."""
    return [path for path in tracked() if path.suffix == ".md"]


def modules() -> list[Path]:
    """Return every tracked module of the package."""
    return [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(PACKAGE)]


def attributes(module: Path) -> set[str]:
    """Return every dotted name that `module` uses, such as `Reason.INTERNAL` or `kopf.on.event`."""
    tree = ast.parse(module.read_text(), filename=str(module))
    return {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
