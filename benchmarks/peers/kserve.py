"""KServe's storage initializer (`kserve_storage.Storage.download`), then a SHA-256 pass.

One file by its address, a repository by hf://; the container's own start is not counted.
"""

import os

from benchmarks.peers.job import check, load, use_hub


def main() -> None:
    """Fetch and check."""
    job = load()
    use_hub(job, REQUESTS_CA_BUNDLE=job.ca_file or os.environ.get("REQUESTS_CA_BUNDLE", ""))
    from kserve_storage import Storage

    Storage.download(f"hf://{job.repo}" if job.repo else job.files[0].url, job.out)
    check(job)


if __name__ == "__main__":
    main()
