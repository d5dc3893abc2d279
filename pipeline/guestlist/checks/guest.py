"""The rules that each guest obeys on its own: what it needs, what it refers to, what contradicts itself.

A rule yields what is wrong with a guest. It may raise BrokenError where it meets a value that could not be read.
"""

from collections.abc import Iterator, Mapping

from pipeline.errors import did_you_mean, quoted
from pipeline.guestlist.checks.nic import at_card
from pipeline.guestlist.keys.guest import (
    GUEST,
    HYPERVISORS,
    KERNEL,
    MASTER,
    MAXMEM,
    MAXVCPUS,
    MEMORY,
    ON_POWEROFF,
    ON_REBOOT,
    RAMDISK,
    ROOT_SIZE,
    VCPUS,
)
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.keys.master import Masters
from pipeline.guestlist.resolve.entries import Listed
from pipeline.guestlist.schema.table import Item
from pipeline.guestlist.syntax.nodes import Fault, Node, Sequence, fault
from pipeline.model.guest import Guest
from pipeline.model.sizes import MIB, format_size
from pipeline.model.virtualization import Action


def keys_are_given(guest: Listed) -> Iterator[Fault]:
    """A guest needs a master; one with a network needs a bridge and an address."""
    for key in GUEST.missing(guest.fields):
        where = "" if key.name.endswith(".address") else ", here or under 'defaults'"
        yield _about(guest, f"{key.name} is missing", f"give {key.reader.form}{where}")


def master_is_known(guest: Listed, masters: Masters | None) -> Iterator[Fault]:
    """The master is in the list, unless there is no telling which masters are."""
    name = guest.fields[MASTER]
    if masters is not None and name not in masters:
        hint = did_you_mean(name, masters) or "declare it under 'masters'"
        yield _at(guest, MASTER, f"there is no master {quoted(name)}", hint)


def hypervisors_are_known(guest: Listed, hypervisors: Hypervisors | None) -> Iterator[Fault]:
    """The guest's hypervisors are among `hypervisors`, unless there is no telling which there are."""
    if hypervisors is None or HYPERVISORS not in guest.fields:
        return
    node = guest.fields.node(HYPERVISORS)
    items = node.items if isinstance(node, Sequence) else [node]
    for name, item in zip(guest.fields[HYPERVISORS], items, strict=True):
        if name not in hypervisors:
            hint = did_you_mean(name, hypervisors) or f"known: {', '.join(hypervisors)}"
            yield _at(guest, HYPERVISORS, f"there is no hypervisor {quoted(name)}", hint, item)


def hypervisors_can_express_it(guest: Listed, hypervisors: Hypervisors) -> Iterator[Fault]:
    """Nothing is asked of a hypervisor that it does not have."""
    for name in guest.fields[HYPERVISORS]:
        for key in hypervisors[name].unsupported_keys if name in hypervisors else ():
            if guest.fields[key] != key.default:
                hint = f"say '{key.name}: {key.default or 'none'}' for guests of {name}"
                yield _at(guest, key, f"{name} has nothing like {key.name}", hint)


def hypervisors_take_it(guest: Listed, built: Guest, hypervisors: Hypervisors) -> Iterator[Fault]:
    """No value is beyond what the guest's hypervisors have; `built` is the guest as a whole."""
    for name in built.hypervisors:
        if name in hypervisors:
            for refusal in hypervisors[name].refusals(built):
                if refusal.card is None:
                    yield _at(guest, refusal.item, f"{name} {refusal.message}", refusal.hint)
                else:
                    card = guest.cards[refusal.card]
                    yield at_card(card, card.keys.model, f"{name} {refusal.message}", refusal.hint)


def options_are_of_its_hypervisors(guest: Listed, hypervisors: Hypervisors) -> Iterator[Fault]:
    """A guest's own options are for a hypervisor that it names; those of the defaults are for guests that do."""
    for section in (each.options for each in hypervisors.values()):
        if section in guest.own and section.name not in guest.fields[HYPERVISORS]:
            yield _at(guest, section, f"{section.name} is not among its hypervisors", "add it, or remove this")


def limits_are_no_less(guest: Listed) -> Iterator[Fault]:
    """What a guest may have is no less than what it has."""
    for limit, start, text in ((MAXMEM, MEMORY, format_size), (MAXVCPUS, VCPUS, str)):
        most, least = guest.fields[limit], guest.fields[start]
        if most is not None and most < least:
            message = f"{limit.name}: {text(most)} is less than {start.name}, which is {text(least)}"
            yield _at(guest, _own(guest, limit, start), message, f"give more, or '{limit.name}: none'")


def reboot_goes_with_poweroff(guest: Listed) -> Iterator[Fault]:
    """A guest that comes back from being powered off comes back from a reboot; libvirt refuses the contrary as well."""
    if guest.fields[ON_POWEROFF] is Action.RESTART and guest.fields[ON_REBOOT] is Action.DESTROY:
        message = "it would end by a reboot, and restart when it is powered off"
        yield _at(guest, _own(guest, ON_REBOOT, ON_POWEROFF), message, "swap the two")


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


def _own(guest: Listed, key: Item, other: Item) -> Item:
    """That of two keys which do not go together whose value is the guest's own; `key` where both are, or neither is."""
    return other if other in guest.own and key not in guest.own else key


def _at(guest: Listed, key: Item, message: str, hint: str = "", part: Node | None = None) -> Fault:
    """A fault of the value of `key`, or `part` of it: the guest's, or the defaults', or one that nobody gave."""
    if key in guest.own:
        return fault(part or guest.own.node(key), message, hint, ("guests", guest.name))
    if key in guest.fields:
        return fault(part or guest.fields.node(key), message, hint, ("defaults",))
    return _about(guest, message, hint)
