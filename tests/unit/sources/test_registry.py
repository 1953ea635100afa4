"""An order's source and the one origin that sees its token."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelfetch.api.source import HttpFile, HttpSource, HuggingFaceSource
from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.sources.http import UrlSource
from modelfetch.sources.huggingface import HubSource
from modelfetch.sources.registry import Access, bind_token, open_source, reread
from modelfetch.transfer.guard import parse_url
from tests.loopback import loopback_session, order_for
from tests.rows.ground import reach

HUB = HuggingFaceSource(repo="org/name", endpoint="https://hub.example")
FILES = HttpSource(files=[HttpFile(url="https://files.example/a", path="a")])


@pytest.mark.parametrize(("source", "kind"), [(HUB, HubSource), (FILES, UrlSource)])
def test_each_source_has_its_module(source: HuggingFaceSource | HttpSource, kind: type) -> None:
    """The kind of source decides, nothing else."""
    with loopback_session() as session:
        assert isinstance(open_source(order_for(source), Access(session, None)), kind)


def test_a_token_is_bound_to_its_origin() -> None:
    """Scheme, host and port decide who sees it."""
    with loopback_session() as session:
        bound = bind_token(Access(session, lambda: "t"), ["https://hub.example/a", "https://hub.example:443/b"])
    assert bound is not None

    assert "Bearer t" == bound.header_for(parse_url("https://hub.example/other"))
    assert [None] * 3 == [
        bound.header_for(parse_url(url))
        for url in ("http://hub.example/", "https://hub.example:8443/", "https://sub.hub.example/")
    ]


def test_a_token_for_several_hosts_is_refused() -> None:
    """It is not for us to guess which of them may see it."""
    with loopback_session() as session, pytest.raises(FetchError) as caught:
        bind_token(Access(session, lambda: "t"), ["https://one.example/a", "https://two.example/b"])

    assert (Reason.SPEC_INVALID, True) == (caught.value.reason, "'one.example', 'two.example'" in caught.value.message)


def failing() -> str:
    raise FetchError(Reason.SECRET_KEY_MISSING, "gone")


@pytest.mark.parametrize(("read", "token"), [(lambda: "new", "new"), (failing, None)])
def test_a_token_is_read_again(read: Callable[[], str], token: str | None) -> None:
    """A Secret that has changed gives the new token, one that is gone gives none."""

    assert token == reread(read)


@pytest.mark.parametrize(
    "setting",
    [{"HF_HUB_ETAG_TIMEOUT": "abc"}, {"HF_HUB_DOWNLOAD_TIMEOUT": "abc"}, {"HF_HUB_OFFLINE": "1"}, {"HF_DEBUG": "1"}],
    ids=lambda setting: next(iter(setting)),
)
def test_settings_of_the_library_change_nothing(tmp_path: Path, setting: dict[str, str]) -> None:
    """What huggingface_hub reads from the environment, even what it cannot read, is nothing to a fetch."""
    with FixtureHub([RepoSpec("org/name", {"a": b"a"})]) as hub:
        command = [sys.executable, "-m", "modelfetch", "pull", "hf://org/name", str(tmp_path / "store")]
        options = [f"--endpoint={hub.endpoint}", *reach(hub.endpoint, hub.cdn), "--output=quiet"]
        done = subprocess.run([*command, *options], env={**os.environ, **setting}, capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stderr)
