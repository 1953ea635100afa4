"""Reads that fail: lists, watches as they begin, claims, logs, by the operator and by Kopf; a token that expires."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from modelfetch.devcluster.parts import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE
from tests.api_faults.actions import Action, Answer, Close, Delay, Drop, Reset, Truncate
from tests.api_faults.rules import Match, Rule
from tests.cluster.api_faults.ground import WATCHED, Ground
from tests.cluster.world import World, repo, slow, until

LATE = Delay(3.0)


def test_f15_lists_and_reads_that_fail(ground: Ground) -> None:
    """By 500 to 504, by 429, by a connection that ends, by half of an answer, late: each is asked again."""
    page = Answer(502, text="<html>Bad Gateway</html>")
    ground.operator.list_often()
    by_kind: tuple[tuple[Action, ...], ...] = (Answer(500), Drop()), (page, Reset()), (Answer(429), LATE), (page,)
    for kind, faults in zip(WATCHED, by_kind, strict=True):
        ground.plan(*(Rule(Match("list", kind), fault, nth=2 + turn) for turn, fault in enumerate(faults)))
        ground.plan(Rule(Match("list", kind), Truncate(60), "after", nth=2 + len(faults)))
    for verb, resource in (("get", "persistentvolumeclaims"), ("get", "pods/log")):
        ground.plan(Rule(Match(verb, resource), Answer(500)), Rule(Match(verb, resource), Reset(), nth=2))
    slow(ground.hub, 30_000)
    ground.fetch("m0", "m1", meeting=0)
    until(lambda: all(ground.proxy.plan.met()), lambda: f"{ground.proxy.plan.met()}")


def test_f15_watches_that_do_not_begin(ground: Ground) -> None:
    """Kopf is told 500, 503, 429, nothing, or later: it asks again, and the operator does not end."""
    faults: tuple[Action, ...] = (Answer(500), Answer(503), Answer(429), Drop(), Reset(), LATE)
    for number, kind in enumerate(WATCHED):
        ground.plan(Rule(Match("watch", kind), faults[-1 - number]), Rule(Match("watch", kind), Close(1), times=2))
        ground.plan(Rule(Match("watch", kind), faults[number], nth=3))
    ground.fetch("m0", "m1", meeting=0)

    assert [] == [status for status in (429, 500, 503) if status not in ground.answers(Match("watch"))]


class Tokens:
    """Tokens of the operator, of which the API server takes each for as long as a Secret is there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._secrets: list[str] = []

    def make(self) -> str:
        """Return another one."""
        secret = f"{self._world.namespace}-{len(self._secrets)}"
        self._secrets.append(secret)
        self._kubectl("create", "secret", "generic", secret)
        meta = json.loads(self._kubectl("get", "secret", secret, "-o", "json"))["metadata"]
        bound = {"kind": "Secret", "apiVersion": "v1", "name": secret, "uid": meta["uid"]}
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": bound}}
        path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/serviceaccounts/{OPERATOR_ACCOUNT}/token"
        made = self._world.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(wanted))
        return str(json.loads(made)["status"]["token"])

    def end_first(self) -> None:
        """Afterwards the first that is left is taken no more, a few seconds later at the most."""
        self._kubectl("delete", "secret", self._secrets.pop(0), "--ignore-not-found")

    def end(self) -> None:
        """Afterwards none is taken."""
        while self._secrets:
            self.end_first()

    def is_taken(self, token: str) -> bool:
        """Ask the API server."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        told = self._world.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
        return bool(json.loads(told)["status"].get("authenticated"))

    def _kubectl(self, *arguments: str) -> str:
        return self._world.kubectl(*arguments, "-n", OPERATOR_NAMESPACE)


@pytest.fixture
def tokens(unmanned: World) -> Iterator[Tokens]:
    """None yet."""
    made = Tokens(unmanned)
    yield made
    made.end()


def show(ground: Ground, file: Path) -> None:
    """Afterwards the operator proves who it is by the token that stands in a file, as it does in a Pod."""
    path = Path(ground.operator.command[-1])
    config = yaml.safe_load(path.read_text())
    config["users"][0]["user"] = {"tokenFile": str(file)}
    path.write_text(yaml.safe_dump(config))


def test_f21_a_token_that_expires(ground: Ground, tokens: Tokens, tmp_path: Path) -> None:
    """The kubelet puts another one into its file: that is read, also for watches, to which the server says 401."""
    file, old = tmp_path / "token", tokens.make()
    file.write_text(old)
    show(ground, file)
    ground.plan(*(Rule(Match("watch", kind, "m1"), Close(1)) for kind in WATCHED))
    ground.fetch("m0", meeting=0)
    file.write_text(tokens.make())
    tokens.end_first()
    until(lambda: not tokens.is_taken(old), lambda: "the old token is still taken")
    ground.world.fetch("m1", repo(ground.hub, "acme/m1"))
    ground.world.wait_phase("m1", "Ready")

    assert 401 in ground.answers(Match("watch")) + ground.answers(Match("list"))
    ground.expect_no_trace("m0", "m1")
