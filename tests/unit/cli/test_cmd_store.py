"""`modelfetch store` as people and programs use it."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from modelfetch.cli.cmd_store import GC_HELP, VERIFY_HELP
from modelfetch.cli.main import main
from modelfetch.reasons import Reason
from modelfetch.store.collection import GRACE_S
from modelfetch.store.findings import CODES, Kind
from modelfetch.store.store import Store
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.unit.store import damage, samples
from tests.unit.store.damage import Place
from tests.unit.store.samples import LLAMA, PHI

BIG = random.Random(1).randbytes(SEGMENT_BYTES + 1)
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a look goes to the test's own folder."""
    monkeypatch.setenv("MODELFETCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    with Store.open(str(path), samples.filesystem("hard")) as store:
        samples.publish(store, LLAMA)
        samples.publish(store, {**PHI, "big.bin": BIG}, samples.owner("phi"))
    return path


def store(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["store", *map(str, arguments)])


def document(run: Result) -> dict[str, Any]:
    (line,) = run.stdout.splitlines()
    content: dict[str, Any] = json.loads(line)
    return content


def program(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "modelfetch", "store", *map(str, arguments)]


def run_program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(*arguments), capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def snapshot(root: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}


def leave(root: Path, data: bytes) -> Path:
    """Leave a blob that nothing refers to, older than the grace."""
    with Store.open(str(root), samples.filesystem("hard")) as opened, opened.ingest("attempt-1") as ingest:
        samples.write(opened, ingest, data)
    path = samples.blob_files(root)[samples.sha256(data)]
    os.utime(path, (path.stat().st_mtime - GRACE_S - 60,) * 2)
    return path


# verify


def test_a_sound_store(root: Path) -> None:
    """The program says what it looked at, that nothing is wrong, and ends with 0."""
    ended = run_program("verify", root)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "looked   2 models, 2 revisions, 4 blobs" in ended.stdout
    assert "found    nothing is wrong" in ended.stdout


def test_codes_add_up(root: Path) -> None:
    """A damaged blob, a missing link and a stray file end with 1 + 4 + 64, each with its line."""
    ((blob, _kind),) = damage.flip(Place(root, random.Random(1)), damage.BLOBS, Kind.CORRUPT)
    (root / "models/ml/phi/current").unlink()
    (root / "models/ml/phi/stray").write_bytes(b"")
    ended = run_program("verify", root)

    assert 69 == ended.returncode
    assert re.search(rf"corrupt +{blob} ", ended.stdout)
    assert re.search(r"missing +models/ml/phi/current ", ended.stdout)
    assert re.search(r"extra +models/ml/phi/stray ", ended.stdout)
    assert "found    1 corrupt, 1 extra, 1 missing" in ended.stdout


def test_the_document_has_every_key(root: Path) -> None:
    """Programs get one document, findings with kind, path, detail and the revisions that have the content."""
    damage.rewrite(samples.blob_files(root)[samples.sha256(BIG)], BIG[:-1])
    run = store("verify", root, "-o", "json", "--full", "--subset", "1/1")
    content = document(run)
    (finding,) = content.pop("findings")

    assert (1, 1, False, True, "full", "1/1") == (
        run.exit_code,
        *(content[key] for key in ("exitCode", "ok", "isWhole", "mode", "subset")),
    )
    assert {
        "event", "ok", "isWhole", "exitCode", "store", "mode", "subset", "models", "revisions", "blobs", "blobsRead",
        "blobsResumed", "bytesRead", "sumsWritten", "setAside",
    } == set(content)  # fmt: skip
    assert ("wrong-size", [f"models/ml/phi/{os.readlink(root / 'models/ml/phi/current')}"]) == (
        finding["kind"],
        finding["usedBy"],
    )


def test_repair_is_told(root: Path) -> None:
    """What was set aside is named; without the flag nothing is."""
    damage.rewrite(samples.blob_files(root)[samples.sha256(BIG)], BIG[:-1])
    without = document(store("verify", root, "-o", "json"))
    repaired = document(store("verify", root, "-o", "json", "--repair"))

    assert ([], [samples.sha256(BIG)]) == (without["setAside"], repaired["setAside"])


def test_a_stopped_look_says_so_and_goes_on(root: Path, tmp_path: Path) -> None:
    """Ctrl-C ends a look with the code of Cancelled; --resume reads only what was not read yet."""
    huge = root / "blobs" / "sha256" / "00" / ("0" * 64)
    huge.parent.mkdir(exist_ok=True)
    huge.touch()
    os.truncate(huge, 2**40)
    os.chmod(huge, 0o444)
    state = tmp_path / "state"
    running = subprocess.Popen(
        program("verify", root, "--threads", "2", "--state", state), stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for_lines(state, 5, running)
        running.send_signal(signal.SIGINT)
        told, _ = running.communicate(timeout=PATIENCE_S)
    finally:
        running.kill()
        running.wait()
    huge.unlink()
    resumed = document(store("verify", root, "--resume", "--state", state, "-o", "json"))

    assert Reason.CANCELLED.row.exit_code == running.returncode
    assert "stopped before the end: --resume goes on from there" in told
    assert (4, 0, True) == (resumed["blobsResumed"], resumed["blobsRead"], resumed["ok"])


def wait_for_lines(path: Path, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline, "no state was kept"
        time.sleep(0.01)


def test_the_state_is_kept_in_the_cache(root: Path, tmp_path: Path) -> None:
    """Without --state, a look keeps its state where the help says, outside the store."""
    store("verify", root, "--subset", "2/3")
    (path,) = (tmp_path / "cache" / "verify").iterdir()

    assert path.name == json.loads((root / "store.json").read_bytes())["id"] + "-quick-2-of-3"


def test_a_cache_that_takes_no_files_stops_no_look(root: Path, tmp_path: Path) -> None:
    """A read-only home costs the chance to resume, not the look; who asks to resume is told."""
    (tmp_path / "cache").write_bytes(b"")

    assert (0, 10, 10) == (
        store("verify", root).exit_code,
        store("verify", root, "--resume").exit_code,
        store("verify", root, "--state", tmp_path / "cache" / "state").exit_code,
    )


def test_a_read_only_volume(root: Path, tmp_path: Path) -> None:
    """verify, ls and du work where nothing can be written; a collection is refused."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "sh", "-c", mount, str(root)], check=False).returncode != 0:
        pytest.skip("needs `unshare -rm` to mount a folder read-only without root")
    lines = " && ".join(
        f'"$1" -m modelfetch store {command} "$0" >&2' for command in ("verify", "verify --full", "ls", "du")
    )
    script = f'{mount} && {lines} && "$1" -m modelfetch store gc "$0" --yes'
    before = snapshot(root)
    ended = subprocess.run(
        [unshare, "-rm", "sh", "-c", script, str(root), sys.executable],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip

    assert Reason.STORAGE_READ_ONLY.row.exit_code == ended.returncode, ended.stderr
    assert 2 == ended.stderr.count("nothing is wrong")
    assert before == snapshot(root)


def test_names_cannot_steer_a_terminal(root: Path) -> None:
    """Control characters of a planted name do not reach the screen; programs get them escaped."""
    (root / "models/ml/phi" / "\x1b[2Jclear").write_bytes(b"")
    people, programs = store("verify", root), store("verify", root, "-o", "json")

    assert "\x1b" not in people.stdout + programs.stdout
    assert "models/ml/phi/\x1b[2Jclear" == document(programs)["findings"][0]["path"]


# ls and du


def test_ls(root: Path) -> None:
    """Each revision has a row; wide adds columns, name is for scripts, json has everything."""
    table, wide = store("ls", root).stdout.splitlines(), store("ls", root, "-o", "wide").stdout.splitlines()
    names = run_program("ls", root, "-o", "name").stdout.splitlines()
    rows = document(store("ls", root, "-o", "json"))["revisions"]
    llama = samples.manifest(LLAMA)

    assert ["NAMESPACE", "NAME", "REVISION", "CURRENT", "FILES", "SIZE", "PUBLISHED", "OWNER"] == table[0].split()
    assert ["ml", "llama", llama.revision_name, "*", "3"] == table[1].split()[:5]
    assert "MANIFEST" in wide[0]
    assert llama.digest in wide[1]
    assert [f"ml/llama/{llama.revision_name}", f"ml/phi/{rows[1]['revision']}"] == names
    assert (llama.digest, 3, llama.total_bytes, True) == tuple(
        rows[0][key] for key in ("digest", "files", "size", "isCurrent")
    )


def test_du(root: Path) -> None:
    """Models and totals, for people and for programs."""
    leave(root, b"left")
    table = run_program("du", root).stdout
    content = document(store("du", root, "-o", "json"))

    assert ["ml", "phi"] == [content["models"][1][key] for key in ("namespace", "name")]
    assert (1, 4) == (content["unreferenced"], content["unreferencedBytes"])
    assert re.search(r"^unreferenced +4 B in 1,", table, re.MULTILINE)


# gc


def test_gc_shows_its_plan_first(root: Path) -> None:
    """A dry run names what would go and changes nothing; with --yes exactly that is gone."""
    path = leave(root, b"left by a failed fetch")
    before = sorted(map(str, root.rglob("*")))
    dry = run_program("gc", root, "--dry-run")
    after_dry = sorted(map(str, root.rglob("*")))
    done = run_program("gc", root, "--yes")

    assert before == after_dry
    assert (0, 0) == (dry.returncode, done.returncode)
    assert re.search(rf"^blob +{path.relative_to(root)}$", dry.stdout, re.MULTILINE)
    assert "would free  22 B" in dry.stdout
    assert "freed  22 B" in done.stdout
    assert not path.exists()
    assert [] == samples.violations(root) + samples.leftovers(root)


def test_gc_for_programs(root: Path) -> None:
    """One document says what went and what was kept."""
    leave(root, b"left")
    content = document(store("gc", root, "--yes", "-o", "json"))
    again = document(store("gc", root, "--dry-run", "-o", "json"))

    assert (True, False, 4, ["blob", "hint"]) == (
        content["ok"],
        content["dryRun"],
        content["freedBytes"],
        [one["kind"] for one in content["remove"]],
    )
    assert {
        "models": 2,
        "revisions": 2,
        "blobs": 4,
        "bytes": sum(map(len, [*LLAMA.values(), PHI["phi.json"], BIG])) - len(samples.SHARED),
    } == content["kept"]
    assert ([], 0) == (again["remove"], again["freedBytes"])


def test_gc_of_nothing(root: Path) -> None:
    """Where there is nothing to do, that is said."""

    assert "nothing to do" in store("gc", root, "--yes").stdout


@pytest.mark.parametrize("flags", [[], ["--dry-run", "--yes"]])
def test_gc_wants_one_word(root: Path, flags: list[str]) -> None:
    """Neither or both flags are a usage error, and nothing is removed."""
    path = leave(root, b"left")
    run = store("gc", root, *flags)

    assert (2, True) == (run.exit_code, path.exists())
    assert "--dry-run" in run.stderr


def test_gc_of_a_store_with_a_broken_manifest(root: Path) -> None:
    """It is refused with the reason's code and what to do."""
    path = leave(root, b"left")
    damage.flip(Place(root, random.Random(1)), damage.MANIFESTS, Kind.CORRUPT)
    run = store("gc", root, "--yes")

    assert (Reason.STORE_CORRUPT.row.exit_code, True) == (run.exit_code, path.exists())
    assert "error: StoreCorrupt: " in run.stderr
    assert "to do: " in run.stderr


# Bad options


@pytest.mark.parametrize(
    "options",
    [
        ["verify", "--subset", "0/3"],
        ["verify", "--subset", "4/3"],
        ["verify", "--subset", "half"],
        ["verify", "--subset", "1/"],
        ["verify", "--threads", "0"],
        ["verify", "--threads", "many"],
        ["gc", "--yes", "--grace", "soon"],
        ["gc", "--yes", "--grace", "0s"],
    ],
    ids=" ".join,
)
def test_bad_values_are_named(root: Path, options: list[str]) -> None:
    """The message names the option, and programs get the same document as from `pull`."""
    run = store(*options[:1], root, *options[1:], "-o", "json")
    content = document(run)

    assert (Reason.SPEC_INVALID.row.exit_code, False, "SpecInvalid") == (
        run.exit_code,
        content["ok"],
        content["reason"],
    )
    assert content["message"].startswith(options[-2] + ":")


# Help


@pytest.mark.parametrize("kind", list(Kind))
def test_help_says_every_kind_with_its_code(kind: Kind) -> None:
    """The help of verify has the code that the program ends with."""
    lines = VERIFY_HELP.partition("Other ends")[0].splitlines()
    (code,) = (int(line.split()[0]) for line in lines if re.match(rf"  \d+ .*(?<![\w-]){kind}\b", line))

    assert CODES[kind] == code


@pytest.mark.parametrize("text", [VERIFY_HELP, GC_HELP])
def test_help_says_the_codes_of_reasons(text: str) -> None:
    """Every reason that the help names has the code of the list."""
    named = re.findall(r"\b(\d\d) ([A-Z]\w+)\b", text)

    assert named
    assert [] == [(code, name) for code, name in named if Reason(name).row.exit_code != int(code)]


@pytest.mark.parametrize("command", [[], ["verify"], ["ls"], ["du"], ["gc"]])
def test_help_fits_and_is_quick(command: list[str]) -> None:
    """Help imports neither the store's code nor models, and no line of it is longer than a hundred characters."""
    code = (
        "import sys; from modelfetch.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({'pydantic', 'rich', 'modelfetch.store'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "store", *command, "--help"], capture_output=True, text=True, check=False
    )

    assert (0, "[]") == (ended.returncode, ended.stderr.strip())
    assert [] == [line for line in ended.stdout.splitlines() if len(line) > 100]
