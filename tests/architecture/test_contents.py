"""What may not be in a committed file: addresses of package registries and paths of somebody's machine."""

import re

from tests.tree import ROOT, tracked

# Put together here, so that this file does not hold what it looks for.
HOSTS = [
    "py" + "pi.org",
    "pythonhosted" + ".org",
    "proxy" + ".golang.org",
    "sum" + ".golang.org",
    "registry" + ".npmjs.org",
    "crates" + ".io/api",
    "deb" + ".debian.org",
    "repo1" + ".maven.org",
]
PATHS = [r"/work" + r"/(?:main|shared)\b", r"(?<![\w}/-])/(?:root|home)" + r"/\w+"]
FOREIGN = re.compile("|".join([*map(re.escape, HOSTS), *PATHS]))


def test_a_file_is_about_the_project_alone() -> None:
    """A clone on any machine, with any mirror, finds nothing that holds only where it was written."""
    texts = {path: path.read_bytes().decode(errors="replace") for path in tracked()}
    found = {(str(path.relative_to(ROOT)), hit) for path, text in texts.items() for hit in FOREIGN.findall(text)}

    assert set() == found
