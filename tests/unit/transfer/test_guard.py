"""The egress rules: networks, names, ports, redirects, and who sees a token."""

from ipaddress import ip_network

import pytest

from modelfetch.api.order import Egress
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.guard import Credential, EgressRules, Origin, is_inside_name, parse_url

DEFAULT = EgressRules()
PRIVATE = EgressRules((ip_network("10.0.0.0/8"),))
HUB = Origin("https", "hub.example", 443)


def refusal(check: object, *args: object) -> Reason:
    """Return the reason with which `check` refuses."""
    assert callable(check)
    with pytest.raises(FetchError) as caught:
        check(*args)
    return caught.value.reason


@pytest.mark.parametrize(
    "text",
    [
        "http://example.com/",
        "https://example.com:22/",
        "https://example.com:25/",
        "https://example.com:6379/",
        "https://example.com:10250/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://localhost/",
        "https://kubernetes/",
        "https://kubernetes.default/",
        "https://kubernetes.default.svc/",
        "https://db.team.svc.cluster.local/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://x.localhost/",
    ],
)
def test_refuses_by_default(text: str) -> None:
    """Plain http, other ports, special addresses and names that lead inside are URLNotAllowed."""
    reason = refusal(DEFAULT.check_url, parse_url(text))

    assert Reason.URL_NOT_ALLOWED == reason


@pytest.mark.parametrize(
    "text", ["https://example.com/", "https://8.8.8.8/", "https://[2600::1]/", "https://a.b.c.d.ee/"]
)
def test_allows_public_https(text: str) -> None:
    """https on port 443 to public names and addresses needs no permission."""
    DEFAULT.check_url(parse_url(text))


def test_allows_what_the_order_says() -> None:
    """Networks, ports and plain http of the order are allowed."""
    rules = EgressRules.from_order(Egress(allow_networks=("127.0.0.0/8",), allow_ports=(8080,), allow_http=True))

    rules.check_url(parse_url("http://127.0.0.1:8080/"))


def test_empty_ports_allow_any() -> None:
    """An order without ports leaves them open, and only them."""
    rules = EgressRules.from_order(Egress(allow_ports=()))

    rules.check_url(parse_url("https://example.com:10250/"))


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "x", ""])
def test_refuses_networks_that_are_none(network: str) -> None:
    """A network that cannot be read is SpecInvalid."""
    reason = refusal(EgressRules.from_order, Egress(allow_networks=(network,)))

    assert Reason.SPEC_INVALID == reason


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_allowed_network_admits_its_addresses(address: str) -> None:
    """A private network that the administrator allows may be reached, however its address is written."""
    PRIVATE.check_address(address, "db.example.com")


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.0.1", "169.254.169.254", "2002:a01:203::", "fe80::1%2", "x"])
def test_allowed_network_admits_no_other(address: str) -> None:
    """Allowing one network allows no other, and no way to write or embed it that reaches something else."""
    reason = refusal(PRIVATE.check_address, address, "db.example.com")

    assert Reason.URL_NOT_ALLOWED == reason


def test_inside_name_may_reach_an_allowed_network() -> None:
    """With an allowed network, a bare name is looked up and judged by what it resolves to."""
    PRIVATE.check_url(parse_url("https://hub/"))
    PRIVATE.check_address("10.0.0.7", "hub")


def test_inside_name_may_not_reach_a_public_address() -> None:
    """A name that leads inside by convention is refused outside the allowed networks, public addresses included."""
    reason = refusal(PRIVATE.check_address, "8.8.8.8", "hub")

    assert Reason.URL_NOT_ALLOWED == reason


@pytest.mark.parametrize("host", ["example.com", "a.svc.example.com", "localhost.example.com", "::1", "1.2.3.4"])
def test_ordinary_names_are_not_inside(host: str) -> None:
    """A public name that merely contains such words is not one of them."""
    inside = is_inside_name(host)

    assert inside is False


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "http://hub.example/x",
        "file:///etc/passwd",
        "ftp://hub.example/x",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "https://kubernetes.default.svc/",
        "https://2130706433/",
        "https://cdn.example:6379/",
        "https://user:pw@cdn.example/",
        "https://good.example\\@evil.example/",
        "//cdn.example/a b",
    ],
)
def test_refuses_redirects(location: str | None) -> None:
    """A redirect to anything that may not be asked directly, or down to http, is RedirectRejected."""
    reason = refusal(EgressRules(allow_http=True).next_hop, parse_url("https://hub.example/a"), location, 1)

    assert Reason.REDIRECT_REJECTED == reason


def test_redirect_names_the_hop_without_query() -> None:
    """The message says which hop was refused, and shows no query of either side."""
    with pytest.raises(FetchError) as caught:
        DEFAULT.next_hop(parse_url("https://hub.example/a?sig=canary1"), "https://10.0.0.1/b?sig=canary2", 1)

    assert (True, True, False) == tuple(
        part in caught.value.message for part in ("hub.example/a", "10.0.0.1", "canary")
    )


@pytest.mark.parametrize("location", ["http://files.example/b", "https://files.example:8443/b", "https://10.0.0.1/b"])
def test_redirect_names_its_target_once(location: str) -> None:
    """The message has each of both addresses once, and then what is wrong with the second."""
    with pytest.raises(FetchError) as caught:
        DEFAULT.next_hop(parse_url("http://hub.example/a"), location, 1)

    assert [1, 1] == [caught.value.message.count(part) for part in ('"http://hub.example/a"', f'"{location}"')]


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("::ffff:10.0.0.0/104", ["10.1.2.3", "::ffff:10.1.2.3"], ["192.168.0.1", "fd12::1"]),
        ("::ffff:192.168.7.0/120", ["192.168.7.9"], ["192.168.8.9"]),
        ("::ffff:0:0/96", ["192.168.8.9", "127.0.0.1"], ["fd12::1"]),
        ("::ffff:10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
        ("::/0", ["fd12::1"], ["10.0.0.1", "::ffff:10.0.0.1"]),
    ],
)
def test_a_mapped_network_allows_what_it_leads_to(network: str, inside: list[str], outside: list[str]) -> None:
    """A network of IPv4-mapped addresses counts as the IPv4 network that the kernel would connect to."""
    rules = EgressRules.from_order(Egress(allow_networks=(network,)))
    for address in inside:
        rules.check_address(address)

    assert [Reason.URL_NOT_ALLOWED] * len(outside) == [refusal(rules.check_address, address) for address in outside]


def test_follows_five_redirects() -> None:
    """The fifth redirect is followed."""
    target = DEFAULT.next_hop(parse_url("https://hub.example/a"), "/b?c", 5)

    assert "https://hub.example/b?c" == str(target)


def test_refuses_the_sixth_redirect() -> None:
    """The sixth is RedirectRejected, wherever it leads."""
    reason = refusal(DEFAULT.next_hop, parse_url("https://hub.example/a"), "/b", 6)

    assert Reason.REDIRECT_REJECTED == reason


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("https://hub.example/a", "Bearer secret"),
        ("https://hub.example:443/a", "Bearer secret"),
        ("http://hub.example/a", None),
        ("https://hub.example:8443/a", None),
        ("https://cdn.hub.example/a", None),
        ("https://hub.example.evil.example/a", None),
    ],
)
def test_token_is_for_its_origin(text: str, header: str | None) -> None:
    """A token goes to its scheme, host and port, and nowhere else."""
    found = Credential(HUB, "secret").header_for(parse_url(text))

    assert header == found


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX-Evil: 1", "a\n", "tökén", "\0"])
def test_refuses_tokens_that_are_no_header(token: str) -> None:
    """A token that could end its header, or is no text, is SecretKeyMissing."""
    reason = refusal(Credential, HUB, token)

    assert Reason.SECRET_KEY_MISSING == reason


def test_credential_hides_its_token() -> None:
    """A credential shown by accident shows its origin only."""
    shown = repr(Credential(HUB, "canary1"))

    assert "canary1" not in shown


def test_renews_a_changed_token() -> None:
    """A refused token is replaced by what its Secret holds now."""
    credential = Credential(HUB, "old", lambda: "new")
    renewed = credential.renew("Bearer old")

    assert (True, "Bearer new") == (renewed, credential.header_for(parse_url("https://hub.example/")))


@pytest.mark.parametrize("fresh", ["old", None, "", "a b"])
def test_keeps_a_token_that_has_not_changed(fresh: str | None) -> None:
    """Where the Secret holds the same token, none, or nonsense, there is nothing to try again with."""
    renewed = Credential(HUB, "old", lambda: fresh).renew("Bearer old")

    assert renewed is False


def test_another_thread_may_have_renewed() -> None:
    """A token refused before somebody else renewed it is simply tried again with the new one."""
    renewed = Credential(HUB, "new").renew("Bearer old")

    assert renewed is True
