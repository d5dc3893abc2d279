"""What a guest has that no other may have, in few words: enough to say that one which changed is in nobody's way.

It is not for finding mistakes: whoever is in somebody's way, or may be, is looked at with all others by `checks`.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.model.guest import Guest

_BITS = {4: 32, 6: 128}
_NEXT = re.compile(r"\bnext\b")

Address = tuple[int, int, int]
"""The version of IP, the address as a number, the length of the prefix."""
CardStanding = tuple[str, int | None, str, tuple[Address, ...]]
"""A network card: its bridge, VLAN, MAC address and addresses."""


class Standing(NamedTuple):
    """What a guest is told from others by."""

    name: str
    cards: tuple[CardStanding, ...]


def standing(guest: Guest) -> Standing:
    """That of `guest`."""
    return Standing(
        guest.name,
        tuple(
            (nic.bridge, nic.vlan, nic.mac, tuple((a.version, int(a.ip), a.network.prefixlen) for a in nic.addresses))
            for nic in guest.nics
        ),
    )


def is_sure(text: str) -> bool:
    """Whether no guest of the list `text` has an address that depends on those of others."""
    return not _NEXT.search(text)


def in_nobodys_way(changed: Iterable[Standing], others: Iterable[Standing]) -> bool:
    """Whether for sure none of the guests that `changed` shares with one of the `others` what no two may share."""
    names, macs, addresses, networks = set(), set(), set(), set()
    for guest in others:
        names.add(guest.name.lower())
        for bridge, vlan, mac, theirs in guest.cards:
            macs.add(mac)
            for version, ip, prefix in theirs:
                addresses.add((bridge, vlan, version, ip))
                networks.add((bridge, vlan, version, ip >> (_BITS[version] - prefix), prefix))
    for guest in changed:
        if guest.name.lower() in names:
            return False
        for bridge, vlan, mac, its in guest.cards:
            if mac in macs:
                return False
            for version, ip, prefix in its:
                network = (bridge, vlan, version, ip >> (_BITS[version] - prefix), prefix)
                if (bridge, vlan, version, ip) in addresses or (prefix < _BITS[version] and network not in networks):
                    return False
    return True
