"""sha256sum --check over the files of a store, as people verify by hand."""

from benchmarks.peers.job import load, run


def main() -> None:
    """Write the list, then check."""
    job = load()
    listing = f"{job.out}/SHA256SUMS"
    with open(listing, "w", encoding="utf-8") as stream:
        stream.writelines(f"{file.sha256}  {job.source}/{file.name}\n" for file in job.files)
    run("sha256sum", "--check", "--quiet", "--strict", listing)


if __name__ == "__main__":
    main()
