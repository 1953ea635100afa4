"""No error of libcurl is without a meaning."""

import pycurl
import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.curl_errors import MEANING
from modelfetch.transfer.exchange import reason_of

# Success, and the codes of multi handles, which share the name space but no function that we call.
ELSEWHERE = {"OK", "CALL_MULTI_PERFORM"}

NAMES = sorted(
    name.removeprefix("E_")
    for name in dir(pycurl)
    if name.startswith("E_") and not name.startswith("E_MULTI_") and name.removeprefix("E_") not in ELSEWHERE
)


@pytest.mark.parametrize("name", NAMES)
def test_every_error_has_a_meaning(name: str) -> None:
    """Each error that the installed libcurl can give stands in the table, once."""
    reasons = [reason for reason, names in MEANING.items() if name in names.split()]

    assert [reason_of(getattr(pycurl, f"E_{name}"), "")] == reasons


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "TLS connect error: error:0A00042E:SSL routines::tlsv1 alert protocol version",
            Reason.TLS_VERIFICATION_FAILED,
        ),
        ("OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to host:443", Reason.SOURCE_UNAVAILABLE),
        ("Recv failure: Connection reset by peer", Reason.SOURCE_UNAVAILABLE),
        ("TLS connect error: error:0A000126:SSL routines::unexpected eof while reading", Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_a_cut_handshake_is_no_verdict(text: str, reason: Reason) -> None:
    """A connection cut in the TLS handshake may work a moment later; a peer of the wrong protocol will not."""
    found = reason_of(pycurl.E_SSL_CONNECT_ERROR, text)

    assert reason == found


def test_unknown_codes_are_internal() -> None:
    """A code of a newer libcurl is a defect to be reported, not a crash."""
    found = reason_of(987654, "")

    assert Reason.INTERNAL == found
