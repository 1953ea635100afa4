"""What a complete cluster is, as data for programs and as text for people.

Comes in: from cluster.py when everything runs, or from the state folder later. Goes out: `Summary`, and the lines that
`up` and `status` print.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelfetch.api.meta import GROUP, VERSION
from modelfetch.devcluster.processes import Processes, Program, is_alive
from modelfetch.devcluster.state import State, find_state, list_names

_TRY_URI = "hf://acme/small-chat"


@dataclass(frozen=True)
class Summary:
    """What a user of a complete cluster needs. Paths are absolute; `hub` is what the hub says of itself, if started."""

    name: str
    server: str
    kubeconfig: str
    kubectl: str
    namespace: str
    volume: str
    logs: str
    parts: dict[str, Any]
    hub: dict[str, Any] | None


def describe(summary: Summary) -> str:
    """Return what `up` prints: where everything is, what to try, how to end it."""
    facts = {"API server": summary.server, "kubeconfig": summary.kubeconfig, "logs": summary.logs}
    if summary.parts["manifests"]:
        facts |= {"namespace": summary.namespace, "volume": f"{summary.volume}  (the folder behind the claim)"}
    if summary.hub:
        facts["hub"] = summary.hub["endpoint"]
    lines = [f"cluster '{summary.name}' is up", *(f"  {name:<12}{value}" for name, value in facts.items())]
    lines += ["", "try:", *(f"  {command}" for command in try_lines(summary))]
    name = "" if summary.name == "default" else f" ARGS='--name {summary.name}'"
    return "\n".join([*lines, "", f"end it: make down{name}"])


def statuses(environ: Mapping[str, str]) -> str:
    """Return one paragraph for each cluster of this user."""
    states = [state for name in list_names(environ) if (state := find_state(name, environ))]
    return "\n".join(map(_status, states)) or "no cluster; start one: make up"


def _status(state: State) -> str:
    processes = state.processes()
    programs = [f"  {program.name:<26}{_program(processes, program)}" for program in processes.recorded()]
    return "\n".join([f"cluster '{state.name}': {_word(state)}", f"  {'kubeconfig':<26}{state.kubeconfig}", *programs])


def _word(state: State) -> str:
    if state.read_ready() is None:
        return "starting" if is_alive(state.starter) else "unfinished, `up` or `down` cleans it"
    processes = state.processes()
    if all(processes.is_running(program) for program in processes.recorded()):
        return "up"
    return "broken, `up` starts it anew"


def _program(processes: Processes, program: Program) -> str:
    if processes.is_running(program):
        return f"process {program.pid}"
    return f"ended by itself, see {processes.log(program.name)}"


def try_lines(summary: Summary) -> list[str]:
    """Return commands for a shell in the project's folder, the first of which makes the alias `k` of the others."""
    kubectl = f"{shlex.quote(summary.kubectl)} --kubeconfig {shlex.quote(summary.kubeconfig)}"
    if not summary.parts["operator"]:
        return [f"{kubectl} get namespaces"]
    model = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ModelFetch",
        "metadata": {"name": "small-chat"},
        "spec": {"source": {"uri": _TRY_URI}},
    }
    return [
        f"alias k={shlex.quote(kubectl)}",
        f"echo {shlex.quote(json.dumps(model))} | k apply -f -",
        "k get modelfetch --watch",
        "k explain modelfetch.spec.source",
        *_try_gated(summary.hub or {}),
        *_try_pull(summary.hub or {}),
    ]


def _try_gated(hub: Mapping[str, Any]) -> list[str]:
    """Return how a gated model of the fixture hub is fetched; its tokens are made up, and the same at each start."""
    token = (hub.get("tokens") or {}).get("reader")
    secret = f"k create secret generic hf-token --from-literal=token={token}"
    return [f"{secret} && k apply -f examples/gated.yaml"] if token else []


def _try_pull(hub: Mapping[str, Any]) -> list[str]:
    """Return how the fixture hub is read without the cluster; its bytes come from a second port."""
    if not hub:
        return []
    reach = "--allow-http --allow-network 127.0.0.0/8 --allow-port any"
    return [f".venv/bin/modelfetch pull {_TRY_URI} ./store --endpoint {hub['endpoint']} {reach}"]
