"""nginx with 2 workers and sendfile: plain HTTP, TLS 1.3, and plain HTTP with a delay before the first byte.

In: the root with the files, a folder for its own ones, the certificate's files. Out: ports and an access log. Without
the Lua module there is no port with a delay.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.files import COMMIT
from benchmarks.servers.traffic import AccessLog

LUA = [Path("/usr/lib/nginx/modules") / f"{name}_module.so" for name in ("ndk_http", "ngx_http_lua")]
DELAY_S = 0.03
_CONFIGURATION = """\
daemon off;
worker_processes 2;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{modules}
events {{ worker_connections 4096; }}
http {{
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    keepalive_timeout 60s;
    default_type application/octet-stream;
    open_file_cache max=10000 inactive=600s;
    log_format bench '$connection $msec $request_time $status $body_bytes_sent $request_method $uri';
    access_log {folder}/access.log bench;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    root {root};
    autoindex on;
    {servers}
}}
"""
_SERVER = """
    server {{
        listen 127.0.0.1:{port}{flags};
        {more}
        location /api/ {{ default_type application/json; try_files $uri.json =404; add_header X-Repo-Commit {commit}; }}
        location / {{ {wait} add_header X-Repo-Commit {commit}; }}
    }}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx: the addresses of its servers by kind, and its log."""

    addresses: dict[str, str]
    log: AccessLog


def available() -> bool:
    """Return whether nginx is installed."""
    return shutil.which("nginx") is not None


def can_delay() -> bool:
    """Return whether nginx can hold an answer back."""
    return available() and all(path.exists() for path in LUA)


@contextlib.contextmanager
def serving(root: Path, folder: Path, certificate: Path, key: Path) -> Iterator[Nginx]:
    """Serve `root` until the end of the block."""
    kinds = ["http", "tls", *(["delay"] if can_delay() else [])]
    ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
    configuration = folder / "nginx.conf"
    configuration.write_text(_configured(root, folder, ports, certificate, key))
    command = ["nginx", "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        for port in ports.values():
            wait_for_port(port, process)
        schemes = {"tls": "https"}
        addresses = {kind: f"{schemes.get(kind, 'http')}://127.0.0.1:{port}" for kind, port in ports.items()}
        yield Nginx(addresses, AccessLog(folder / "access.log"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _configured(root: Path, folder: Path, ports: dict[str, int], certificate: Path, key: Path) -> str:
    tls = f"ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"
    wait = f"access_by_lua_block {{ ngx.sleep({DELAY_S}) }}"
    text = {"http": ("", "", ""), "tls": (" ssl http2", tls, ""), "delay": ("", "", wait)}
    servers = [
        _SERVER.format(port=port, flags=text[kind][0], more=text[kind][1], wait=text[kind][2], commit=COMMIT)
        for kind, port in ports.items()
    ]
    modules = "".join(f"load_module {path};\n" for path in LUA) if can_delay() else ""
    # Workers of root's nginx would be nobody, who may not read what root keeps to itself.
    user = "user root;" if os.geteuid() == 0 else ""
    return _CONFIGURATION.format(root=root, folder=folder, modules=modules, servers="".join(servers), user=user)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for taken in sockets:
            taken.bind(("127.0.0.1", 0))
        return [taken.getsockname()[1] for taken in sockets]


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", patience_s: float = 15) -> None:
    """Return once somebody listens on `port`; raises RuntimeError where `process` ends or time runs out."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"expected a server on port {port}, none came")
