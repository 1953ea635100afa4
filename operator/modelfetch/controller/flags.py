"""The operator's command line: what an administrator may set, and the settings that decisions are made with.

Comes in: arguments, and one environment variable for each flag. Goes out: parsed arguments for main.py, and Settings
for core/. A variable is read as if its flag stood before the arguments, so both are held to the same rules.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network

from pydantic import TypeAdapter, ValidationError

from modelfetch import __version__
from modelfetch.api.order import Egress
from modelfetch.api.source import Endpoint
from modelfetch.core.observed import Settings

ANY_PORT = "any"
VARIABLES = {
    "MODELFETCH_IMAGE": "--image",
    "MODELFETCH_IMAGE_PULL_POLICY": "--image-pull-policy",
    "MODELFETCH_RUN_AS_USER": "--run-as-user",
    "MODELFETCH_HUGGINGFACE_ENDPOINT": "--huggingface-endpoint",
    "MODELFETCH_NAMESPACE_SLOTS": "--namespace-slots",
    "MODELFETCH_PROGRESS_INTERVAL": "--progress-interval",
    "MODELFETCH_PROBE_PORT": "--probe-port",
    "MODELFETCH_LOG_FORMAT": "--log-format",
    "MODELFETCH_LEASE_NAME": "--lease-name",
    "MODELFETCH_LEASE_NAMESPACE": "--lease-namespace",
    "MODELFETCH_IDENTITY": "--identity",
}
LISTS = {
    "MODELFETCH_NAMESPACES": "--namespace",
    "MODELFETCH_ALLOW_NETWORKS": "--allow-network",
    "MODELFETCH_ALLOW_PORTS": "--allow-port",
}
"""Variables with several values, separated by commas; the flag's own values are added to them."""
BOOLEANS = {"MODELFETCH_ALLOW_HTTP": "allow-http", "MODELFETCH_LEADER_ELECTION": "leader-election"}
"""Variables that are true or false; the flag is --NAME or --no-NAME."""

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_IMAGE = re.compile(r"[^\s-]\S{0,511}")
_LARGEST_UID = 2**31 - 1
_MOST_SLOTS = 10_000


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> argparse.Namespace:
    """Return the arguments, those of the environment included; exits with code 2 and one sentence on a wrong one."""
    flags = parser()
    try:
        from_environment = list(_words(environ))
    except ValueError as error:
        flags.error(str(error))
    return flags.parse_args([*from_environment, *argv])


def _words(environ: Mapping[str, str]) -> Iterator[str]:
    # An empty variable is an absent one: that is how a manifest unsets it.
    for variable, flag in VARIABLES.items():
        if text := environ.get(variable, "").strip():
            yield f"{flag}={text}"
    for variable, flag in LISTS.items():
        yield from (f"{flag}={text.strip()}" for text in environ.get(variable, "").split(",") if text.strip())
    for variable, name in BOOLEANS.items():
        if text := environ.get(variable, "").strip().lower():
            if text not in ("true", "false"):
                raise ValueError(f"{variable}: expected true or false, got '{text}'")
            yield f"--{name}" if text == "true" else f"--no-{name}"


def settings_of(args: argparse.Namespace) -> Settings:
    """Return the administrator's settings."""
    ports = () if ANY_PORT in args.allow_port else (80, 443, *map(int, args.allow_port))
    return Settings(
        image=args.image,
        image_pull_policy=args.image_pull_policy,
        egress=Egress(allow_networks=tuple(args.allow_network), allow_ports=ports, allow_http=args.allow_http),
        huggingface_endpoint=args.huggingface_endpoint,
        run_as_user=args.run_as_user,
        namespace_slots=args.namespace_slots,
        progress_interval_s=args.progress_interval,
    )


def parser() -> argparse.ArgumentParser:
    """Return the flags; every one says which environment variable stands for it."""
    flags = argparse.ArgumentParser(
        prog="modelfetch-operator",
        description="Watch ModelFetch and ModelStore resources, run fetch Jobs, keep the status true.",
        epilog="Without --kubeconfig: KUBECONFIG, else the Pod's ServiceAccount.",
        allow_abbrev=False,
    )
    flags.add_argument("--version", action="version", version=f"modelfetch-operator {__version__}")
    flags.add_argument("--kubeconfig", help="file that says where the API server is")
    flags.add_argument(
        "--namespace",
        action="append",
        default=[],
        type=_namespace,
        help="watch this namespace only; repeatable; all if absent (MODELFETCH_NAMESPACES, separated by commas)",
    )
    _add_pod_flags(flags)
    _add_egress_flags(flags)
    _add_leader_flags(flags)
    flags.add_argument(
        "--namespace-slots",
        type=_slots,
        default=0,
        metavar="N",
        help="fetches that may run at once in a namespace, over all its stores; 0 for no bound but the stores' slots "
        "(MODELFETCH_NAMESPACE_SLOTS; default %(default)s)",
    )
    flags.add_argument(
        "--progress-interval",
        type=_interval_s,
        default=10.0,
        metavar="SECONDS",
        help="time between two writes of one resource's progress; a change of its phase is written at once "
        "(MODELFETCH_PROGRESS_INTERVAL; default %(default)g)",
    )
    flags.add_argument(
        "--probe-port",
        type=_probe_port,
        default=8080,
        metavar="PORT",
        help="port of /livez, /readyz and /metrics; 0 for none (MODELFETCH_PROBE_PORT; default %(default)s)",
    )
    flags.add_argument(
        "--log-format",
        choices=["json", "console"],
        default="json",
        help="form of the log (MODELFETCH_LOG_FORMAT; default %(default)s)",
    )
    return flags


def _add_pod_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--image",
        type=_image,
        default=f"ghcr.io/modelfetch/modelfetch:{__version__}",
        help="image of the fetch Pods (MODELFETCH_IMAGE; default %(default)s)",
    )
    flags.add_argument(
        "--image-pull-policy",
        default="IfNotPresent",
        choices=["Always", "IfNotPresent", "Never"],
        help="pull policy of the fetch Pods (MODELFETCH_IMAGE_PULL_POLICY; default %(default)s)",
    )
    flags.add_argument(
        "--run-as-user",
        type=_user,
        default=65532,
        metavar="UID",
        help="uid and gid of the fetch Pods, or 'namespace' to let the namespace decide, as OpenShift wants "
        "(MODELFETCH_RUN_AS_USER; default %(default)s)",
    )


def _add_egress_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--huggingface-endpoint",
        type=_endpoint,
        default="https://huggingface.co",
        metavar="URL",
        help="hub of hf:// sources that name none (MODELFETCH_HUGGINGFACE_ENDPOINT; default %(default)s)",
    )
    flags.add_argument(
        "--allow-network",
        action="append",
        default=[],
        type=_network,
        metavar="CIDR",
        help="private network that fetch Pods may connect to; repeatable "
        "(MODELFETCH_ALLOW_NETWORKS, separated by commas)",
    )
    flags.add_argument(
        "--allow-port",
        action="append",
        default=[],
        type=_port,
        metavar="PORT",
        help="port beside 80 and 443 that fetch Pods may connect to, or 'any'; repeatable "
        "(MODELFETCH_ALLOW_PORTS, separated by commas)",
    )
    flags.add_argument(
        "--allow-http",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="whether sources may be plain http:// (MODELFETCH_ALLOW_HTTP, true or false; default: no)",
    )


def _add_leader_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--leader-election",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether replicas agree by a Lease on the one that works; without it there must be only one "
        "(MODELFETCH_LEADER_ELECTION, true or false; default: yes)",
    )
    flags.add_argument(
        "--lease-name",
        type=_name,
        default="modelfetch-operator",
        metavar="NAME",
        help="name of the Lease; the same for all replicas (MODELFETCH_LEASE_NAME; default %(default)s)",
    )
    flags.add_argument(
        "--lease-namespace",
        type=_namespace,
        metavar="NAMESPACE",
        help="namespace of the Lease (MODELFETCH_LEASE_NAMESPACE; default: the Pod's or the kubeconfig's)",
    )
    flags.add_argument(
        "--identity",
        type=_name,
        metavar="NAME",
        help="name of this replica in the Lease, which no other may have; one that is started again under its name, "
        "as a container in its Pod, leads again at once (MODELFETCH_IDENTITY; default: the host's name and a random "
        "part)",
    )


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise _refusal("a name of lower case letters, digits, '-' and '.'", text)
    return text


def _namespace(text: str) -> str:
    if _NAMESPACE.fullmatch(text) is None:
        raise _refusal("the name of a namespace", text)
    return text


def _image(text: str) -> str:
    if _IMAGE.fullmatch(text) is None:
        raise _refusal("an image such as registry.example.com/modelfetch:1", text)
    return text


def _user(text: str) -> int | None:
    # Fetch Pods must not run as root, so uid 0 would be a Pod that never starts.
    return None if text == "namespace" else _number(text, 1, _LARGEST_UID, "namespace, or a uid from 1")


def _port(text: str) -> str:
    return text if text == ANY_PORT else str(_number(text, 1, 65535, "any, or a port from 1"))


def _slots(text: str) -> int:
    return _number(text, 0, _MOST_SLOTS, "slots from 0")


def _probe_port(text: str) -> int:
    return _number(text, 0, 65535, "a port from 0")


def _number(text: str, least: int, most: int, what: str) -> int:
    if re.fullmatch(r"[0-9]{1,10}", text) is None or not least <= int(text) <= most:
        raise _refusal(f"{what} to {most}", text)
    return int(text)


def _interval_s(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,17})?", text) is None or not 0.1 <= float(text) <= 3600:
        raise _refusal("seconds from 0.1 to 3600", text)
    return float(text)


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise _refusal("a network such as 10.0.0.0/8 or fd00::/8", text) from None


def _endpoint(text: str) -> str:
    try:
        return TypeAdapter[str](Endpoint).validate_python(text)
    except ValidationError:
        # Not the text: credentials in it are one of the things that are refused.
        raise argparse.ArgumentTypeError(
            "expected https://host[:port] or http://host[:port], with a path of plain characters where it has one, "
            "and no user, password, query or token"
        ) from None


def _refusal(expected: str, text: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"expected {expected}, got '{text[:100]}'")
