"""curl, then a SHA-256 pass; many files with --parallel, an interrupted one with `-C -`."""

import os

from benchmarks.peers.job import Job, check, load, run


def command(job: Job) -> list[str]:
    """Return the call of curl for one file, or for many through a list of addresses."""
    base = ["curl", "-q", "--silent", "--show-error", "--fail", *(["--cacert", job.ca_file] if job.ca_file else [])]
    if len(job.files) == 1:
        again = ["--continue-at", "-"] if job.resume else []
        return [*base, *again, "--output", job.paths[0], job.files[0].url]
    listing = os.path.join(job.out, ".urls")
    with open(listing, "w", encoding="utf-8") as stream:
        stream.writelines(f'url = "{file.url}"\noutput = "{job.out}/{file.name}"\n' for file in job.files)
    return [*base, "--parallel", "--parallel-max", str(job.connections), "--config", listing]


def main() -> None:
    """Fetch and check."""
    job = load()
    run(*command(job))
    check(job)


if __name__ == "__main__":
    main()
