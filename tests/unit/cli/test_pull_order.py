"""The order that a command line means."""

from typing import Any

import pytest

from modelfetch.api.source import HuggingFaceSource
from modelfetch.cli.pull_order import PullOptions, make_order, name_of, source_of
from modelfetch.cli.surroundings import with_environment
from modelfetch.errors import FetchError


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf://sentence-transformers/all-MiniLM-L6-v2", "all-minilm-l6-v2"),
        ("hf://Qwen/Qwen2.5-7B_Instruct", "qwen2.5-7b-instruct"),
        ("hf://gpt2", "gpt2"),
        ("hf://org/a_.-b", "a.b"),
        ("hf://org/__", "model"),
        ("https://host.example/dir/Model-Q4_K_M.gguf", "model-q4-k-m.gguf"),
        ("https://host.example/日本.gguf", "gguf"),
    ],
)
def test_the_name_is_made_of_the_source(source: str, name: str) -> None:
    """The last part as a DNS name, whatever it holds."""

    assert name == name_of(None, source_of(PullOptions(source)))


@pytest.mark.parametrize(
    ("connections", "files", "each"),
    [("1", 1, 1), ("3", 3, 1), ("4", 4, 1), ("5", 5, 1), ("8", 4, 2), ("13", 4, 3), ("16", 4, 4), ("64", 4, 16)],
)
def test_connections_are_a_total(connections: str, files: int, each: int) -> None:
    """Files at once times connections of each is what was asked for, or as little below as can be."""
    transfer = make_order(PullOptions("hf://org/name", connections=connections), has_token=False).transfer

    assert (files, each) == (transfer.parallel_files, transfer.connections_per_file)


@pytest.mark.parametrize("connections", range(1, 65))
def test_connections_are_all_used(connections: int) -> None:
    """Never more than asked for, and at most three fewer: a single large file may use them all."""
    transfer = make_order(PullOptions("hf://org/name", connections=str(connections)), has_token=False).transfer

    assert connections - transfer.parallel_files * transfer.connections_per_file in range(4)


@pytest.mark.parametrize(
    ("given", "rate"), [(None, None), ("65536", 65_536), ("1MB", 1_000_000), ("1.5MiB", 3 * 2**19)]
)
def test_limit_rate_is_bytes_per_second(given: str | None, rate: int | None) -> None:
    """A rate is written as a size; without one there is no bound."""
    transfer = make_order(PullOptions("hf://org/name", limit_rate=given), has_token=False).transfer

    assert rate == transfer.bandwidth_bytes_per_s


@pytest.mark.parametrize("given", ["0", "65535", "63KiB", "1Mi", "fast", ""])
def test_limit_rate_is_refused_by_name(given: str) -> None:
    """What is no rate, or one that looks like a stall, is refused with the option's name."""
    with pytest.raises(FetchError, match=r"^SpecInvalid: --limit-rate: expected"):
        make_order(PullOptions("hf://org/name", limit_rate=given), has_token=False)


def test_defaults() -> None:
    """Nothing private is allowed, and the limits are those of the API."""
    order = make_order(PullOptions("hf://org/name"), has_token=False)

    assert ((), (80, 443), False) == (
        order.egress.allow_networks,
        order.egress.allow_ports,
        order.egress.allow_http,
    )
    assert (10_000, 86_400.0, 5) == (
        order.limits.max_files,
        order.transfer.deadline_s,
        order.transfer.request_retries,
    )
    assert ("local", "local", "name") == (order.namespace, order.owner, order.name)


@pytest.mark.parametrize(
    ("given", "ports"), [(("8080",), (80, 443, 8080)), (("any",), ()), (("8080", "any"), ()), (("443",), (80, 443))]
)
def test_ports_are_added_to_those_of_the_web(given: tuple[str, ...], ports: tuple[int, ...]) -> None:
    """Every port may be allowed by `any`, as with the operator: a hub may send its bytes from a port of its own."""
    assert ports == make_order(PullOptions("hf://org/name", allow_port=given), has_token=False).egress.allow_ports


@pytest.mark.parametrize("field", ["max_file_size", "max_total_size", "max_files"])
def test_an_empty_limit_is_no_missing_limit(field: str) -> None:
    """`--max-files "$N"` with an empty N is refused, as it would otherwise mean no limit at all."""
    given: dict[str, Any] = {field: ""}
    with pytest.raises(FetchError, match=f"SpecInvalid: --{field.replace('_', '-')}: expected"):
        make_order(PullOptions("hf://org/name", **given), has_token=False)


def test_two_pulls_are_two_attempts() -> None:
    """Private folders of runs at the same time do not meet."""
    first, second = (make_order(PullOptions("hf://org/name"), has_token=False) for _ in range(2))

    assert first.attempt != second.attempt


@pytest.mark.parametrize(
    ("options", "endpoint"),
    [
        (PullOptions("hf://org/name"), "https://mirror.example"),
        (PullOptions("hf://org/name", endpoint="https://hub.example/"), "https://hub.example"),
    ],
)
def test_the_environment_names_the_hub(options: PullOptions, endpoint: str) -> None:
    """HF_ENDPOINT counts where no option says otherwise."""
    source = source_of(with_environment(options, {"HF_ENDPOINT": "https://mirror.example"}))
    assert isinstance(source, HuggingFaceSource)

    assert endpoint == source.endpoint


def test_the_environment_is_not_for_urls() -> None:
    """HF_ENDPOINT does not get in the way of a file by URL."""
    options = PullOptions("https://host.example/file")

    assert options == with_environment(options, {"HF_ENDPOINT": "https://mirror.example"})
