"""IP addresses of guests and of what they talk to."""

import re
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
