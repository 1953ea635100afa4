"""cp of the first model's files into a second folder, then a SHA-256 pass."""

from benchmarks.peers.job import check, load, run


def main() -> None:
    """Copy and check."""
    job = load()
    run("cp", *[f"{job.source}/{file.name}" for file in job.files], job.out)
    check(job)


if __name__ == "__main__":
    main()
