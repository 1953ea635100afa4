"""rclone checksum sha256 over the files of a store."""

from benchmarks.peers.job import load, run


def main() -> None:
    """Write the list, then check."""
    job = load()
    listing = f"{job.out}/SHA256SUMS"
    with open(listing, "w", encoding="utf-8") as stream:
        stream.writelines(f"{file.sha256}  {file.name}\n" for file in job.files)
    base = ["rclone", "--config", "/dev/null", "--quiet", "--copy-links"]
    run(*base, "checksum", "sha256", listing, str(job.source))


if __name__ == "__main__":
    main()
