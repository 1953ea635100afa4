"""Patterns mean what huggingface_hub's mean, in linear time."""

import fnmatch

import pytest
from huggingface_hub.utils._paths import filter_repo_objects
from hypothesis import example, given
from hypothesis import strategies as st

from modelfetch.fetcher.globs import Globs

PATTERNS = st.text("ab/.*?[]!-^", max_size=12)
PATHS = st.text("ab/.-]![^\n", max_size=10)


@given(pattern=PATTERNS, path=PATHS)
@example("[]a]", "]")
@example("[!]a]", "b")
@example("[b-a]", "a")
@example("[", "[")
@example("a[!]", "a[!]")
def test_one_pattern_matches_as_fnmatch_does(pattern: str, path: str) -> None:
    """A pattern without the folder rule matches exactly the paths that fnmatch matches."""
    pattern = pattern.rstrip("/")

    assert fnmatch.fnmatchcase(path, pattern) == Globs([pattern]).match(path)


@given(patterns=st.lists(PATTERNS, max_size=6), path=PATHS)
def test_many_patterns_match_as_any_of_them(patterns: list[str], path: str) -> None:
    """A list of patterns matches a path exactly when huggingface_hub's filter keeps it."""
    kept = bool(list(filter_repo_objects([path], allow_patterns=patterns)))

    assert kept == Globs(patterns).match(path)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.json", "a/b/config.json", True),
        ("onnx/", "onnx/model.onnx", True),
        ("onnx/", "onnx", False),
        ("onnx/*", "onnx/deep/er.bin", True),
        ("model-0000[1-3]-of-*.safetensors", "model-00002-of-00009.safetensors", True),
        ("model-0000[1-3]-of-*.safetensors", "model-00004-of-00009.safetensors", False),
        ("README.md", "readme.md", False),
    ],
)
def test_usual_patterns(pattern: str, path: str, matches: bool) -> None:
    """`*` crosses folders, a trailing slash means all below a folder, case counts."""

    assert matches == Globs([pattern]).match(path)


def test_a_pattern_made_to_backtrack_costs_no_more_than_another() -> None:
    """A pattern of alternating stars on a long path of near misses ends, where a backtracking matcher would not."""
    globs = Globs(["*a" * 120 + "b"] * 64)

    assert not globs.match("a" * 4000)
