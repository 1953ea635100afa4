"""requests: a stream of 1 MiB blocks, hashed as they come; many files on 16 threads."""

import hashlib
import threading

import requests

from benchmarks.peers.job import Wanted, check, each, load

BLOCK = 1 << 20


def main() -> None:
    """Fetch and check."""
    job = load()
    own = threading.local()

    def fetch(file: Wanted) -> str:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.verify = job.ca_file or True
        hasher = hashlib.sha256()
        with own.session.get(file.url, stream=True) as answer, open(f"{job.out}/{file.name}", "wb") as stream:
            answer.raise_for_status()
            for block in answer.iter_content(BLOCK):
                hasher.update(block)
                stream.write(block)
        return hasher.hexdigest()

    check(job, each(fetch, job.files, job.connections))


if __name__ == "__main__":
    main()
