"""huggingface_hub.snapshot_download into a folder (listing, HEADs, downloads), then a SHA-256 pass."""

from benchmarks.peers.job import check, load, use_hub


def main() -> None:
    """Fetch and check."""
    job = load()
    use_hub(job)
    from huggingface_hub import snapshot_download

    snapshot_download(job.repo or "", local_dir=job.out)
    check(job)


if __name__ == "__main__":
    main()
