"""rclone copy of the first model's folder into a second one (it compares hashes itself)."""

from benchmarks.peers.job import check, load, run


def main() -> None:
    """Copy and check."""
    job = load()
    run("rclone", "--config", "/dev/null", "--quiet", "--transfers", "8", "copy", f"{job.source}", job.out)
    check(job)


if __name__ == "__main__":
    main()
