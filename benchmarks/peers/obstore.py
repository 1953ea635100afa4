"""obstore's HTTP store: one stream a file, hashed as it comes; many files on threads."""

import hashlib
import os

from benchmarks.peers.job import Wanted, check, each, load

BLOCK = 4 << 20


def main() -> None:
    """Fetch and check."""
    job = load()
    if job.ca_file:
        os.environ["SSL_CERT_FILE"] = job.ca_file
    from obstore.store import HTTPStore

    store = HTTPStore.from_url(job.folder_url, client_options={"allow_http": True, "timeout": "1h"})

    def fetch(file: Wanted) -> str:
        hasher = hashlib.sha256()
        with open(f"{job.out}/{file.name}", "wb") as stream:
            for block in store.get(file.name).stream(min_chunk_size=BLOCK):
                hasher.update(block)
                stream.write(block)
        return hasher.hexdigest()

    check(job, each(fetch, job.files, job.connections))


if __name__ == "__main__":
    main()
