"""huggingface_hub's own transfer (`http_get`, what snapshot_download uses without Xet), then a SHA-256 pass."""

import ssl
from concurrent.futures import ThreadPoolExecutor

import httpx2
from huggingface_hub import set_client_factory
from huggingface_hub.file_download import http_get
from huggingface_hub.utils.tqdm import disable_progress_bars

from benchmarks.peers.job import Wanted, check, load

WORKERS = 8
"""The default of snapshot_download."""


def main() -> None:
    """Fetch and check."""
    job = load()
    disable_progress_bars()
    if job.ca_file:
        context = ssl.create_default_context(cafile=job.ca_file)
        set_client_factory(lambda: httpx2.Client(verify=context, follow_redirects=True, timeout=None))

    def fetch(file: Wanted) -> None:
        with open(f"{job.out}/{file.name}", "wb") as stream:
            http_get(file.url, stream, expected_size=file.size)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fetch, job.files))
    check(job)


if __name__ == "__main__":
    main()
