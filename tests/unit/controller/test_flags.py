"""The operator's flags and variables: what each one sets, and that a wrong value stops the start with one sentence."""

import re

import pytest

from modelfetch.api.order import Egress
from modelfetch.controller.flags import BOOLEANS, LISTS, VARIABLES, parse, parser, settings_of
from modelfetch.core.observed import Settings
from tests.tree import ROOT

IMAGE = "ghcr.io/modelfetch/modelfetch:0.1.0"
WITHOUT_VARIABLE = {"--help", "--version", "--kubeconfig"}
"""The last one has KUBECONFIG, as every client of the API server."""


def named() -> dict[str, str]:
    """Return flag to help text, without the short and the negative forms."""
    actions = parser()._actions
    return {next(name for name in action.option_strings if name[:2] == "--"): action.help or "" for action in actions}


def test_nothing_given() -> None:
    """The defaults are those of the settings themselves: public addresses, https, and no root."""

    assert Settings(image=IMAGE) == settings_of(parse([], {}))


SET: list[tuple[str, str, Settings]] = [
    ("MODELFETCH_IMAGE", "example.com/mf@sha256:00", Settings(image="example.com/mf@sha256:00")),
    ("MODELFETCH_IMAGE_PULL_POLICY", "Never", Settings(image=IMAGE, image_pull_policy="Never")),
    ("MODELFETCH_RUN_AS_USER", "1000660000", Settings(image=IMAGE, run_as_user=1000660000)),
    ("MODELFETCH_RUN_AS_USER", "namespace", Settings(image=IMAGE, run_as_user=None)),
    (
        "MODELFETCH_HUGGINGFACE_ENDPOINT",
        "http://hub.example:8080/hf/",
        Settings(image=IMAGE, huggingface_endpoint="http://hub.example:8080/hf"),
    ),
    ("MODELFETCH_NAMESPACE_SLOTS", "5", Settings(image=IMAGE, namespace_slots=5)),
    ("MODELFETCH_PROGRESS_INTERVAL", "0.5", Settings(image=IMAGE, progress_interval_s=0.5)),
    (
        "MODELFETCH_ALLOW_NETWORKS",
        "10.0.0.0/8, fd00::/8",
        Settings(image=IMAGE, egress=Egress(allow_networks=("10.0.0.0/8", "fd00::/8"))),
    ),
    ("MODELFETCH_ALLOW_PORTS", "8443,5000", Settings(image=IMAGE, egress=Egress(allow_ports=(80, 443, 8443, 5000)))),
    ("MODELFETCH_ALLOW_PORTS", "8443,any", Settings(image=IMAGE, egress=Egress(allow_ports=()))),
]


@pytest.mark.parametrize(("variable", "text", "expected"), SET, ids=[" ".join(row[:2]) for row in SET])
def test_a_flag_and_its_variable_set_the_same(variable: str, text: str, expected: Settings) -> None:
    """It does not matter which way an administrator says it."""
    flag = ALL[variable]
    parts = text.split(",") if variable in LISTS else [text]
    argv = [word for part in parts for word in (flag, part.strip())]

    assert expected == settings_of(parse([], {variable: text})) == settings_of(parse(argv, {}))


@pytest.mark.parametrize(
    ("variable", "text", "name", "expected"),
    [
        ("MODELFETCH_NAMESPACES", "team-a, 123", "namespace", ["team-a", "123"]),
        ("MODELFETCH_PROBE_PORT", "0", "probe_port", 0),
        ("MODELFETCH_LOG_FORMAT", "console", "log_format", "console"),
        ("MODELFETCH_ALLOW_HTTP", "true", "allow_http", True),
        ("MODELFETCH_ALLOW_HTTP", "False", "allow_http", False),
        ("MODELFETCH_ALLOW_HTTP", "", "allow_http", False),
        ("MODELFETCH_LEADER_ELECTION", "false", "leader_election", False),
        ("MODELFETCH_LEADER_ELECTION", "", "leader_election", True),
        ("MODELFETCH_LEASE_NAME", "mine", "lease_name", "mine"),
        ("MODELFETCH_LEASE_NAMESPACE", "mine", "lease_namespace", "mine"),
        ("MODELFETCH_IDENTITY", "operator-7d9f-x2x", "identity", "operator-7d9f-x2x"),
        ("MODELFETCH_IMAGE", " ", "image", IMAGE),
        ("MODELFETCH_ALLOW_PORTS", ",", "allow_port", []),
    ],
)
def test_a_variable(variable: str, text: str, name: str, expected: object) -> None:
    """What is no setting of decisions is set all the same; an empty variable is an absent one."""

    assert expected == getattr(parse([], {variable: text}), name)


def test_a_flag_wins_over_its_variable() -> None:
    """What stands on the command line is nearer to the person; lists are added up."""
    environ = {"MODELFETCH_ALLOW_HTTP": "true", "MODELFETCH_LOG_FORMAT": "console", "MODELFETCH_ALLOW_PORTS": "8443"}
    args = parse(["--no-allow-http", "--log-format", "json", "--allow-port", "5000"], environ)

    assert (False, "json", ["8443", "5000"]) == (args.allow_http, args.log_format, args.allow_port)


ALL = VARIABLES | LISTS | {variable: f"--{name}" for variable, name in BOOLEANS.items()}
WRONG = [
    ("MODELFETCH_NAMESPACES", "Team", "expected the name of a namespace, got 'Team'"),
    ("MODELFETCH_NAMESPACES", "team-*", "expected the name of a namespace, got 'team-*'"),
    ("MODELFETCH_IMAGE", "two words", "expected an image such as registry.example.com/modelfetch:1, got 'two words'"),
    ("MODELFETCH_IMAGE_PULL_POLICY", "Sometimes", "invalid choice: 'Sometimes'"),
    ("MODELFETCH_RUN_AS_USER", "0", "expected namespace, or a uid from 1 to 2147483647, got '0'"),
    ("MODELFETCH_RUN_AS_USER", "root", "expected namespace, or a uid from 1 to 2147483647, got 'root'"),
    ("MODELFETCH_HUGGINGFACE_ENDPOINT", "hub.example", "expected https://host[:port]"),
    ("MODELFETCH_ALLOW_NETWORKS", "10.0.0.300/8", "expected a network such as 10.0.0.0/8 or fd00::/8, got"),
    ("MODELFETCH_ALLOW_NETWORKS", "10.0.0.1/8", "expected a network such as 10.0.0.0/8 or fd00::/8, got"),
    ("MODELFETCH_ALLOW_PORTS", "0", "expected any, or a port from 1 to 65535, got '0'"),
    ("MODELFETCH_ALLOW_PORTS", "65536", "expected any, or a port from 1 to 65535, got '65536'"),
    ("MODELFETCH_ALLOW_PORTS", "all", "expected any, or a port from 1 to 65535, got 'all'"),
    ("MODELFETCH_ALLOW_HTTP", "maybe", "MODELFETCH_ALLOW_HTTP: expected true or false, got 'maybe'"),
    ("MODELFETCH_NAMESPACE_SLOTS", "-1", "expected slots from 0 to 10000, got '-1'"),
    ("MODELFETCH_PROGRESS_INTERVAL", "0", "expected seconds from 0.1 to 3600, got '0'"),
    ("MODELFETCH_PROGRESS_INTERVAL", "nan", "expected seconds from 0.1 to 3600, got 'nan'"),
    ("MODELFETCH_PROBE_PORT", "-1", "expected a port from 0 to 65535, got '-1'"),
    ("MODELFETCH_LEADER_ELECTION", "1", "MODELFETCH_LEADER_ELECTION: expected true or false, got '1'"),
    ("MODELFETCH_LEASE_NAME", "My Lease", "expected a name of lower case letters, digits, '-' and '.', got 'My Lease'"),
    ("MODELFETCH_LEASE_NAMESPACE", "a.b", "expected the name of a namespace, got 'a.b'"),
    ("MODELFETCH_IDENTITY", "-x", "expected a name of lower case letters, digits, '-' and '.', got '-x'"),
    ("MODELFETCH_LOG_FORMAT", "xml", "invalid choice: 'xml'"),
]


@pytest.mark.parametrize(("variable", "text", "message"), WRONG, ids=[" ".join(row[:2]) for row in WRONG])
def test_a_wrong_value_stops_the_start(
    variable: str, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line says which flag, what was expected and what came; nothing starts that would then fail elsewhere."""
    with pytest.raises(SystemExit) as stopped:
        parse([], {variable: text})
    line = capsys.readouterr().err.splitlines()[-1]

    assert 2 == stopped.value.code
    assert message in line
    assert variable in line or f"argument {ALL[variable]}: " in line


def test_an_endpoint_with_a_password_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal of an address does not write what must not be in a log."""
    with pytest.raises(SystemExit):
        parse(["--huggingface-endpoint", "https://me:hunter2@hub.example"], {})

    assert "hunter2" not in capsys.readouterr().err


def test_an_unknown_or_shortened_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A later version's flag cannot change what a command line means today."""
    with pytest.raises(SystemExit):
        parse(["--allow-net", "10.0.0.0/8"], {})

    assert "unrecognized arguments: --allow-net" in capsys.readouterr().err


def test_every_flag_names_its_variable() -> None:
    """--help is complete: each flag has a variable and says its name."""
    variables = {flag: variable for variable, flag in ALL.items()}

    assert set(named()) - WITHOUT_VARIABLE == set(variables)
    assert {
        flag: variable for flag, variable in variables.items() if not re.search(rf"\({variable}\b", named()[flag])
    } == {}


def test_the_installation_page_lists_every_flag() -> None:
    """Each flag has a row with its variable in docs/install.md."""
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\|[^|]*\| `(--[a-z-]+)` \| `([A-Z_]+)` \|", page, re.MULTILINE))

    assert {flag: variable for variable, flag in ALL.items()} == rows
