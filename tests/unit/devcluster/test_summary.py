"""What people read about a cluster names what they need, and how to end it."""

import json
import shlex
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from modelfetch.api.fetch import ModelFetch
from modelfetch.cli.cmd_pull import pull
from modelfetch.devcluster.parts import ONLY_CONTROL_PLANE, Parts
from modelfetch.devcluster.processes import Program
from modelfetch.devcluster.state import State, create_state
from modelfetch.devcluster.summary import Summary, describe, statuses

SUMMARY = Summary(
    name="default",
    server="https://127.0.0.1:6443",
    kubeconfig="/with space/kubeconfig",
    kubectl="/cache/kubectl",
    namespace="demo",
    volume="/with space/volume",
    logs="/with space/logs",
    parts=asdict(Parts()),
    hub={"endpoint": "http://127.0.0.1:8080"},
)


@pytest.mark.parametrize(
    "fact", [SUMMARY.server, SUMMARY.kubeconfig, SUMMARY.volume, SUMMARY.logs, "http://127.0.0.1:8080", "make down"]
)
def test_up_says_where_everything_is(fact: str) -> None:
    """Address, files, hub and the way to end it are all there."""

    assert fact in describe(SUMMARY)


def test_suggested_manifest_is_one() -> None:
    """The model that `up` suggests to apply is a valid ModelFetch, and the shell gets it whole."""
    line = next(line.strip() for line in describe(SUMMARY).splitlines() if line.strip().startswith("echo "))
    said = subprocess.run(["/bin/sh", "-c", line.partition(" | ")[0]], capture_output=True, text=True, check=True)

    assert "small-chat" == ModelFetch.model_validate(json.loads(said.stdout)).metadata.name


def test_suggested_pull_names_the_hub() -> None:
    """The fixture hub can be read by `modelfetch pull`, too: the line has all options that this takes."""
    line = next(line for line in describe(SUMMARY).splitlines() if "modelfetch pull" in line)
    with pull.make_context("pull", shlex.split(line.partition(" pull ")[2])) as context:
        given = context.params

    assert ("http://127.0.0.1:8080", ("any",), True) == (given["endpoint"], given["allow_port"], given["allow_http"])


def test_paths_with_spaces_stay_one_word() -> None:
    """Commands can be pasted also where the home folder has a space in its name."""
    alias = next(line.strip() for line in describe(SUMMARY).splitlines() if "alias" in line)
    (command,) = [word.partition("=")[2] for word in shlex.split(alias) if word.startswith("k=")]

    assert ["/cache/kubectl", "--kubeconfig", "/with space/kubeconfig"] == shlex.split(command)


def test_nothing_is_promised_that_was_not_started() -> None:
    """A control plane alone has no volume, no hub and no ModelFetch to try; another name needs naming to end it."""
    text = describe(replace(SUMMARY, name="two", parts=asdict(ONLY_CONTROL_PLANE), hub=None))

    assert [False, False, False] == [word in text for word in ("volume", "hub", "modelfetch.io")]
    assert "make down ARGS='--name two'" in text


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose clusters are in a folder of this test."""
    return {"MODELFETCH_STATE": str(tmp_path / "state")}


def killed(state: State) -> None:
    """Make it look as if the process that starts this cluster had been killed."""
    gone = Program("starter", state.starter.pid, state.starter.started - 1)
    record = {"id": state.id, "starter": {"pid": gone.pid, "started": gone.started}}
    (state.folder / "cluster.json").write_text(json.dumps(record))


def test_status_tells_what_state_each_cluster_is_in(environ: dict[str, str]) -> None:
    """A complete, a starting and an unfinished cluster are told apart."""
    create_state("one", environ).write_ready({})
    create_state("two", environ)
    killed(create_state("wreck", environ))
    words = [line for line in statuses(environ).splitlines() if line.startswith("cluster")]

    assert ["cluster 'one': up", "cluster 'two': starting"] == words[:2]
    assert words[2].startswith("cluster 'wreck': unfinished")


def test_status_without_clusters_says_how_to_start_one(environ: dict[str, str]) -> None:
    """No cluster is an answer, too."""

    assert "no cluster; start one: make up" == statuses(environ)
