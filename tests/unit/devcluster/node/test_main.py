"""Flags of the process node."""

from pathlib import Path

import pytest

from modelfetch import __version__
from modelfetch.devcluster.node.main import parse_arguments

NEEDED = {
    "--kubeconfig": "k",
    "--name": "n",
    "--work-dir": "w",
    "--tls-cert": "c",
    "--tls-key": "k",
    "--client-ca": "a",
}


def words(flags: dict[str, str]) -> list[str]:
    """Return flags as a command line."""
    return [word for pair in flags.items() for word in pair]


def test_defaults() -> None:
    """Only what cannot be guessed has to be given."""
    actual = parse_arguments(words(NEEDED))

    expected = (f"ghcr.io/modelfetch/modelfetch:{__version__}", 0, 10.0, "110", None, Path("w"))
    assert expected == (
        actual.image,
        actual.kubelet_port,
        actual.heartbeat_interval,
        actual.pods,
        actual.ready_file,
        actual.work_dir,
    )


@pytest.mark.parametrize("missing", sorted(NEEDED))
def test_needed(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that cannot be guessed is asked for by name."""
    with pytest.raises(SystemExit):
        parse_arguments(words({flag: value for flag, value in NEEDED.items() if flag != missing}))

    actual = capsys.readouterr().err

    assert f"required: {missing}\n" in actual


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The help says what such a node cannot do."""
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])

    actual = capsys.readouterr().out

    assert "readOnly on a claim, an emptyDir's size" in actual
