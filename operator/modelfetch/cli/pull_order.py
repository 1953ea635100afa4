"""From the options of `modelfetch pull` to the same order that the operator would write into a Job.

Comes in: the options as text. Goes out: a `FetchOrder`, or FetchError(SpecInvalid or SourceUnsupported) that names the
option. The values pass the very models of the API, so that a file and a command line accept the same.
"""

import os
import re
import secrets
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from modelfetch.api.meta import NAME_PATTERN
from modelfetch.api.order import Egress, FetchOrder, OrderLimits, OrderTransfer, Selection
from modelfetch.api.source import HttpSource, HuggingFaceSource, Source
from modelfetch.api.wanted import Files, Verification
from modelfetch.cli import values
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

NAMESPACE = "local"
OWNER = "local"
FILES_AT_ONCE = range(4, 8)
"""From this many connections on, this many files are fetched at a time."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class PullOptions:
    """Everything after `modelfetch pull`, as typed; None and empty mean left out."""

    source: str
    name: str | None = None
    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    checksum: tuple[str, ...] = ()
    endpoint: str | None = None
    token_file: str | None = None
    max_file_size: str | None = None
    max_total_size: str | None = None
    max_files: str | None = None
    allow_network: tuple[str, ...] = ()
    allow_port: tuple[str, ...] = ()
    allow_http: bool = False
    ca_file: str | None = None
    connections: str = "16"
    limit_rate: str | None = None
    retries: str = "5"
    deadline: str = "24h"


def make_order(options: PullOptions, has_token: bool) -> FetchOrder:
    """Return the order; raises FetchError that names the option and what it accepts."""
    source = source_of(options)
    return FetchOrder(
        namespace=NAMESPACE,
        name=name_of(options.name, source),
        owner=OWNER,
        attempt=f"local-{secrets.token_hex(8)}",
        source=source,
        has_token=has_token,
        selection=_selection(options),
        checksums=_checksums(options.checksum),
        limits=_limits(options),
        transfer=_transfer(options),
        egress=_egress(options),
    )


def source_of(options: PullOptions) -> HuggingFaceSource | HttpSource:
    """Return the source with revision and endpoint put in; raises FetchError."""
    source = _parsed_uri(options.source).normalise()
    if isinstance(source, HttpSource):
        for option, value in (("--revision", options.revision), ("--endpoint", options.endpoint)):
            if value is not None:
                raise _refusal(f"{option}: expected only with an hf:// source, got '{options.source}'")
        return source
    if options.revision is not None and "@" in options.source and options.revision != source.revision:
        raise _refusal(f"--revision: expected one revision, got '{options.revision}' and '{source.revision}'")
    changes: dict[str, Any] = {"revision": options.revision, "endpoint": options.endpoint}
    changes = {field: value for field, value in changes.items() if value is not None}
    return _validated(HuggingFaceSource, {**source.model_dump(), **changes}, "--{}")


def _parsed_uri(text: str) -> Source:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if match is None:
        hint = f": did you mean 'hf://{text}'?" if re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@\S+)?", text) else ""
        raise _refusal(f"SOURCE: expected hf://org/name, https://host/file or http://host/file, got '{text}'{hint}")
    scheme = match[1].lower()
    if scheme not in ("hf", "http", "https"):
        raise FetchError(Reason.SOURCE_UNSUPPORTED, f"SOURCE: expected hf://, https:// or http://, got '{scheme}://'")
    if "?" in text or "#" in text:
        raise _refusal("SOURCE: expected an address without query string and fragment: they may hold secrets")
    return _validated(Source, {"uri": text}, "SOURCE")


def name_of(name: str | None, source: HuggingFaceSource | HttpSource) -> str:
    """Return `name`, or the last part of the source, as a DNS name: the folder below models/local."""
    if name is not None:
        if re.fullmatch(NAME_PATTERN[1:-1], name) is None or len(name) > 253:
            raise _refusal(f"--name: expected lower-case letters, digits, '-' and '.' (a DNS name), got '{name}'")
        return name
    last = source.repo if isinstance(source, HuggingFaceSource) else source.files[0].path
    plain = re.sub(r"[^a-z0-9.]+", "-", last.rpartition("/")[2].lower())
    return re.sub(r"-*\.[-.]*", ".", plain).strip("-.")[:200].rstrip("-.") or "model"


def _selection(options: PullOptions) -> Selection:
    if not options.include and not options.exclude:
        return Selection()  # and leave the rules of patterns unread
    files = _validated(Files, {"include": list(options.include), "exclude": list(options.exclude)}, "--{}")
    return Selection(include=tuple(files.include), exclude=tuple(files.exclude))


def _checksums(texts: tuple[str, ...]) -> dict[str, str]:
    if not texts:
        return {}
    found = values.checksums("--checksum", texts)
    return dict(_validated(Verification, {"checksums": found}, "--checksum").checksums)


def _limits(options: PullOptions) -> OrderLimits:
    return OrderLimits(
        max_file_size=_size("--max-file-size", options.max_file_size),
        max_total_size=_size("--max-total-size", options.max_total_size),
        max_files=OrderLimits().max_files
        if options.max_files is None
        else values.whole_number("--max-files", options.max_files, 1, 10**6),
    )


def _size(option: str, text: str | None) -> int | None:
    return None if text is None else values.size_bytes(option, text)


def _transfer(options: PullOptions) -> OrderTransfer:
    connections = values.whole_number("--connections", options.connections, 1, 64)
    files = _files_at_once(connections)
    return OrderTransfer(
        parallel_files=files,
        connections_per_file=connections // files,
        deadline_s=values.duration_s("--deadline", options.deadline),
        request_retries=values.whole_number("--retries", options.retries, 0, 100),
    ).within(_rate("--limit-rate", options.limit_rate))


def _files_at_once(connections: int) -> int:
    """Return how many files share the connections so that as few of them as can be are left over."""
    choices = [files for files in FILES_AT_ONCE if files <= connections]
    return max(choices, key=lambda files: (connections // files * files, -files), default=connections)


def _rate(option: str, text: str | None) -> int | None:
    return None if text is None else values.rate_bytes_per_s(option, text)


def _egress(options: PullOptions) -> Egress:
    ca_file = options.ca_file and os.path.expanduser(options.ca_file)
    if ca_file is not None and not os.path.isfile(ca_file):  # Path.is_file() raises for names that are too long
        raise _refusal(f"--ca-file: expected a file with certificates, got '{options.ca_file}'")
    return Egress(
        allow_networks=values.each("--allow-network", options.allow_network, values.network),
        allow_ports=_ports(options.allow_port),
        allow_http=options.allow_http,
        ca_file=ca_file and os.path.abspath(ca_file),
    )


def _ports(texts: tuple[str, ...]) -> tuple[int, ...]:
    """Return 80, 443 and the ports of `texts`; none, which means any, where one of them is `any`."""
    ports = [0 if text == "any" else values.whole_number("--allow-port", text, 1, 65535) for text in texts]
    return () if 0 in ports else tuple(sorted({80, 443, *ports}))


def _validated(kind: type[Model], content: dict[str, Any], option: str) -> Model:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = next((str(part) for part in first["loc"]), "")
        raise _refusal(f"{option.format(field)}: {first['msg'].removeprefix('Value error, ')}") from None


def _refusal(message: str) -> FetchError:
    return FetchError(Reason.SPEC_INVALID, message)
