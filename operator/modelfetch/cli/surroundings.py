"""What `modelfetch pull` takes from around its command line: HF_ENDPOINT, HF_TOKEN, the token file.

Comes in: options and the environment. Goes out: the options with the hub's address put in, and the token or None. Both
variables count for hf:// sources only, and the token goes to the hub's own address only.
"""

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
        path = Path(options.token_file).expanduser()
        if not path.exists():
            raise FetchError(Reason.SPEC_INVALID, f"--token-file: expected a file, got '{path}'")
        return read_token(path)
    inherited = environment.get("HF_TOKEN") if is_hub(options) else None
    return parse_token(inherited.encode(), "the environment variable HF_TOKEN") if inherited else None


def is_hub(options: PullOptions) -> bool:
    """Return whether the source is one of a hub."""
    return options.source.startswith("hf://")
