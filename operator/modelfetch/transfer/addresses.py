"""Which network addresses are special, by the registries of IANA: an address in, a word for its kind out.

Own tables instead of `ipaddress.is_global`, whose answers differ between Python releases.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")

# First match names the kind. https://www.iana.org/assignments/iana-ipv4-special-registry, and the addresses at which
# clouds serve instance metadata; 168.63.129.16 is the only one of these in public space (Azure).
_SPECIAL_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("169.254.169.254/32", "metadata"),
        ("169.254.170.2/32", "metadata"),
        ("168.63.129.16/32", "metadata"),
        ("100.100.100.200/32", "metadata"),
        ("192.0.0.192/32", "metadata"),
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_SPECIAL_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("fd00:ec2::254/128", "metadata"),
        ("fd20:ce::254/128", "metadata"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("fc00::/7", "private"),
        ("ff00::/8", "multicast"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)

_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")


def parse_address(text: str) -> Address:
    """Return the address in `text`, an IPv4-mapped one as the IPv4 address that the kernel would connect to.

    Raises ValueError for anything else, zone ids included.
    """
    if "%" in text:
        raise ValueError("a zone id")
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> Network:
    """Return the network in `text`, one of IPv4-mapped addresses as the IPv4 network that they lead to.

    Raises ValueError for anything else.
    """
    network = ip_network(text)
    first = network.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped is not None and network.prefixlen >= _MAPPED.prefixlen:
        return IPv4Network((first.ipv4_mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def special_kind(address: Address) -> str | None:
    """Return what makes `address` other than an ordinary public one, or None; NAT64 is judged by what it embeds."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _SPECIAL_V4 if address in network), None)
    if address in NAT64:
        return special_kind(IPv4Address(int(address) & 0xFFFFFFFF))
    listed = next((kind for network, kind in _SPECIAL_V6 if address in network), None)
    return listed or (None if address in _GLOBAL_UNICAST_V6 else "reserved")
