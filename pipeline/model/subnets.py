"""Subnets as 10.0.0.0/24, addresses in them by their ends as .21, and pools to take addresses from."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_network

from pipeline.errors import GuestfarmError, quoted
from pipeline.model.addresses import ADDRESS_LIKE, INTERFACE_LIKE, Address, Interface, Network, parse_address

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
