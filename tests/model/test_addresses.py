"""IP addresses: which ones a guest, a gateway or a name server may have."""

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

import pytest

from pipeline.errors import GuestfarmError
from pipeline.model.addresses import parse_address, parse_interface

pytestmark = pytest.mark.unit

EXPECTED = "expected an address with its prefix length like 10.0.0.11/24, found "


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.11/24",
        "10.0.0.0/31",
        "10.0.0.1/31",
        "10.0.0.0/32",
        "10.255.255.254/8",
        "192.168.1.1/0",
        "169.254.0.1/16",
    ],
)
def test_ipv4_hosts_are_accepted(text: str) -> None:
    assert parse_interface(text) == IPv4Interface(text)


@pytest.mark.parametrize(
    "text", ["2001:db8::11/64", "2001:db8::/127", "2001:db8::1/128", "fe80::1/64", "2001:db8::ffff/112"]
)
def test_ipv6_hosts_are_accepted(text: str) -> None:
    assert parse_interface(text) == IPv6Interface(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("10.0.0.11", EXPECTED + "'10.0.0.11'; write 10.0.0.11/24 if its subnet is a /24"),
        ("10.0.0.11/", EXPECTED + "'10.0.0.11/'"),
        ("10.0.0.11/33", EXPECTED + "'10.0.0.11/33'"),
        ("10.0.0.11/-1", EXPECTED + "'10.0.0.11/-1'"),
        ("10.0.0.11/255.255.255.0", EXPECTED + "'10.0.0.11/255.255.255.0'"),
        ("10.0.0.256/24", EXPECTED + "'10.0.0.256/24'"),
        ("10.0.0.011/24", EXPECTED + "'10.0.0.011/24'; write numbers without leading zeros"),
        ("10.0.0/24", EXPECTED + "'10.0.0/24'"),
        ("fe80::1%eth0/64", EXPECTED + "'fe80::1%eth0/64'"),
        ("٣.0.0.1/24", EXPECTED + "'٣.0.0.1/24'"),
        ("", EXPECTED + "''"),
        ("10.0.0.0/24", "10.0.0.0 is the address of the subnet 10.0.0.0/24 itself; choose an address inside it"),
        ("10.0.0.255/24", "10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24; choose an address inside it"),
        ("10.0.0.3/30", "10.0.0.3 is the broadcast address of the subnet 10.0.0.0/30; choose an address inside it"),
        ("2001:db8::/64", "2001:db8:: is the address of the subnet 2001:db8::/64 itself; choose an address inside it"),
        ("0.0.0.0/0", "0.0.0.0 is the unspecified address; give one that a machine can have"),
        ("127.0.0.1/8", "127.0.0.1 is a loopback address; give one that other machines can reach"),
        ("224.0.0.5/24", "224.0.0.5 is a multicast address; give one that a machine can have"),
        ("::1/128", "::1 is a loopback address; give one that other machines can reach"),
        ("ff02::1/64", "ff02::1 is a multicast address; give one that a machine can have"),
    ],
)
def test_other_addresses_are_refused(text: str, error: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        parse_interface(text)
    assert str(caught.value) == error


def test_gateways_and_name_servers_have_no_prefix_length() -> None:
    assert parse_address("10.0.0.1") == IPv4Address("10.0.0.1")
    assert parse_address("2001:db8::1") == IPv6Address("2001:db8::1")
    assert parse_address("127.0.0.53") == IPv4Address("127.0.0.53")  # a resolver of the guest's own


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("10.0.0.1/24", "expected an IP address like 10.0.0.1, found '10.0.0.1/24'; leave the prefix length out"),
        ("10.0.0.01", "expected an IP address like 10.0.0.1, found '10.0.0.01'; write numbers without leading zeros"),
        ("router", "expected an IP address like 10.0.0.1, found 'router'"),
        ("fe80::1%eth0", "expected an IP address like 10.0.0.1, found 'fe80::1%eth0'"),
        ("0.0.0.0", "0.0.0.0 is the unspecified address; give one that a machine can have"),
        ("ff02::1", "ff02::1 is a multicast address; give one that a machine can have"),
    ],
)
def test_what_is_no_machine_s_address_is_refused(text: str, error: str) -> None:
    with pytest.raises(GuestfarmError) as caught:
        parse_address(text)
    assert str(caught.value) == error
