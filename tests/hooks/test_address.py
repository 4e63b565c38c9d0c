"""What an endpoint's address may be, by its text and by what its name resolves to."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from shared.adapters.hook_post import HookPost
from shared.errors import HookFault, InvalidRequest
from shared.hooks.address import Target, may_reach, target
from tests.hooks.conftest import HERE

#: What leads to this machine, a private network or a cloud's metadata, in every spelling that reports of
#: bypasses name (OneUptime #2578, documenso #2901, plunk #449, Haven #5520, PayloadsAllTheThings).
INSIDE = (
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "100.64.0.1", "169.254.169.254", "169.254.170.2", "192.0.2.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("192.0.0.192", "168.63.129.16", "100.100.100.200"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "febf::1", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("ff02::1", "2001:db8::1", "2001:4860:4860::8888%1"),
    # IPv4 within IPv6: mapped, compatible, NAT64, 6to4, Teredo
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1"),
    *("0:0:0:0:0:ffff:169.254.169.254", "::127.0.0.1", "::169.254.169.254", "::a9fe:a9fe"),
    *("64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::"),
    *("2002:a9fe:a9fe::", "2001:0:4136:e378:8000:63bf:5601:5601"),
    *("", "localhost", "2130706433", "127.1", "1.1.1.1.1"),
)
OUTSIDE = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public_is_not_reached(address: str) -> None:
    assert not may_reach(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_is_reached(address: str) -> None:
    assert may_reach(address)


def test_a_deployment_may_name_networks_of_its_own_but_no_metadata() -> None:
    own = (ip_network("10.20.0.0/16"), ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert may_reach("10.20.1.1", own[:1])
    assert may_reach("::ffff:10.20.1.1", own[:1])
    assert not may_reach("10.21.1.1", own[:1])
    for never in ("169.254.169.254", "fe80::1", "fd00:ec2::254", "168.63.129.16"):
        assert not may_reach(never, own)


GOOD = (
    ("https://hooks.example.org", Target(True, "hooks.example.org", 443, "/")),
    (
        "https://Hooks.Example.org./a%20b?c=d&e",
        Target(True, "hooks.example.org", 443, "/a%20b?c=d&e"),
    ),
    ("https://hooks.example.org:8443/x", Target(True, "hooks.example.org", 8443, "/x")),
    ("https://8.8.8.8/x", Target(True, "8.8.8.8", 443, "/x")),
    ("https://[2606:4700::1111]:8443", Target(True, "2606:4700::1111", 8443, "/")),
    ("https://xn--bcher-kva.example/", Target(True, "xn--bcher-kva.example", 443, "/")),
    ("https://a_b.example.org/@x", Target(True, "a_b.example.org", 443, "/@x")),
)
BAD = (
    *(
        "",
        "hooks.example.org",
        "//hooks.example.org",
        "ftp://hooks.example.org",
        "file:///etc/passwd",
    ),
    *(
        "http://hooks.example.org",
        "http://localhost:8080",
        "https://",
        "https:///x",
        "https://:443/",
    ),
    # who is asked, and what parsers disagree about
    *("https://u:p@hooks.example.org", "https://good.example.org@127.0.0.1", "https://a@b@c"),
    *("https://hooks.example.org#@127.0.0.1", "https://127.0.0.1\\@hooks.example.org"),
    *("https://hooks.example.org\\x", "https://hooks.example.org/\r\nHost: x", "https://a b.org"),
    *("https://hooks.example.org/\t", "https://hooks.example.org/ä", "https://bücher.example"),
    *("https://①②⑦.⓪.⓪.①", "https://hooks.example.org/\x00", "https://%6c%6fcalhost"),
    # hosts that are inside by their text alone
    *("https://127.0.0.1", "https://127.1", "https://2130706433", "https://0x7f000001"),
    *("https://0x7f.1", "https://0177.0.0.1", "https://017700000001", "https://1.2.3.999"),
    *(
        "https://[::1]",
        "https://[::ffff:7f00:1]",
        "https://[fe80::1%25eth0]",
        "https://[fe80::1%eth0]",
    ),
    *("https://169.254.169.254/latest/meta-data", "https://10.0.0.1.", "https://[::]"),
    # hosts and ports that are none
    *("https://-a.example.org", "https://a..example.org", "https://" + "a" * 64 + ".org"),
    *(
        "https://hooks.example.org:0",
        "https://hooks.example.org:22",
        "https://hooks.example.org:80",
    ),
    *(
        "https://hooks.example.org:65536",
        "https://hooks.example.org:x",
        "https://hooks.example.org:-1",
    ),
    "https://hooks.example.org/" + "x" * 1000,
)


@pytest.mark.parametrize(("url", "meant"), GOOD)
def test_a_public_address_is_taken_apart(url: str, meant: Target) -> None:
    assert target(url) == meant


@pytest.mark.parametrize("url", BAD)
def test_any_other_address_is_refused_by_a_code(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        target(url)
    assert (caught.value.code, caught.value.field) == ("hook_address", "url")


def test_plain_http_is_for_this_machine_alone_and_only_where_it_is_named() -> None:
    assert target("http://localhost:8080/x", HERE) == Target(False, "localhost", 8080, "/x")
    assert target("http://127.0.0.1:8080", HERE).port == 8080
    assert target("http://[::1]:8080", HERE).authority == "[::1]:8080"
    for url, own in (
        ("http://localhost:8080", ()),
        ("http://localhost:8080", (ip_network("10.0.0.0/8"),)),
        ("http://127.0.0.2:8080", HERE),
        ("http://hooks.example.org", HERE),
    ):
        with pytest.raises(InvalidRequest):
            target(url, own)


@pytest.mark.parametrize(
    "resolved",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],  # a public one beside it changes nothing (VibeNVR #297)
        ["10.0.0.1", "8.8.8.8"],
        [],
    ],
)
def test_a_name_that_leads_inside_is_not_connected_to(resolved: list[str]) -> None:
    post = HookPost(resolve=lambda _host, _port: resolved)
    with pytest.raises(HookFault) as caught:
        post("https://hooks.example.org", b"{}", {}, 0)
    assert caught.value.code == "address_refused"


@pytest.mark.parametrize("spelt", ["2130706433", "0x7f.0.0.1", "127.1", "0"])
def test_what_the_resolver_makes_of_numbers_is_judged_too(spelt: str) -> None:
    # were they taken for names, the resolver would read them as this machine
    from shared.adapters.hook_post import resolve

    found = resolve(spelt, 443)
    assert found
    assert not any(may_reach(each) for each in found)
