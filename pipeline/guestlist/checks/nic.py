"""The rules that a guest's network cards obey, each guest's on their own.

A rule yields what is wrong. It may raise BrokenError where it meets a value that could not be read.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any, Final

from pipeline.errors import did_you_mean, quoted
from pipeline.guestlist.keys.network import Named, why_unreachable
from pipeline.guestlist.keys.nic import FIRST, NETWORK, Asked, LinkKeys
from pipeline.guestlist.resolve.entries import Listed
from pipeline.guestlist.resolve.nic import Card
from pipeline.guestlist.schema.table import BrokenError, Key
from pipeline.guestlist.syntax.nodes import Fault, Node, Sequence, fault
from pipeline.model.addresses import Address, HostPart, Interface, Network, role_in

_IPV6_MTU = 1280
"""What IPv6 takes at least: RFC 8200, 5."""


def network_is_whole(guest: Listed) -> Iterator[Fault]:
    """A guest without a network has neither address nor MAC address."""
    if guest.cards or guest.fields.has(NETWORK):
        return
    path = ("guests", guest.name)
    if FIRST.address in guest.own:
        node = guest.own.node(FIRST.address)
        yield fault(node, "an address needs a network", "remove 'network: none' or the address", path)
    pins = guest.own[FIRST.mac]
    if pin := pins.one or pins.by_guest.get(guest.name):
        yield fault(pin.node, "a MAC address needs a network", "give one, or remove the mac", path)


def cards_are_sound(guest: Listed) -> Iterator[Fault]:
    """Each card obeys its rules."""
    for card in guest.cards:
        for rule in _RULES if card.is_elaborate else _RULES_FOR_ALL:
            with suppress(BrokenError):
                yield from rule(card)


def _network_is_known(card: Card) -> Iterator[Fault]:
    """It uses a network that the list names, unless there is no telling which it does."""
    name = card.fields[card.keys.use]
    if name is not None and card.networks is not None and name not in card.networks:
        hint = did_you_mean(name, card.networks) or "declare it under 'networks'"
        yield at_card(card, card.keys.use, f"there is no network {quoted(name)}", hint)


def _addresses_suit_the_network(card: Card) -> Iterator[Fault]:
    """What stands for an address can be one, and an address is in the subnet of the network that its card uses."""
    given = card.given
    network = card.network
    if network is None and len(given) == 1 and isinstance(given[0], IPv4Interface | IPv6Interface):
        return  # as nearly all are
    for each in given:
        for message, hint in _misfit(card, each, network):
            yield at_card(card, card.keys.address, message, hint, _item(card, each))


def _misfit(card: Card, given: Asked | HostPart | Interface, network: Named | None) -> Iterator[tuple[str, str]]:
    if given is Asked.NONE:
        if len(card.given) > 1:
            yield "none stands beside an address", "remove one of them"
    elif given is Asked.DHCP:
        if Asked.NEXT in card.words:
            yield "dhcp stands beside next", "remove one of them"
    elif network is None:
        if given is Asked.NEXT:
            yield "next is a free address of a named network", "say which, as use: lan"
        elif isinstance(given, HostPart):
            yield f"{given.text} is the end of an address in a named network", "say which, as use: lan"
    elif not network.subnets:
        if given is Asked.NEXT or isinstance(given, HostPart):
            yield f"the network {quoted(network.name)} has no subnet", "give it one"
    elif given is Asked.NEXT:
        if card.assigned is None:
            yield f"the network {quoted(network.name)} has no free address left", "add another pool at the end"
    else:
        yield from _outside(given, network)


def _outside(given: HostPart | Interface, network: Named) -> Iterator[tuple[str, str]]:
    subnets = ", ".join(map(str, network.subnets))
    if isinstance(given, HostPart):
        found = next((found for subnet in network.subnets if (found := given.within(subnet))), None)
        if found is None:
            yield f"no address in {subnets} of network {quoted(network.name)} ends with {given.text}", ""
        elif role := role_in(found.network, found.ip):
            yield f"{found.ip} is {role}", "choose an address inside it"
    elif given.network not in network.subnets:
        yield f"{given} is not in the network {quoted(network.name)}, which has {subnets}", ""


def _gateways_are_reachable(card: Card) -> Iterator[Fault]:
    """A gateway is another machine of the card's subnet, or an IPv6 router by its link-local address."""
    addresses = card.addresses
    for gateway in card.gateways:
        if wrong := _unreachable(card, gateway, addresses):
            yield _gateway_fault(card, gateway, wrong)


def _unreachable(card: Card, gateway: Address, addresses: tuple[Interface, ...]) -> str:
    same = [each for each in addresses if each.version == gateway.version]
    if any(each.ip == gateway for each in same):
        return "the guest's own address"
    if not same and gateway.version == 6 and card.value(lambda keys: keys.dhcp6):
        return ""
    if not addresses:
        return "DHCP" if card.dhcp4 else "of no use without an address"
    return _why_unreachable(gateway, tuple(each.network for each in same or addresses))


@lru_cache(maxsize=1024)  # guests share gateways and subnets
def _why_unreachable(gateway: Address, subnets: tuple[Network, ...]) -> str:
    return why_unreachable(gateway, subnets)


def _gateway_fault(card: Card, gateway: Address, wrong: str) -> Fault:
    key = card.keys.gateway
    if wrong == "DHCP":
        return at_card(card, key, "DHCP says what the gateway is", "remove it, or give an address")
    message = f"the gateway {gateway} is {wrong}"
    if key in card.own:
        return at_card(card, key, message)
    # Where the gateway is the defaults', it is the guest's address that does not go with it.
    return at_card(card, card.keys.address, message, "give the guest a gateway of its own, or none")


def _routes_are_reachable(card: Card) -> Iterator[Fault]:
    """Who knows a route is a machine of the card's subnet, too."""
    for route in card.routes:
        subnets = tuple(each.network for each in card.addresses if each.version == route.via.version)
        asks = card.dhcp4 if route.via.version == 4 else card.value(lambda keys: keys.dhcp6)
        wrong = "" if asks else why_unreachable(route.via, subnets)
        if any(each.ip == route.via for each in card.addresses):
            wrong = "the guest's own address"
        if wrong:
            yield at_card(card, card.keys.routes, f"the router {route.via} is {wrong}")


def _mtu_carries_ipv6(card: Card) -> Iterator[Fault]:
    """A card with IPv6 sends packets of 1280 bytes at least."""
    mtu = card.value(_mtu)
    if mtu is None or mtu >= _IPV6_MTU:
        return
    if card.value(lambda keys: keys.dhcp6) or any(each.version == 6 for each in card.addresses):
        yield at_card(card, card.keys.mtu, f"mtu: {mtu} is too small for IPv6", f"give {_IPV6_MTU} at least")


_RULES_FOR_ALL: Final[tuple[Callable[[Card], Iterator[Fault]], ...]] = (
    _addresses_suit_the_network,
    _gateways_are_reachable,
)
_RULES: Final = (_network_is_known, *_RULES_FOR_ALL, _routes_are_reachable, _mtu_carries_ipv6)


def _mtu(keys: LinkKeys) -> Key[int | None]:
    return keys.mtu


def _item(card: Card, given: object) -> Node:
    """The place of one of a card's addresses."""
    node = card.fields.node(card.keys.address)
    return node.items[card.given.index(given)] if isinstance(node, Sequence) else node


def at_card(card: Card, key: Key[Any], message: str, hint: str = "", part: Node | None = None) -> Fault:
    """A fault of what `key` says: the guest's, the defaults', or that of the network, of which the guest knows."""
    if key in card.own:
        return fault(part or card.own.node(key), message, hint, ("guests", card.guest))
    if key in card.fields:
        return fault(part or card.fields.node(key), message, hint, ("defaults",))
    use = card.keys.use
    return fault(card.own.node(use) if use in card.own else card.key, message, hint, ("guests", card.guest))
