"""aria2c with 16 connections a server, then a SHA-256 pass (its own --checksum is slower).

It keeps its list of what it has every second, not every minute, so that a killed one can go on.
"""

import os

from benchmarks.peers.job import Job, check, load, run


def command(job: Job) -> list[str]:
    """Return the call of aria2c; the list of addresses is a file beside the target."""
    listing = os.path.join(job.out, ".urls")
    with open(listing, "w", encoding="utf-8") as stream:
        stream.writelines(f"{file.url}\n  out={file.name}\n" for file in job.files)
    flags = ["--no-conf", "--quiet", "--allow-overwrite=true", "--auto-file-renaming=false", "--file-allocation=none"]
    width = [f"--max-connection-per-server={min(job.connections, 16)}", f"--split={job.connections}"]
    many = [f"--max-concurrent-downloads={job.connections}"] if len(job.files) > 1 else []
    trust = [f"--ca-certificate={job.ca_file}"] if job.ca_file else []
    again = ["--continue=true", "--auto-save-interval=1"]
    return ["aria2c", *flags, *width, *many, *trust, *again, f"--dir={job.out}", f"--input-file={listing}"]


def main() -> None:
    """Fetch and check."""
    job = load()
    run(*command(job))
    check(job)


if __name__ == "__main__":
    main()
