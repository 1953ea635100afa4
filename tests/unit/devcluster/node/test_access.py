"""Who a certificate names; what the API server says of them is shown in tests/cluster."""

from typing import Any

import pytest

from modelfetch.devcluster.node.access import Caller, certificate_caller


@pytest.mark.parametrize(
    ("certificate", "caller"),
    [
        (None, None),
        ({}, None),
        ({"subject": ((("organizationName", "admins"),),)}, None),
        ({"subject": ((("commonName", "api"),),)}, Caller("api")),
        (
            {"subject": ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "api"),))},
            Caller("api", ("a", "b")),
        ),
    ],
)
def test_certificate(certificate: dict[str, Any] | None, caller: Caller | None) -> None:
    """A certificate's common name is the user, its organisations are the groups."""
    actual = certificate_caller(certificate)

    assert caller == actual
