"""Where this system keeps the certificates that it trusts: the libcurl of a wheel looks at one system's place only."""

import ssl
from pathlib import Path

_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def system_ca_file() -> str:
    """Return the path of the system's PEM bundle; the usual one where there is none, for the message."""
    default = ssl.get_default_verify_paths().cafile
    return default or next((path for path in _CA_FILES if Path(path).exists()), _CA_FILES[0])
