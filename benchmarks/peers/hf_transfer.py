"""hf_transfer as huggingface_hub called it (chunks of 10 MiB), then a SHA-256 pass."""

import os

from benchmarks.peers.job import Wanted, check, each, load

CHUNK = 10 * 1024 * 1024
FILES_AT_ONCE = 8


def main() -> None:
    """Fetch and check."""
    job = load()
    if job.ca_file:
        os.environ["SSL_CERT_FILE"] = job.ca_file
    import hf_transfer

    def fetch(file: Wanted) -> None:
        path = f"{job.out}/{file.name}"
        hf_transfer.download(file.url, path, max_files=job.connections, chunk_size=CHUNK)

    each(fetch, job.files, FILES_AT_ONCE)
    check(job)


if __name__ == "__main__":
    main()
