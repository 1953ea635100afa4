"""A limit: curl into /dev/null, without a hash and without a disk."""

from benchmarks.peers.job import Job, load, run


def command(job: Job) -> list[str]:
    """Return the call of curl for one file or many."""
    base = ["curl", "-q", "--silent", "--show-error", "--fail", *(["--cacert", job.ca_file] if job.ca_file else [])]
    if len(job.files) == 1:
        return [*base, "--output", "/dev/null", job.files[0].url]
    listing = f"{job.out}/.urls"
    with open(listing, "w", encoding="utf-8") as stream:
        stream.writelines(f'url = "{file.url}"\noutput = "/dev/null"\n' for file in job.files)
    return [*base, "--parallel", "--parallel-max", str(job.connections), "--config", listing]


if __name__ == "__main__":
    run(*command(load()))
