"""pycurl, hashed and written in the callback: one stream a file, on threads for many."""

import hashlib

import pycurl

from benchmarks.peers.job import Wanted, check, each, load

BUFFER = 512 * 1024


def main() -> None:
    """Fetch and check."""
    job = load()

    def fetch(file: Wanted) -> str:
        hasher, curl = hashlib.sha256(), pycurl.Curl()
        with open(f"{job.out}/{file.name}", "wb", buffering=0) as stream:

            def take(block: bytes) -> None:
                hasher.update(block)
                stream.write(block)

            curl.setopt(pycurl.URL, file.url)
            curl.setopt(pycurl.FAILONERROR, True)
            curl.setopt(pycurl.BUFFERSIZE, BUFFER)
            curl.setopt(pycurl.WRITEFUNCTION, take)
            if job.ca_file:
                curl.setopt(pycurl.CAINFO, job.ca_file)
            curl.perform()
            curl.close()
        return hasher.hexdigest()

    check(job, each(fetch, job.files, job.connections))


if __name__ == "__main__":
    main()
