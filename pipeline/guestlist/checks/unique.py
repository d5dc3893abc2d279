"""What no two network cards of the farm may share, and what those on one bridge have to agree on."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network

from pipeline.errors import quoted
from pipeline.guestlist.keys.nic import Asked
from pipeline.guestlist.resolve.entries import Entry
from pipeline.guestlist.resolve.nic import Card, Segment
from pipeline.guestlist.schema.table import BrokenError
from pipeline.guestlist.syntax.nodes import Fault, Node, fault, first_at_each_place
from pipeline.model.addresses import Address, Network
from pipeline.model.mac import free_mac


def same_addresses(entries: Iterable[Entry]) -> Iterator[Fault]:
    """Faults for addresses that a card before has on the same bridge and VLAN."""
    first: dict[tuple[Segment, Address], Card] = {}
    for entry in entries:
        found: list[Fault] = []
        for guest in entry:
            for card in guest.cards:
                with suppress(BrokenError):
                    segment = card.segment
                    for address in card.addresses:
                        other = first.setdefault((segment, address.ip), card)
                        if other is not card:
                            found.append(_same_address(card, address.ip, other))
        yield from first_at_each_place(found)


def overlapping_subnets(entries: Iterable[Entry]) -> Iterator[Fault]:
    """Faults for subnets that are part of another one on the same bridge and VLAN: one of the masks is wrong.

    An address that is a subnet of its own, as 10.0.0.9/32, is no such mistake.
    """
    cards: dict[Segment, dict[Network, Card]] = {}
    for entry in entries:
        for guest in entry:
            for card in guest.cards:
                with suppress(BrokenError):
                    there = cards.setdefault(card.segment, {})
                    for address in card.addresses:
                        there.setdefault(address.network, card)
    found = [each for segment, there in cards.items() if len(there) > 1 for each in _overlaps(segment, there)]
    yield from first_at_each_place(found)


def same_macs(entries: Iterable[Entry], farm: str | None) -> Iterator[Fault]:
    """Faults for MAC addresses that came before, each with a free one to pin."""
    macs: list[tuple[str, Card]] = []
    for entry in entries:
        for guest in entry:
            for card in guest.cards:
                with suppress(BrokenError):
                    macs.append((card.mac(farm), card))
    taken = {mac for mac, _ in macs}
    if len(taken) == len(macs):
        return
    first: dict[str, Card] = {}
    pinned: list[Fault] = []
    for mac, card in macs:
        other = first.setdefault(mac, card)
        if other is card:
            continue
        free = free_mac(farm or "", card.guest, taken)
        taken.add(free)
        hint = f"pin a free one, mac: {free if card.guest == card.key.text else f'{{{card.guest}: {free}}}'}"
        if card.pin:
            message = f"the MAC address {mac} is that of {_whose(card, other)}"
            pinned.append(_fault(card, card.pin.node, message, hint))
        else:
            message = f"its derived MAC address {mac} is that of {_whose(card, other)}"
            yield _fault(card, card.key, message, hint)
    yield from first_at_each_place(pinned)


def _same_address(card: Card, address: Address, other: Card) -> Fault:
    message = f"the address {address} is that of {_whose(card, other)}"
    derived = Asked.NEXT in other.words and any(each.ip == address for each in other.assigned or ())
    hint = "give another, or move this guest before that one, whose address is the next free one"
    return _fault(card, card.address_place, message, hint if derived else "give another")


def _overlaps(segment: Segment, cards: dict[Network, Card]) -> Iterator[Fault]:
    """Faults for those of some subnets, in the order of the list, that overlap; each with the card that has it."""
    order = {network: number for number, network in enumerate(cards)}
    wide = [network for network in cards if network.prefixlen < network.max_prefixlen]
    enclosing: list[Network] = []
    for network in sorted(wide, key=lambda each: (each.version, int(each.network_address), each.prefixlen)):
        while enclosing and not _is_in(network, enclosing[-1]):
            enclosing.pop()
        if enclosing:
            first, second = sorted((network, enclosing[-1]), key=order.__getitem__)
            other = cards[first]
            message = f"its subnet {second} overlaps with {first} of {_whose(cards[second], other)}"
            hint = f"give both the same prefix length, as they are on {_name(segment)}"
            yield _fault(cards[second], cards[second].address_place, message, hint)
        enclosing.append(network)


def _is_in(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network) and isinstance(other, IPv4Network):
        return network.subnet_of(other)
    return isinstance(network, IPv6Network) and isinstance(other, IPv6Network) and network.subnet_of(other)


def _name(segment: Segment) -> str:
    bridge, vlan = segment
    return f"bridge {bridge}" if vlan is None else f"VLAN {vlan} of bridge {bridge}"


def _whose(card: Card, other: Card) -> str:
    if card.guest == other.guest:
        return "another card of the guest"
    return f"guest {quoted(other.guest)} in line {other.key.line}"


def _fault(card: Card, node: Node, message: str, hint: str) -> Fault:
    return fault(node, message, hint, ("guests", card.guest))
