"""A release site on loopback: serves given files, counts what was asked, and can stay silent."""

import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from modelfetch.devcluster.release import Release


@dataclass
class Site:
    """`files` maps URL paths to contents; `asked` lists the paths of all requests."""

    url: str
    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)


@contextmanager
def release_site(files: dict[str, bytes]) -> Iterator[Site]:
    """Yield a site that serves `files`; what is not among them is 404."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    site = Site(f"http://127.0.0.1:{server.server_address[1]}", files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            content = site.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_site() -> Iterator[str]:
    """Yield the URL of a site that takes connections and answers nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def published(release: Release, programs: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files that the release sites have for `programs`, with true checksums."""
    files: dict[str, bytes] = {}
    for name, content in programs.items():
        if name == "etcd":
            files |= _etcd_files(release, content)
            continue
        path = f"/release/v{release.kubernetes}/bin/linux/{release.architecture}/{name}"
        files |= {path: content, f"{path}.sha256": hashlib.sha256(content).hexdigest().encode()}
    return files


def _etcd_files(release: Release, content: bytes) -> dict[str, bytes]:
    top = f"etcd-v{release.etcd}-linux-{release.architecture}"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"{top}/etcd")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    sums = f"{'0' * 64}  etcd-v{release.etcd}-darwin-amd64.zip\n{digest}  {top}.tar.gz\n"
    base = f"/v{release.etcd}"
    return {f"{base}/{top}.tar.gz": archive.getvalue(), f"{base}/SHA256SUMS": sums.encode()}
