"""What one fixture hub is told at its start, besides its repositories.

In: from tests or from the program's flags. Out: `HubSettings`, read by hub.py.
"""

import random
import ssl
import string
from collections.abc import Mapping
from dataclasses import dataclass

_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class HubSettings:
    """Where a hub listens and how it behaves when nothing goes wrong.

    `port` and `cdn_port` 0 are chosen free. `tls` serves both ports over TLS. `tokens` maps names to secrets; None
    makes `reader` (accepted everywhere by default) and `stranger` (valid, accepted nowhere) from the seed. `rate` is
    in bytes per second and connection, None for no limit. `page_size` is the most entries of a tree page. `url_ttl_s`
    is the life of a signed CDN URL in seconds. `xet` sends the Xet headers and hashes, behind which nothing works.
    `resolve_cache` redirects small files to /api/resolve-cache on the same host, as the real hub does.
    """

    host: str = "127.0.0.1"
    port: int = 0
    cdn_port: int = 0
    seed: int = 0
    tls: ssl.SSLContext | None = None
    tokens: Mapping[str, str] | None = None
    rate: float | None = None
    page_size: int = 1000
    url_ttl_s: float = 3600
    xet: bool = False
    resolve_cache: bool = False


def default_tokens(seed: int) -> dict[str, str]:
    """Return the tokens `reader` and `stranger`, the same for the same seed, of the shape the real hub uses."""
    source = random.Random(f"tokens {seed}")
    return {name: "hf_" + "".join(source.choices(_LETTERS, k=34)) for name in ("reader", "stranger")}
