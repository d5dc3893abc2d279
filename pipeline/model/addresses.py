"""IP addresses of guests and of what they talk to."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from pipeline.errors import GuestfarmError, quoted

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

ADDRESS_LIKE = "[0-9]{1,3}([.][0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
INTERFACE_LIKE = f"({ADDRESS_LIKE})/[0-9]{{1,3}}"
"""What addresses, without and with a prefix length, look like: regular expressions."""

_PADDED = re.compile(r"(^|\.)0[0-9]")


def parse_interface(text: str) -> Interface:
    """A guest's address with the prefix length of its subnet, as 10.0.0.11/24. Raises GuestfarmError.

    It is one that a machine may have (RFC 6890), and not the subnet's own or its broadcast address.
    """
    form = "an address with its prefix length like 10.0.0.11/24"
    ip, slash, prefix = text.partition("/")
    if not slash and _address(ip):
        raise GuestfarmError(f"expected {form}, found {quoted(text)}", f"write {ip}/24 if its subnet is a /24")
    if "%" in text or not re.fullmatch("[0-9]{1,3}", prefix):
        raise GuestfarmError(f"expected {form}, found {quoted(text)}")
    try:
        interface = ip_interface(text)
    except ValueError as error:
        raise GuestfarmError(f"expected {form}, found {quoted(text)}", _padding(ip)) from error
    _refuse_special(interface.ip)
    if role := role_in(interface.network, interface.ip):
        raise GuestfarmError(f"{ip} is {role}", "choose an address inside it")
    return interface


def role_in(network: Network, address: Address) -> str:
    """What keeps `address` from being a machine's in the subnet `network`, in words; empty for nothing."""
    if network.prefixlen >= network.max_prefixlen - 1:  # all one or two addresses are machines': RFC 3021, RFC 6164
        return ""
    if address == network.network_address:
        return f"the address of the subnet {network} itself"
    if network.version == 4 and address == network.broadcast_address:
        return f"the broadcast address of the subnet {network}"
    return ""


@lru_cache(maxsize=1024)  # guests share gateways and name servers
def parse_address(text: str) -> Address:
    """The address of a gateway or name server, as 10.0.0.1. Raises GuestfarmError."""
    address = _address(text)
    if address is None:
        hint = "leave the prefix length out" if "/" in text else _padding(text)
        raise GuestfarmError(f"expected an IP address like 10.0.0.1, found {quoted(text)}", hint)
    _refuse_special(address, loopback=True)
    return address


def _refuse_special(address: Address, *, loopback: bool = False) -> None:
    """Raise GuestfarmError for an address that no other machine can reach; `loopback`: one's own is fine."""
    if address.is_unspecified:
        raise GuestfarmError(f"{address} is the unspecified address", "give one that a machine can have")
    if address.is_multicast:
        raise GuestfarmError(f"{address} is a multicast address", "give one that a machine can have")
    if address.is_loopback and not loopback:
        raise GuestfarmError(f"{address} is a loopback address", "give one that other machines can reach")


def _address(text: str) -> Address | None:
    """The address `text`, None if it is none or has a zone (RFC 4007), which is a matter of one machine."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _padding(text: str) -> str:
    return "write numbers without leading zeros" if _PADDED.search(text) else ""


SUBNET_LIKE = INTERFACE_LIKE


POOL_LIKE = f"({ADDRESS_LIKE})-({ADDRESS_LIKE})"


HOST_PART_LIKE = "([.][0-9]{1,3}){1,3}|::[0-9A-Fa-f:.]+"


"""What a subnet, a pool and the end of an address look like: regular expressions."""


_END_OF_IPV4 = re.compile(r"(\.(0|[1-9][0-9]{0,2})){1,3}")


_ANYCAST = 128


"""How many addresses at the end of an IPv6 subnet are those of any router of a kind: RFC 2526, 2."""


@dataclass(frozen=True, slots=True)
class HostPart:
    """The end of an address: its start is the subnet's."""

    text: str
    version: int
    value: int
    bits: int
    """How many of the last bits of the address it says."""

    def within(self, subnet: Network) -> Interface | None:
        """The address in `subnet` that ends so; None where there is none."""
        if subnet.version != self.version:
            return None
        start = int(subnet.network_address)
        if self.version == 4:
            number = start >> self.bits << self.bits | self.value
        elif self.value >> (subnet.max_prefixlen - subnet.prefixlen):
            return None
        else:
            number = start | self.value
        found = interface_at(subnet, number)
        return found if found.network == subnet else None


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses from `first` to `last`, both included."""

    first: Address
    last: Address

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def interface_at(subnet: Network, number: int) -> Interface:
    """The address with this number, with the prefix length of `subnet`."""
    pair = (number, subnet.prefixlen)
    return IPv4Interface(pair) if subnet.version == 4 else IPv6Interface(pair)


def parse_host_part(text: str) -> HostPart:
    """The end of an address, as .21, .3.21 or ::21. Raises GuestfarmError."""
    if text.startswith("."):
        numbers = text[1:].split(".")
        if _END_OF_IPV4.fullmatch(text) and all(int(number) <= 255 for number in numbers):
            value = int.from_bytes(bytes(map(int, numbers)), "big")
            return HostPart(text, 4, value, 8 * len(numbers))
    elif text.startswith("::"):
        try:
            return HostPart(text, 6, int(IPv6Address(text)), 128)
        except ValueError:
            pass
    raise GuestfarmError(f"expected the end of an address like .21 or ::21, found {quoted(text)}")


def parse_subnet(text: str) -> Network:
    """A subnet, as 10.0.0.0/24. Raises GuestfarmError."""
    form = "a subnet like 10.0.0.0/24"
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise GuestfarmError(f"expected {form}, found {quoted(text)}") from error
    if "/" not in text or not re.fullmatch("[0-9]{1,3}", text.partition("/")[2]):
        raise GuestfarmError(f"expected {form}, found {quoted(text)}", "give its prefix length")
    if network.network_address != ip_address(text.partition("/")[0]):
        raise GuestfarmError(f"{text} is an address in a subnet", f"write {network}")
    return network


def parse_pool(text: str) -> Pool:
    """A pool of addresses, as 10.0.0.100-10.0.0.199. Raises GuestfarmError."""
    first, dash, last = text.partition("-")
    if not dash:
        raise GuestfarmError(f"expected a pool of addresses like 10.0.0.100-10.0.0.199, found {quoted(text)}")
    pool = Pool(parse_address(first), parse_address(last))
    if pool.first.version != pool.last.version or int(pool.last) < int(pool.first):
        raise GuestfarmError(f"the pool {text} ends before it starts", "write its first and its last address")
    return pool


def pool_of(subnet: Network) -> Pool:
    """All addresses in `subnet` that machines may have."""
    first, last = int(subnet.network_address), int(subnet.broadcast_address)
    if subnet.prefixlen < subnet.max_prefixlen - 1:
        first += 1
        if subnet.version == 4:
            last -= 1
        elif last - first > _ANYCAST:
            last -= _ANYCAST
    return Pool(interface_at(subnet, first).ip, interface_at(subnet, last).ip)
