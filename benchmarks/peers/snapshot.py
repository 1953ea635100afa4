"""huggingface_hub.snapshot_download into a folder (listing, HEADs, downloads), then a SHA-256 pass."""

import os

from benchmarks.peers.job import check, load


def main() -> None:
    """Fetch and check."""
    job = load()
    os.environ.update(
        HF_ENDPOINT=job.endpoint or "",
        HF_HOME=f"{job.out}/.hub",
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
    )
    from huggingface_hub import snapshot_download

    snapshot_download(job.repo or "", local_dir=job.out)
    check(job)


if __name__ == "__main__":
    main()
