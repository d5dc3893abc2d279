"""The rules that each guest obeys on its own: what it needs, what it refers to, what contradicts itself.

A rule yields what is wrong with a guest. It may raise BrokenError where it meets a value that could not be read.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pipeline.errors import quoted
from pipeline.farm.addresses import role_in
from pipeline.farm.entries import Listed
from pipeline.farm.guests import (
    ADDRESS,
    GATEWAY,
    GUEST,
    HYPERVISORS,
    KERNEL,
    MASTER,
    NETWORK,
    RAMDISK,
    ROOT_SIZE,
    SINGLE,
)
from pipeline.farm.masters import Masters
from pipeline.farm.nodes import Fault, Node, Sequence, fault
from pipeline.farm.readers import did_you_mean
from pipeline.farm.table import Key
from pipeline.farm.units import MIB, format_size


def keys_are_given(guest: Listed) -> Iterator[Fault]:
    """A guest needs a master; one with a network needs a bridge and an address."""
    for key in GUEST.missing(guest.fields):
        where = "" if key in SINGLE else ", here or under 'defaults'"
        yield _about(guest, f"{key.name} is missing", f"give {key.reader.form}{where}")


def master_is_known(guest: Listed, masters: Masters | None) -> Iterator[Fault]:
    """The master is in the list, unless there is no telling which masters are."""
    name = guest.fields[MASTER]
    if masters is not None and name not in masters:
        hint = did_you_mean(name, masters) or "declare it under 'masters'"
        yield _at(guest, MASTER, f"there is no master {quoted(name)}", hint)


def hypervisors_are_known(guest: Listed, hypervisors: Collection[str] | None) -> Iterator[Fault]:
    """The guest's hypervisors are among `hypervisors`, unless there is no telling which there are."""
    if hypervisors is None or HYPERVISORS not in guest.fields:
        return
    node = guest.fields.node(HYPERVISORS)
    items = node.items if isinstance(node, Sequence) else [node]
    for name, item in zip(guest.fields[HYPERVISORS], items, strict=True):
        if name not in hypervisors:
            hint = did_you_mean(name, hypervisors) or f"known: {', '.join(hypervisors)}"
            yield _at(guest, HYPERVISORS, f"there is no hypervisor {quoted(name)}", hint, item)


def network_is_whole(guest: Listed) -> Iterator[Fault]:
    """A guest without a network has neither address nor MAC address."""
    if guest.fields.has(NETWORK):
        return
    if ADDRESS in guest.own:
        yield _at(guest, ADDRESS, "an address needs a network", "remove 'network: none' or the address")
    if pin := guest.pin:
        yield fault(pin.node, "a MAC address needs a network", "give one, or remove the mac", ("guests", guest.name))


def gateway_is_reachable(guest: Listed) -> Iterator[Fault]:
    """The gateway is another machine of the guest's subnet, or an IPv6 router by its link-local address."""
    if not guest.fields.has(NETWORK):
        return
    address, gateway = guest.fields[ADDRESS], guest.fields[GATEWAY]
    if gateway is None:
        return
    if address is None:
        if GATEWAY in guest.own:
            yield _at(guest, GATEWAY, "DHCP says what the gateway is", "remove it, or give an address")
        return
    # Where the gateway is the defaults', it is the guest's address that does not go with it.
    place, hint = (GATEWAY, "") if GATEWAY in guest.own else (ADDRESS, "give the guest a gateway of its own, or none")
    if gateway == address.ip:
        yield _at(guest, place, f"the gateway {gateway} is the guest's own address", hint)
    elif role := role_in(address.network, gateway):
        yield _at(guest, place, f"the gateway {gateway} is {role}", hint)
    elif gateway not in address.network and not (gateway.version == address.version == 6 and gateway.is_link_local):
        yield _at(guest, place, f"the gateway {gateway} is outside the subnet {address.network}", hint)


def ramdisk_has_kernel(guest: Listed) -> Iterator[Fault]:
    """A ramdisk of the host belongs to a kernel of the host."""
    given = guest.boot
    if given[RAMDISK] and not given[KERNEL]:
        yield _at(guest, RAMDISK, "a ramdisk needs the kernel that it belongs to", "give kernel: as well")


def root_is_large_enough(guest: Listed, needs: Mapping[str, int]) -> Iterator[Fault]:
    """The root disk holds the master; `needs` has the smallest size in bytes for those masters that are known."""
    size, master = guest.fields[ROOT_SIZE], guest.fields[MASTER]
    need = needs.get(master, 0)
    if size < need:
        least = format_size(need + -need % MIB)
        message = f"root: {format_size(size)} is too small for master {quoted(master)}, which needs at least {least}"
        yield _at(guest, ROOT_SIZE, message)


def _about(guest: Listed, message: str, hint: str = "") -> Fault:
    """A fault of the guest as a whole."""
    return fault(guest.key, message, hint, ("guests", guest.name))


def _at(guest: Listed, key: Key[Any], message: str, hint: str = "", part: Node | None = None) -> Fault:
    """A fault of the value of `key`, or `part` of it: the guest's, or the defaults', or one that nobody gave."""
    if key in guest.own:
        return fault(part or guest.own.node(key), message, hint, ("guests", guest.name))
    if key in guest.fields:
        return fault(part or guest.fields.node(key), message, hint, ("defaults",))
    return _about(guest, message, hint)
