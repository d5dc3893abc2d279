"""Gives addresses to the guests that ask for the next free one of a network's.

An address is derived from the names of farm, network and guest: they name a place in the pool, and where that is
somebody's, the next free one after it is taken, from the start again after the end. Somebody's is what a guest before
it in the list has, and what the network has as gateway or name server. So a guest at the end of the list moves nobody,
and one that comes or goes elsewhere moves only those after it that want the address which it takes, or gives back.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from pipeline.guestlist.keys.network import Named
from pipeline.guestlist.keys.nic import Asked
from pipeline.guestlist.resolve.nic import Card
from pipeline.guestlist.schema.table import BrokenError
from pipeline.model.addresses import Interface, Pool, interface_at

Taken = set[tuple[int, int]]
"""Addresses that are somebody's: version of IP and number."""


def assign(cards: Iterable[Card], farm: str) -> None:
    """Say what `next` comes to for all `cards`, which are in the order of the list.

    A card for which there is no address left is left without.
    """
    taken: dict[tuple[str, int | None], Taken] = defaultdict(set)
    for card in cards:
        with suppress(BrokenError):
            theirs = taken[card.segment]
            theirs.update((address.version, int(address.ip)) for address in card.fixed)
            if Asked.NEXT in card.words and (network := card.network):
                card.assigned = _next(card, network, farm, theirs)


def _next(card: Card, network: Named, farm: str, taken: Taken) -> tuple[Interface, ...] | None:
    """A free address of each version of IP that `network` has; None where one has none left."""
    start = _start(farm, network.name, card)
    reserved: Taken = {(address.version, int(address)) for address in network.reserved}
    found: dict[int, Interface] = {}
    for subnet, pool in network.pools:
        if subnet.version not in found:
            number = _free(pool, start, taken, reserved)
            if number is not None:
                found[subnet.version] = interface_at(subnet, number)
    if not found or {subnet.version for subnet in network.subnets} != set(found):
        return None
    taken.update((address.version, int(address.ip)) for address in found.values())
    return tuple(found.values())


def _start(farm: str, network: str, card: Card) -> int:
    number = "" if card.keys.number == 1 else f"/{card.keys.number}"
    return int.from_bytes(hashlib.sha256(f"{farm}/{network}/{card.guest}{number}".encode()).digest()[:16], "big")


def _free(pool: Pool, start: int, taken: Taken, reserved: Taken) -> int | None:
    """The first free address in `pool` from the place that `start` names."""
    first, version = int(pool.first), pool.first.version
    size = int(pool.last) - first + 1
    for step in range(min(size, len(taken) + len(reserved) + 1)):
        number = first + (start + step) % size
        if (version, number) not in taken and (version, number) not in reserved:
            return number
    return None
