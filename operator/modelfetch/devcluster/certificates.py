"""The TLS files of one cluster: one authority, whose own key is never written, and what it signed.

Goes out, into a folder: `ca.crt`; `apiserver.{crt,key}`; `node.{crt,key}` for the log server of the cluster's node;
`kubelet-client.{crt,key}`, the API server's identity towards that node; `service-account.key`. All keys are mode 0600.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

SERVICE_ADDRESS = "10.96.0.1"
"""What Pods know the API server by: the first address of controlplane.py's service range."""
REAL_NODE_ADDRESS = "10.244.0.1"
"""The address of a real node (realnode/), where its kubelet serves logs."""
_LIFETIME = timedelta(days=3650)
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: EllipticCurvePrivateKey
    now: datetime


def write_certificates(folder: Path, now: datetime) -> None:
    """Afterwards `folder` holds all files named above, valid from an hour before `now` for ten years."""
    authority = _new_authority(now)
    _write(folder / "ca.crt", authority.certificate.public_bytes(Encoding.PEM), 0o644)
    server = ExtendedKeyUsageOID.SERVER_AUTH
    names = ["localhost", "127.0.0.1", "kubernetes.default.svc", SERVICE_ADDRESS]
    _issue(folder / "apiserver", authority, "kube-apiserver", server, names)
    _issue(folder / "node", authority, "process-node", server, ["localhost", "127.0.0.1", REAL_NODE_ADDRESS])
    _issue(folder / "kubelet-client", authority, "kube-apiserver-kubelet-client", ExtendedKeyUsageOID.CLIENT_AUTH, [])
    _write(folder / "service-account.key", _key_pem(generate_private_key(SECP256R1())), 0o600)


def _new_authority(now: datetime) -> _Authority:
    key = generate_private_key(SECP256R1())
    name = _name("modelfetch embedded cluster")
    usage = _usage(signs_certificates=True)
    certificate = (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return _Authority(certificate, key, now)


def _issue(
    path: Path, authority: _Authority, common_name: str, purpose: ObjectIdentifier, addresses: Sequence[str]
) -> None:
    key = generate_private_key(SECP256R1())
    builder = (
        _builder(_name(common_name), authority.certificate.subject, key, authority.now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if addresses:
        names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(authority.key, SHA256())
    _write(path.with_suffix(".crt"), certificate.public_bytes(Encoding.PEM), 0o644)
    _write(path.with_suffix(".key"), _key_pem(key), 0o600)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
