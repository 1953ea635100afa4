"""rclone from an HTTP remote, then a SHA-256 pass; one large file in several streams, many files without HEADs."""

from benchmarks.peers.job import Job, check, load, run


def command(job: Job) -> list[str]:
    """Return the call of rclone."""
    base = ["rclone", "--config", "/dev/null", "--quiet", "--retries", "1", "--http-url", job.folder_url]
    trust = ["--ca-cert", job.ca_file] if job.ca_file else []
    if len(job.files) == 1:
        streams = ["--multi-thread-streams", str(job.connections), "--multi-thread-cutoff", "1M"]
        return [*base, *trust, *streams, "copyto", f":http:{job.files[0].name}", job.paths[0]]
    width = ["--transfers", str(job.connections), "--checkers", str(job.connections), "--http-no-head"]
    return [*base, *trust, *width, "copy", ":http:", job.out]


def main() -> None:
    """Fetch and check."""
    job = load()
    run(*command(job))
    check(job)


if __name__ == "__main__":
    main()
