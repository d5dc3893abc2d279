"""The network cards of a guest as the list has it: its own keys, those of the defaults, and of the network it uses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.guestlist.keys.network import Named, Networks, why_unreachable
from pipeline.guestlist.keys.nic import Asked, LinkKeys, NicKeys, Pin, cards_in
from pipeline.guestlist.schema.table import BrokenError, Fields, Key
from pipeline.guestlist.syntax.nodes import Node, Scalar
from pipeline.model.addresses import Address, HostPart, Interface
from pipeline.model.mac import derived_mac
from pipeline.model.network import Nic, Route

T = TypeVar("T")

Segment = tuple[str, int | None]
"""Where addresses have to differ: a bridge, and a VLAN on it."""


@dataclass(slots=True, eq=False)
class Card:
    """A network card of a guest that the list has. What it says raises BrokenError where that could not be read."""

    guest: str
    key: Scalar
    """The key of the guest's entry: the place of what concerns the card as a whole."""
    keys: NicKeys
    own: Fields
    """What the guest itself says."""
    fields: Fields
    """What it says and, where it leaves that open, the defaults."""
    networks: Networks | None
    assigned: tuple[Interface, ...] | None = None
    """What `next` came to, where that is among its addresses; set by addressing.py."""
    _addresses: tuple[Interface, ...] | None = None
    _segment: Segment | None = None

    @property
    def network(self) -> Named | None:
        """The named network that it uses."""
        if self.keys.use not in self.fields:
            return None
        name = self.fields[self.keys.use]
        if name is None:
            return None
        if self.networks is None or (found := self.networks.get(name)) is None:
            raise BrokenError(name)
        return found

    @property
    def given(self) -> tuple[Asked | HostPart | Interface, ...]:
        """Its addresses as they were given."""
        return self.fields[self.keys.address]

    @property
    def words(self) -> tuple[Asked, ...]:
        """What stands for addresses that are not given."""
        return tuple(each for each in self.given if isinstance(each, Asked))

    @property
    def fixed(self) -> tuple[Interface, ...]:
        """Its addresses but those that `next` comes to. An end of an address that fits no subnet is left out."""
        given = self.given
        return tuple(found for each in given if (found := self._fixed(each)) is not None)

    @property
    def addresses(self) -> tuple[Interface, ...]:
        """All its addresses but those by DHCP."""
        if self._addresses is None:
            if Asked.NEXT in self.words and self.assigned is None:
                raise BrokenError(self.keys.address.name)
            self._addresses = (*self.fixed, *(self.assigned or ()))
        return self._addresses

    @property
    def dhcp4(self) -> bool:
        """Whether it asks for an address by DHCP over IPv4."""
        return Asked.DHCP in self.words

    @property
    def address_place(self) -> Node:
        """Where its addresses stand, if the guest itself says them."""
        return self.own.node(self.keys.address) if self.keys.address in self.own else self.key

    @property
    def segment(self) -> Segment:
        """Where its addresses have to be its own."""
        if self._segment is None:
            self._segment = self.value(lambda keys: keys.bridge), self.value(lambda keys: keys.vlan)
        return self._segment

    @property
    def gateways(self) -> tuple[Address, ...]:
        """Its own; or those of the defaults for the versions of IP of which it has a fixed address; or the network's.

        Of the network's, it has the first of each version that is in a subnet of its own.
        """
        key, source = self._source(lambda keys: keys.gateway)
        gateways = source[key] or ()
        if not gateways or key in self.own:
            return gateways
        if source is self.fields:
            return tuple(each for each in gateways if self._has(each))
        return tuple({each.version: each for each in reversed(gateways) if self._reaches(each)}.values())[::-1]

    @property
    def routes(self) -> tuple[Route, ...]:
        """The same of routes, of which there may be several."""
        key, source = self._source(lambda keys: keys.routes)
        routes = source[key]
        if not routes or key in self.own:
            return routes
        suits = self._has if source is self.fields else self._reaches
        return tuple(each for each in routes if suits(each.via))

    @property
    def is_elaborate(self) -> bool:
        """Whether it is given more than bridge, addresses, gateway, name servers and MAC address."""
        return self.fields.has_any(self.keys.elaborate)

    @property
    def pin(self) -> Pin | None:
        """The MAC address that the list gives it."""
        if self.keys.mac not in self.own:
            return None
        pins = self.own[self.keys.mac]
        return pins.one or pins.by_guest.get(self.guest)

    def mac(self, farm: str | None) -> str:
        """Its MAC address: pinned, else derived. Raises BrokenError also where `farm` is not known."""
        if pin := self.pin:
            return pin.mac
        if farm is None:
            raise BrokenError("farm")
        return derived_mac(farm, self.guest, self.keys.number)

    def value(self, pick: Callable[[LinkKeys], Key[T]]) -> T:
        """What a key comes to. Who says `use` starts from that network afresh, whatever the defaults say."""
        key, source = self._source(pick)
        return source[key]

    def nic(self, farm: str) -> Nic:
        """The card in the model."""
        bridge, vlan = self.segment
        if not self.is_elaborate:  # as nearly all are: there is nothing more to look for
            return Nic(
                mac=self.mac(farm),
                bridge=bridge,
                addresses=self.addresses,
                dhcp4=self.dhcp4,
                gateways=self.gateways,
                nameservers=self._resolver(lambda keys: keys.nameservers),
            )
        return Nic(
            mac=self.mac(farm),
            bridge=bridge,
            addresses=self.addresses,
            dhcp4=self.dhcp4,
            dhcp6=self.value(lambda keys: keys.dhcp6),
            accept_ra=self.value(lambda keys: keys.accept_ra),
            gateways=self.gateways,
            routes=self.routes,
            nameservers=self._resolver(lambda keys: keys.nameservers),
            search=self._resolver(lambda keys: keys.search),
            mtu=self.value(lambda keys: keys.mtu),
            vlan=vlan,
            model=self.fields[self.keys.model],
        )

    def _fixed(self, given: Asked | HostPart | Interface) -> Interface | None:
        if isinstance(given, Asked):
            return None
        if not isinstance(given, HostPart):
            return given
        network = self.network
        subnets = network.subnets if network else ()
        return next((found for subnet in subnets if (found := given.within(subnet))), None)

    def _source(self, pick: Callable[[LinkKeys], Key[T]]) -> tuple[Key[T], Fields]:
        """A key, and the fields that say what it comes to."""
        key = pick(self.keys)
        network = self.network
        if network is None:
            return key, self.fields
        nearer = self.own if self.keys.use in self.own else self.fields
        return (key, nearer) if key in nearer else (pick(network.keys), network.fields)

    def _has(self, address: Address) -> bool:
        version = address.version
        return any(each.version == version for each in self.addresses)

    def _reaches(self, router: Address) -> bool:
        return not why_unreachable(router, tuple(each.network for each in self.addresses))

    def _resolver(self, pick: Callable[[LinkKeys], Key[T]]) -> T:
        """What goes with `dhcp` has to stand with it, or nearer: DHCP says it, too."""
        if not self.dhcp4:
            return self.value(pick)
        return (self.own if self.keys.address in self.own else self.fields)[pick(self.keys)]


def cards_of(guest: str, key: Scalar, own: Fields, fields: Fields, networks: Networks | None) -> tuple[Card, ...]:
    """The cards that a guest has, in the order of the list."""
    return tuple(Card(guest, key, keys, own, fields, networks) for keys in cards_in(fields))
