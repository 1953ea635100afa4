"""Which addresses are special: a table of the ranges' edges."""

import pytest

from modelfetch.transfer.addresses import parse_address, special_kind

SPECIAL = [
    ("0.0.0.0", "unspecified"),
    ("0.255.255.255", "unspecified"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("168.63.129.16", "metadata"),
    ("100.100.100.200", "metadata"),
    ("192.0.0.192", "metadata"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.2.1", "documentation"),
    ("192.168.255.255", "private"),
    ("198.19.255.255", "benchmarking"),
    ("203.0.113.9", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::127.0.0.1", "reserved"),
    ("64:ff9b::7f00:1", "loopback"),
    ("64:ff9b::a9fe:a9fe", "metadata"),
    ("64:ff9b:1::1", "reserved"),
    ("2001::1", "Teredo"),
    ("2001:20::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::", "6to4"),
    ("fe80::1", "link-local"),
    ("fec0::1", "private"),
    ("fc00::1", "private"),
    ("fd00:ec2::254", "metadata"),
    ("ff02::1", "multicast"),
    ("100::1", "reserved"),
    ("4000::1", "reserved"),
]

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "223.255.255.255",
    "2600::1",
    "2a00:1450:4001::1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
]


@pytest.mark.parametrize(("text", "kind"), SPECIAL)
def test_special_addresses_have_a_kind(text: str, kind: str) -> None:
    """An address of a special range is named for it, also when it is embedded in an IPv6 one."""
    found = special_kind(parse_address(text))

    assert kind == found


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_have_none(text: str) -> None:
    """The neighbours of the ranges are ordinary public addresses."""
    found = special_kind(parse_address(text))

    assert found is None


@pytest.mark.parametrize("text", ["fe80::1%eth0", "127.1", "0x7f000001", "2130706433", "127.0.0.01", "", "host"])
def test_refuses_what_is_no_address(text: str) -> None:
    """Zone ids and other ways to write an address are not read."""
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)
