"""MAC addresses: read, derived from names, chosen at random.

Ours lie in Xen's OUI 00:16:3E (assigned to XenSource, see xl-network-configuration(5)) with the next bit clear, which
leaves 23 bits: the upper half of the OUI stays free for other tools on the same bridge.
"""

import hashlib
import re
import secrets
from collections.abc import Container
from itertools import count

from pipeline.errors import GuestfarmError, quoted

MAC_LIKE = "[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}"
"""What a MAC address looks like: a regular expression."""

XEN_OUI = "00:16:3e"
"""The first half of MAC addresses that are Xen's to give."""

_MAC = re.compile(MAC_LIKE)
_DASHED = re.compile(r"[0-9a-f]{2}(-[0-9a-f]{2}){5}", re.IGNORECASE)
_OURS = 23


def parse_mac(text: str) -> str:
    """The unicast MAC address `text` as lower case pairs with colons. Raises GuestfarmError."""
    if not _MAC.fullmatch(text):
        hint = f"write {text.replace('-', ':').lower()}" if _DASHED.fullmatch(text) else ""
        raise GuestfarmError(f"expected a MAC address like 00:16:3e:12:34:56, found {quoted(text)}", hint)
    mac = text.lower()
    if int(mac[:2], 16) & 1:  # IEEE 802-2014, 8.2: the first octet's lowest bit makes it the address of a group
        raise GuestfarmError(f"{mac} is a multicast address, which no network card may have")
    if mac == "00:00:00:00:00:00":
        raise GuestfarmError(f"{mac} is no network card's address")
    return mac


def derived_mac(farm: str, guest: str, number: int = 1) -> str:
    """The MAC address of a guest's card unless the list pins another: a function of names and the card's number."""
    return _hashed(f"{farm}/{guest}" if number == 1 else f"{farm}/{guest}/nic/{number}")


def free_mac(farm: str, guest: str, taken: Container[str]) -> str:
    """A MAC address to pin for a guest whose derived one clashes: not in `taken`, and the same each time."""
    return next(mac for attempt in count(1) if (mac := _hashed(f"{farm}/{guest}/{attempt}")) not in taken)


def random_mac(taken: Container[str]) -> str:
    """A random MAC address that is not in `taken`."""
    while (mac := _format(secrets.randbits(_OURS))) in taken:
        pass
    return mac


def _hashed(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return _format(int.from_bytes(digest[:3], "big") & (1 << _OURS) - 1)


def _format(number: int) -> str:
    return f"{XEN_OUI}:" + number.to_bytes(3, "big").hex(":")
