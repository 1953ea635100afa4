"""The count at the end of `make test`, over reports that a real pytest wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import tally

SUITE = """
import pytest

def test_good(): pass
def test_good_again(): pass
def test_bad(): assert 1 == 2
@pytest.fixture
def broken(): raise RuntimeError
def test_no_fixture(broken): pass
@pytest.mark.skip(reason="no kubelet here")
@pytest.mark.parametrize("n", [1, 2])
def test_left_out(n): pass
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the reports of a mixed and of a good suite."""
    folder = tmp_path_factory.mktemp("reports")
    write(folder, "mixed", SUITE)
    write(folder, "good", "def test_good(): pass")
    write(folder, "empty", "")
    return folder


def write(folder: Path, suite: str, source: str) -> None:
    """Run `source` as tests of their own and leave the report in `folder`."""
    (folder / f"test_{suite}.py").write_text(source)
    report = ["--junitxml", str(folder / f"{suite}.xml")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{suite}.py", *report]
    subprocess.run(command, cwd=folder, check=False, capture_output=True)


def test_the_last_line_counts_all_suites(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors in fixtures count as failures; each skip is named with its reason; the exit code says that one failed."""
    code = tally.main([str(reports), "mixed", "good"])
    lines = capsys.readouterr().out.splitlines()

    assert 1 == code
    assert "3 passed, 2 failed, 2 skipped" == lines[-1]
    assert "  skipped: test_mixed::test_left_out[1]: no kubelet here" in lines
    assert "  failed: test_mixed::test_bad" in lines


def test_success_is_exit_code_zero(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A suite in which everything passed is a success."""
    code = tally.main([str(reports), "good"])

    assert 0 == code
    assert "1 passed, 0 failed, 0 skipped" == capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("suite", ["missing", "empty"])
def test_silence_is_a_failure(reports: Path, capsys: pytest.CaptureFixture[str], suite: str) -> None:
    """A suite that ran no test or wrote no report fails the run."""
    code = tally.main([str(reports), "good", suite])

    assert 1 == code
    assert "1 passed, 1 failed, 0 skipped" == capsys.readouterr().out.splitlines()[-1]
