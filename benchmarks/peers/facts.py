"""What a run's header says of this environment: versions of the peers, and how fast this machine hashes.

In: nothing. Out: one JSON object on standard output; a peer that is not installed has the version null.
"""

import hashlib
import json
import sys
import time
from importlib import metadata

PACKAGES = ("huggingface_hub", "hf_transfer", "requests", "obstore", "pycurl", "kserve-storage", "blake3", "py-spy")
_BYTES = 128 << 20


def version(package: str) -> str | None:
    """Return the installed version of a package, None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def rate(hasher: object) -> float:
    """Return MiB/s of an update over blocks of 1 MiB."""
    block = bytes(1 << 20)
    begin = time.perf_counter()
    for _ in range(_BYTES >> 20):
        hasher.update(block)  # type: ignore[attr-defined]
    return round((_BYTES >> 20) / (time.perf_counter() - begin), 1)


def main() -> None:
    """Print the facts."""
    facts: dict[str, object] = {package: version(package) for package in PACKAGES}
    rates = {"sha256_mib_s": max(rate(hashlib.sha256()) for _ in range(3))}
    if facts["blake3"]:
        from blake3 import blake3

        rates["blake3_mib_s"] = max(rate(blake3()) for _ in range(3))
    json.dump({"packages": facts, "rates": rates, "python": sys.version.split()[0]}, sys.stdout)


if __name__ == "__main__":
    main()
