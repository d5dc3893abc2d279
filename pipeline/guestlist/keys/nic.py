"""The keys of a guest's network cards.

Those of the first are called network.bridge, of the second network.2.bridge, and so on: cards merge key by key with
those of the same place in the defaults.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Final

from pipeline.errors import GuestfarmError, did_you_mean, quoted
from pipeline.guestlist.keys import names
from pipeline.guestlist.schema.readers import Choice, Many, Number, Or, Parsed, Reader, Schema, Switch
from pipeline.guestlist.schema.table import BrokenError, Field, Fields, Key, Table
from pipeline.guestlist.syntax.nodes import Fault, Mapping, Node, ReadingError, Scalar, Sequence, fault, unexpected
from pipeline.model.addresses import (
    ADDRESS_LIKE,
    HOST_PART_LIKE,
    INTERFACE_LIKE,
    SUBNET_LIKE,
    Address,
    HostPart,
    Interface,
    parse_address,
    parse_host_part,
    parse_interface,
    parse_subnet,
)
from pipeline.model.mac import MAC_LIKE, parse_mac
from pipeline.model.network import NicModel, Route


class Asked(StrEnum):
    """What stands in place of a fixed address."""

    DHCP = "dhcp"
    NEXT = "next"
    """A free one of the named network's."""
    NONE = "none"
    """The card is up, and has no address of IPv4's."""


Given = Interface | HostPart | Asked


"""An address as the list gives it."""


class AddressReader:
    """An address of a guest, or a word for how it gets one."""

    form = "an address with its prefix length like 10.0.0.11/24, dhcp, next or none"
    schema: ClassVar[Schema] = {
        "type": ["string", "number"],  # editors take .21 for a number
        "pattern": f"^(?:{INTERFACE_LIKE}|{HOST_PART_LIKE}|{'|'.join(Asked)})$",
    }
    _words: ClassVar[dict[str, Asked]] = {str(word): word for word in Asked}

    def read(self, node: Node) -> Given:
        """The address. Raises ReadingError."""
        if not isinstance(node, Scalar) or node.is_null:
            raise unexpected(node, self.form)
        text = node.text
        if word := self._words.get(text):
            return word
        try:
            if text.startswith(".") or (text.startswith("::") and "/" not in text):
                return parse_host_part(text)
            return parse_interface(text)
        except GuestfarmError as error:
            if hint := did_you_mean(text, self._words):
                raise unexpected(node, self.form, hint) from error
            raise ReadingError(fault(node, error.message, error.hint)) from error


class GatewaysReader:
    """A gateway, or one for each version of IP."""

    _many = Many(Parsed("an IP address like 10.0.0.1", parse_address, ADDRESS_LIKE))
    form = _many.form
    schema = _many.schema

    def read(self, node: Node) -> tuple[Address, ...]:
        """The gateways. Raises ReadingError."""
        gateways = self._many.read(node)
        versions = [gateway.version for gateway in gateways]
        if len(versions) > len(set(versions)):
            raise ReadingError(fault(node, f"{len(versions)} gateways", "one for each version of IP; more are routes"))
        return gateways


class RouteReader:
    """A route: {to: 10.9.0.0/16, via: 10.0.0.254}."""

    form = "a route like {to: 10.9.0.0/16, via: 10.0.0.254}"
    _to = Key("to", Parsed("a subnet like 10.0.0.0/24", parse_subnet, SUBNET_LIKE), "where it leads")
    _via = Key("via", Parsed("an IP address like 10.0.0.1", parse_address, ADDRESS_LIKE), "who knows the way")
    table = Table(_to, _via)

    @property
    def schema(self) -> Schema:
        """Both keys."""
        return self.table.schema

    def read(self, node: Node) -> Route:
        """The route. Raises ReadingError."""
        if not isinstance(node, Mapping):
            raise unexpected(node, self.form)
        fields, faults = self.table.read(node)
        faults += [fault(node, f"{key.name} is missing", f"give {self.form}") for key in self.table.missing(fields)]
        if faults:
            raise ReadingError(*faults)
        try:
            route = Route(to=fields[self._to], via=fields[self._via])
        except BrokenError as error:
            raise ReadingError from error
        if route.to.prefixlen == 0:
            raise ReadingError(fault(node, f"the route to {route.to} is that of the gateway", "give gateway: instead"))
        if route.to.version != route.via.version:
            raise ReadingError(fault(node, f"{route.via} knows no way to {route.to}", "both are IPv4, or both IPv6"))
        return route


@dataclass(frozen=True, slots=True)
class Pin:
    """A MAC address that the list gives, and its place."""

    mac: str
    node: Node


@dataclass(frozen=True, slots=True)
class Pins:
    """The MAC addresses that an entry of the list gives to a card."""

    one: Pin | None = None
    """For the entry's only guest."""
    by_guest: dict[str, Pin] = field(default_factory=dict)


class PinsReader:
    """A MAC address, or some for the guests of a range: {web07: 00:16:3e:12:34:56}."""

    form = "a MAC address like 00:16:3e:12:34:56, or a mapping of a range's guests to such"
    _mac = Parsed(form, parse_mac, MAC_LIKE)

    @property
    def schema(self) -> Schema:
        """One, or some."""
        return {"anyOf": [self._mac.schema, {"type": "object", "additionalProperties": self._mac.schema}]}

    def read(self, node: Node) -> Pins:
        """The addresses. Raises ReadingError with the faults of each."""
        if not isinstance(node, Mapping):
            return Pins(one=Pin(self._mac.read(node), node))
        pins: dict[str, Pin] = {}
        faults: list[Fault] = []
        for guest, (key, value) in node.entries.items():
            try:
                pins[guest] = Pin(self._mac.read(value), key)
            except ReadingError as error:
                faults.extend(found.under(guest) for found in error.faults)
        if len(pins) < len(node.entries):
            raise ReadingError(*faults)
        return Pins(by_guest=pins)


MAX_NICS: Final = 8
"""As many as QEMU gives a guest of Xen's, see MAX_NICS in its include/net/net.h."""


class LinkKeys:
    """The keys that a card and a named network have in common: `prefix` is how their names start."""

    def __init__(self, prefix: str, gateways: Reader[tuple[Address, ...]], of_each: str) -> None:
        self.bridge = Key(f"{prefix}.bridge", names.BRIDGE, "the host's bridge that the guest is on")
        self.gateway: Key[tuple[Address, ...] | None] = Key(
            f"{prefix}.gateway",
            Or("none", gateways),
            f"the way out of the subnet; one for each {of_each}",
            None,
        )
        self.routes: Key[tuple[Route, ...]] = Key(f"{prefix}.routes", Many(RouteReader()), "ways to other subnets", ())
        self.nameservers: Key[tuple[Address, ...]] = Key(
            f"{prefix}.nameservers",
            Many(Parsed("an IP address like 10.0.0.1", parse_address, ADDRESS_LIKE)),
            "DNS servers",
            (),
        )
        self.search: Key[tuple[str, ...]] = Key(
            f"{prefix}.search", Many(names.DOMAIN), "domains in which to look for short names", ()
        )
        self.dhcp6: Key[bool] = Key(f"{prefix}.dhcp6", Switch(), "whether to ask for an IPv6 address by DHCP", False)
        self.accept_ra: Key[bool | None] = Key(
            f"{prefix}.accept_ra",
            Switch(),
            "whether IPv6 routers may configure it by advertisements; as the guest has it if not given",
            None,
        )
        # ETH_MIN_MTU of linux/if_ether.h; IP has 16 bits for the length of a packet.
        self.mtu: Key[int | None] = Key(
            f"{prefix}.mtu", Or("none", Number(68, 65535)), "bytes in a packet, if not 1500", None
        )
        self.vlan: Key[int | None] = Key(
            f"{prefix}.vlan", Or("none", Number(1, 4094)), "802.1Q tag of all packets; the guest has them tagged", None
        )


class NicKeys(LinkKeys):
    """The keys of the card with a `number`, from 1."""

    def __init__(self, number: int) -> None:
        prefix = "network" if number == 1 else f"network.{number}"
        super().__init__(prefix, GatewaysReader(), "version of IP")
        self.number = number
        self.use: Key[str | None] = Key(
            f"{prefix}.use", Or("none", names.NETWORK), "the network under 'networks:' that says the rest", None
        )
        self.address: Key[tuple[Given, ...]] = Key(
            f"{prefix}.address",
            Many(AddressReader(), minimum=1),
            "the guest's own; dhcp; with use also .21 for what follows the subnet, or next for a free one; or none",
        )
        self.model: Key[NicModel | None] = Key(
            f"{prefix}.model", Or("none", Choice(tuple(NicModel))), "the card that full virtualization imitates", None
        )
        self.mac = Key(
            "mac" if number == 1 else f"{prefix}.mac",
            PinsReader(),
            "the MAC address; derived from the names of farm and guest if not given",
            Pins(),
        )
        self.table = Table(
            *(self.use, self.bridge, self.address, self.gateway, self.routes, self.nameservers, self.search),
            *(self.dhcp6, self.accept_ra, self.mtu, self.vlan, self.model, self.mac),
        )
        rare = (self.use, self.routes, self.search, self.dhcp6, self.accept_ra, self.mtu, self.vlan, self.model)
        self.elaborate = frozenset(key.name for key in rare)
        """The names of keys that few cards are given."""


NICS: Final = tuple(NicKeys(number) for number in range(1, MAX_NICS + 1))
FIRST: Final = NICS[0]
COUNT: Final = Key("network.count", Number(1, MAX_NICS), "how many cards there are")
"""Not in any table: what a list of cards says by its length."""


class NetworkSection:
    """The key `network`: a mapping for the first card, a list of such, or none."""

    name = "network"
    doc = "the network card, or a list of several; without it, there is none"
    table = FIRST.table
    _form = f"a mapping of {', '.join(table.items)}, a list of such, or none"

    @property
    def schema(self) -> Schema:
        """A mapping, a list of such, or `none`."""
        cards = {"type": "array", "items": self.table.schema, "minItems": 1, "maxItems": MAX_NICS}
        return {"description": self.doc, "anyOf": [self.table.schema, cards, {"const": "none"}]}

    def read(self, node: Node, fields: dict[str, Field]) -> Iterator[Fault]:
        """Read the cards."""
        if isinstance(node, Mapping):
            fields[self.name] = Field(True, node)
            yield from self.table.read_entries(node.entries, fields)
        elif isinstance(node, Sequence) and 1 <= len(node.items) <= MAX_NICS:
            fields[self.name] = Field(True, node)
            fields[COUNT.name] = Field(len(node.items), node)
            for keys, item in zip(NICS, node.items, strict=False):
                for found in self._read_card(keys, item, fields):
                    yield found.under(str(keys.number))
        elif isinstance(node, Scalar) and node.text == "none":
            fields[self.name] = Field(False, node)
        else:
            fields.update(dict.fromkeys(self.names(), Field(None, node, broken=True)))
            if isinstance(node, Sequence):
                yield fault(node, f"{len(node.items)} network cards", f"give 1 to {MAX_NICS}, or none")
            else:
                yield from unexpected(node, self._form).faults

    def names(self) -> Iterator[str]:
        """Its own, and those of the first card's keys."""
        yield self.name
        yield from self.table.names()

    def missing(self, fields: Fields) -> Iterator[Key[Any]]:
        """What each card needs: an address, and a bridge, unless a named network has it."""
        for keys in cards_in(fields):
            try:
                used = fields[keys.use]
            except BrokenError:
                continue
            if used is None and keys.bridge not in fields:
                yield keys.bridge
            if keys.address not in fields:
                yield keys.address

    def _read_card(self, keys: NicKeys, node: Node, fields: dict[str, Field]) -> Iterator[Fault]:
        if isinstance(node, Mapping):
            yield from keys.table.read_entries(node.entries, fields)
        else:
            fields.update(keys.table.broken(node))
            yield from unexpected(node, f"a mapping of {', '.join(keys.table.items)}").faults


NETWORK: Final = NetworkSection()


def cards_in(fields: Fields) -> tuple[NicKeys, ...]:
    """The keys of the cards that `fields` have; none where there is no telling."""
    try:
        if not fields.has(NETWORK):
            return ()
        return NICS[: fields[COUNT]] if COUNT in fields else NICS[:1]
    except BrokenError:
        return ()


def misplaced(fields: Fields) -> Iterator[tuple[Key[Any], str]]:
    """What two guests cannot share, so that it has no place under defaults: MAC addresses and fixed addresses."""
    for keys in NICS:
        if fields.is_sound(keys.mac):
            yield keys.mac, "move it there"
        if fields.is_sound(keys.address):
            fixed = [each for each in fields[keys.address] if not isinstance(each, Asked)]
            if fixed:
                yield keys.address, f"move it there; {quoted('dhcp')} or {quoted('next')} may be said here"
