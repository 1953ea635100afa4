"""The count at the end of `make test`, over reports that a real pytest wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import faults, tally

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


def of_row(row: str, *cases: tuple[str, str, str]) -> str:
    """Return what is said of a row, once these cases have run."""
    return next(line for line in faults.lines(faults.results(cases)) if line.startswith(f"{row}: "))


STATUS = ("tests.storage.test_full", "test_f49_edquot", "passed")
REFUSED_JOBS = [
    ("tests.unit.core.fetch.test_obstacles", "test_a_refused_job_is_explained_in_the_servers_words", "passed"),
    ("tests.unit.core.fetch.test_obstacles", "test_a_refused_job_is_not_asked_for_before_its_time", "passed"),
    ("tests.cluster.api_faults.test_answers", "test_f20_an_object_that_is_refused", "passed"),
]
"""All tests of row F20 but those of `make e2e`."""
MORE = "passed, more in make e2e"
INODES = ("tests.storage.test_full", "test_f49_out_of_inodes[ext4]")


def test_a_fault_is_told_with_its_tests() -> None:
    """Each test of the row, with what its cases came to; one that did not run is named as such."""
    said = of_row("F49", STATUS, (*INODES, "passed"), (*INODES, "passed"))

    assert said.startswith("F49: passed in part: A quota; no more inodes")
    assert "test_f49_edquot 1 passed, test_f49_out_of_inodes 2 passed, test_a_volume_without_inodes not run" in said


@pytest.mark.parametrize(
    ("row", "cases", "word"),
    [
        ("F49", [], "not run"),
        ("F49", [STATUS, (*INODES, "failed")], "failed"),
        ("F49", [(*INODES, "skipped")], "skipped"),
        (
            "F27",
            [("tests.cluster.api_faults.test_watches", "test_f27_watches_that_end_at_each_event", "passed")],
            "passed",
        ),
        ("F20", REFUSED_JOBS, MORE),
        ("F20", [*REFUSED_JOBS, ("tests.e2e.test_waiting", "test_a_limit_range", "skipped")], MORE),
        ("F20", [*REFUSED_JOBS, ("tests.e2e.test_waiting", "test_a_limit_range", "failed")], "failed"),
        ("F101", [], "no test yet"),
        (
            "F25",
            [("tests.unit.core.test_fetch", "test_a_status_stays_small_in_every_script", "passed")],
            "passed in part",
        ),
    ],
)
def test_a_word_for_each_fault(row: str, cases: list[tuple[str, str, str]], word: str) -> None:
    """Nothing is called passed that failed, did not run, or is shown in part only."""

    assert of_row(row, *cases).startswith(f"{row}: {word}: ")


def test_every_fault_is_told(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each row of the page has its line, and they are counted, before the suites are."""
    tally.main([str(reports), "good"])
    said = capsys.readouterr().out.splitlines()

    assert [f"F{number}" for number in range(1, 105)] == [line.partition(":")[0] for line in said if line[:1] == "F"]
    assert any(line.startswith("104 faults: ") for line in said)
