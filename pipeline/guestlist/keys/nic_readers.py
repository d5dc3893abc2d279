"""What a network card is given in the list: addresses, gateways, routes and MAC addresses, as typed values."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from pipeline.errors import GuestfarmError
from pipeline.guestlist.schema.combined_readers import Many
from pipeline.guestlist.schema.readers import Parsed, Schema, did_you_mean
from pipeline.guestlist.schema.table import BrokenError, Key, Table
from pipeline.guestlist.syntax.nodes import Fault, Mapping, Node, ReadingError, Scalar, fault, unexpected
from pipeline.model.addresses import ADDRESS_LIKE, INTERFACE_LIKE, Address, Interface, parse_address, parse_interface
from pipeline.model.mac import MAC_LIKE, parse_mac
from pipeline.model.network import Route
from pipeline.model.subnets import HOST_PART_LIKE, SUBNET_LIKE, HostPart, parse_host_part, parse_subnet


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
