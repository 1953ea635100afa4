"""What `modelfetch pull` takes from around its command line: HF_ENDPOINT, HF_TOKEN, the token file, where a path leads.

Comes in: options and the environment. Goes out: the options with the hub's address put in, and the token or None. Both
variables count for hf:// sources only, and the token goes to the hub's own address only.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from modelfetch.cli.pull_order import PullOptions
from modelfetch.errors import FetchError
from modelfetch.fetcher.token import TOKEN_LIMIT, parse_token, read_token
from modelfetch.reasons import Reason


def with_environment(options: PullOptions, environment: Mapping[str, str]) -> PullOptions:
    """Return the options with `HF_ENDPOINT` as endpoint where an hf:// source has none."""
    if options.endpoint is None and is_hub(options):
        return replace(options, endpoint=environment.get("HF_ENDPOINT") or None)
    return options


def token_of(options: PullOptions, environment: Mapping[str, str]) -> str | None:
    """Return the token of --token-file, else of `HF_TOKEN`, else None; raises FetchError(SecretKeyMissing)."""
    if options.token_file == "-":
        return parse_token(sys.stdin.buffer.read(TOKEN_LIMIT + 3), "standard input")
    if options.token_file is not None:
        path = absolute_path("--token-file", options.token_file)
        if not os.path.exists(path):
            raise FetchError(Reason.SPEC_INVALID, f"--token-file: expected a file, got '{path}'")
        return read_token(path)
    inherited = environment.get("HF_TOKEN") if is_hub(options) else None
    return parse_token(os.fsencode(inherited), "the environment variable HF_TOKEN") if inherited else None


def absolute_path(option: str, text: str) -> Path:
    """Return where `text` leads from the home and current folder; raises FetchError(SpecInvalid) for nowhere."""
    try:
        path = text and os.path.abspath(Path(text).expanduser())
    except (OSError, RuntimeError):
        path = ""  # the current folder is gone, or nobody has that name
    if not path:
        raise FetchError(Reason.SPEC_INVALID, f"{option}: expected a path, got '{text}', which leads nowhere")
    return Path(path)


def is_hub(options: PullOptions) -> bool:
    """Return whether the source is one of a hub."""
    return options.source.startswith("hf://")
