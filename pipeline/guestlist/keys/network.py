"""Networks that the list names once, for guests to use: their keys, and what they mean."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeVar

from pipeline.guestlist.keys import names
from pipeline.guestlist.keys.nic import LinkKeys
from pipeline.guestlist.schema.readers import Many, Parsed
from pipeline.guestlist.schema.table import BrokenError, Fields, Key, Table
from pipeline.guestlist.syntax.nodes import (
    Fault,
    Mapping,
    Node,
    ReadingError,
    Scalar,
    Sequence,
    entries_of,
    fault,
    unexpected,
)
from pipeline.model.addresses import (
    ADDRESS_LIKE,
    POOL_LIKE,
    SUBNET_LIKE,
    Address,
    Network,
    Pool,
    parse_address,
    parse_pool,
    parse_subnet,
    pool_of,
    role_in,
)

T = TypeVar("T")


class NetworkKeys(LinkKeys):
    """The keys of a named network."""

    def __init__(self) -> None:
        super().__init__("networks", Many(Parsed("an IP address like 10.0.0.1", parse_address, ADDRESS_LIKE)), "subnet")
        self.subnet: Key[tuple[Network, ...]] = Key(
            "networks.subnet",
            Many(Parsed("a subnet like 10.0.0.0/24", parse_subnet, SUBNET_LIKE)),
            "the subnets that are on it, IPv4 and IPv6",
            (),
        )
        self.pool: Key[tuple[Pool, ...]] = Key(
            "networks.pool",
            Many(Parsed("a pool of addresses like 10.0.0.100-10.0.0.199", parse_pool, POOL_LIKE)),
            "which addresses next takes, the first pool first; all of its subnets if not given",
            (),
        )
        self.table = Table(
            *(self.bridge, self.subnet, self.pool, self.gateway, self.routes, self.nameservers, self.search),
            *(self.dhcp6, self.accept_ra, self.mtu, self.vlan),
        )


KEYS: Final = NetworkKeys()


@dataclass(frozen=True)
class Named:
    """A network that the list names."""

    name: str
    fields: Fields
    keys: NetworkKeys = KEYS

    @cached_property
    def subnets(self) -> tuple[Network, ...]:
        """The subnets that are on it. Raises BrokenError."""
        return self.fields[KEYS.subnet]

    @cached_property
    def pools(self) -> tuple[tuple[Network, Pool], ...]:
        """Where `next` looks for a free address, in this order, each with its subnet. Raises BrokenError."""
        found = [(subnet, pool) for pool in self.fields[KEYS.pool] if (subnet := self._subnet_of(pool))]
        versions = {pool.first.version for _, pool in found}
        found += [(subnet, pool_of(subnet)) for subnet in self.subnets if subnet.version not in versions]
        return tuple(found)

    @cached_property
    def reserved(self) -> frozenset[Address]:
        """The addresses that `next` leaves alone, as other machines have them. Raises BrokenError."""
        routers = (route.via for route in self.fields[KEYS.routes])
        return frozenset([*(self.fields[KEYS.gateway] or ()), *self.fields[KEYS.nameservers], *routers])

    def _subnet_of(self, pool: Pool) -> Network | None:
        return next((each for each in self.subnets if pool.first in each and pool.last in each), None)


Networks = dict[str, Named]
"""By name, those that could be read."""


def read_networks(node: Node) -> tuple[Networks | None, list[Fault]]:
    """The networks, None where there is no telling, and all that is wrong with them."""
    try:
        entries = entries_of(node, "a mapping of names to networks")
    except ReadingError as error:
        return None, [*error.faults]
    networks: Networks = {}
    faults: list[Fault] = []
    for name, (key, value) in entries.items():
        fields, found = _read_network(key, value)
        networks[name] = Named(name, fields)
        found += list(_contradictions(networks[name]))
        faults.extend(each.under(name) for each in found)
    return networks, faults


def _read_network(key: Scalar, node: Node) -> tuple[Fields, list[Fault]]:
    faults: list[Fault] = []
    try:
        names.NETWORK.read(key)
    except ReadingError as error:
        faults.extend(error.faults)
    if not isinstance(node, Mapping):
        faults.extend(unexpected(node, f"a mapping of {', '.join(KEYS.table.items)}").faults)
        return Fields(KEYS.table.broken(node)), faults
    fields, found = KEYS.table.read(node)
    faults.extend(found)
    faults.extend(
        fault(key, f"{item.name.rpartition('.')[2]} is missing", f"give {item.reader.form}")
        for item in KEYS.table.missing(fields)
    )
    return fields, faults


def _contradictions(network: Named) -> Iterator[Fault]:
    """Subnets do not overlap; pools, gateways and who knows a route are in one of them."""
    with suppress(BrokenError):
        for place, subnet in _placed(network, KEYS.subnet):
            for other in network.subnets[: network.subnets.index(subnet)]:
                if overlaps(subnet, other):
                    yield fault(place, f"the subnet {subnet} overlaps with {other}", "give one of them", ("subnet",))
    with suppress(BrokenError):
        for place, pool in _placed(network, KEYS.pool):
            if not any(pool.first in subnet and pool.last in subnet for subnet in network.subnets):
                yield fault(place, f"the pool {pool} is in none of the subnets{_list(network)}", "", ("pool",))
    with suppress(BrokenError):
        gateways = network.fields[KEYS.gateway] or ()
        for subnet in network.subnets:
            if len([each for each in gateways if each in subnet]) > 1:
                node = network.fields.node(KEYS.gateway)
                yield fault(node, f"two gateways in the subnet {subnet}", "more are routes", ("gateway",))
        for gateway in gateways:
            if wrong := why_unreachable(gateway, network.subnets):
                yield fault(network.fields.node(KEYS.gateway), f"the gateway {gateway} is {wrong}", "", ("gateway",))
    with suppress(BrokenError):
        for place, route in _placed(network, KEYS.routes):
            if wrong := why_unreachable(route.via, network.subnets):
                yield fault(place, f"the router {route.via} is {wrong}", "", ("routes",))


def _placed(network: Named, key: Key[tuple[T, ...]]) -> Iterator[tuple[Node, T]]:
    """Each value of a list, and its place."""
    values = network.fields[key]
    if values:
        node = network.fields.node(key)
        yield from zip(node.items if isinstance(node, Sequence) else [node], values, strict=True)


def _list(network: Named) -> str:
    return f" {', '.join(map(str, network.subnets))}" if network.subnets else ", of which there are none"


def overlaps(one: Network, other: Network) -> bool:
    """Whether some address is in both subnets."""
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)


def why_unreachable(router: Address, subnets: tuple[Network, ...]) -> str:
    """What keeps a machine in `subnets` from asking `router`, in words; empty for nothing."""
    if router.version == 6 and router.is_link_local and any(subnet.version == 6 for subnet in subnets):
        return ""
    for subnet in subnets:
        if router in subnet:
            return role_in(subnet, router)
    if not subnets:
        return "outside of any subnet, of which there are none"
    return f"outside the subnet{'s' * (len(subnets) > 1)} {', '.join(map(str, subnets))}"
