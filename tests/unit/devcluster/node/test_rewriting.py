"""Paths and $(VAR) references, by tables and by properties."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.devcluster.node.rewriting import Mount, Rewriter, expand

REWRITE = Rewriter(
    [
        Mount("/volume", Path("/data/v")),
        Mount("/volume/deep/", Path("/data/d")),
        Mount("/tmp", Path("/tmp/node/tmp")),
        Mount("/dev/termination-log", Path("/data/message")),
    ]
)


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("/volume", "/data/v"),
        ("/volume/", "/data/v/"),
        ("/volume/a/b", "/data/v/a/b"),
        ("/volume/deep", "/data/d"),
        ("/volume/deep/er", "/data/d/er"),
        ("/volume/deeper", "/data/v/deeper"),
        ("/volumes", "/volumes"),
        ("volume", "volume"),
        ("--out=/volume", "--out=/volume"),
        ("/tmp", "/tmp/node/tmp"),
        ("/dev/termination-log", "/data/message"),
        ('{"path": "/volume"}', '{"path": "/volume"}'),
        ("", ""),
    ],
)
def test_rewrite(text: str, rewritten: str) -> None:
    """A text that is a mount's path or lies below it names the real place; the deepest mount wins."""
    actual = REWRITE(text)

    assert rewritten == actual


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "x"),
        ("a$(A)b$(B)", "axb"),
        ("$(NONE)", "$(NONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$x"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("$(C)", "$(A)"),
        ("\\u0024(A)", "\\u0024(A)"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    """References behave as in Kubernetes: one pass, unknown names stay, $$ is a dollar sign."""
    actual = expand(text, {"A": "x", "B": "", "C": "$(A)"})

    assert expanded == actual


@given(st.text())
def test_a_doubled_text_comes_back(text: str) -> None:
    """A value whose dollar signs are doubled is itself after expansion."""
    actual = expand(text.replace("$", "$$"), {"A": "x"})

    assert text == actual
