"""What a list may say, and yet is likely to be a mistake: warnings, with which the farm is built all the same."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from pipeline.errors import quoted
from pipeline.guestlist.keys.guest import HYPERVISORS
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.resolve.entries import Entry, Listed
from pipeline.guestlist.schema.table import BrokenError
from pipeline.guestlist.syntax.nodes import Fault, fault, first_at_each_place
from pipeline.model.farm import DriverNeed, Farm
from pipeline.model.mac import XEN_OUI


def advise(entries: Iterable[Entry]) -> list[Fault]:
    """Everything in these entries that is worth a warning."""
    return first_at_each_place(each for entry in entries for guest in entry for each in _foreign_macs(guest))


def driver_needs(entries: Iterable[Entry], farm: Farm, hypervisors: Hypervisors, file: str) -> Iterator[DriverNeed]:
    """What masters' kernels have to have for the hypervisors of their guests; places are in the list `file`."""
    seen: set[tuple[str, str, Collection[str]]] = set()
    for listed in (guest for entry in entries for guest in entry):
        guest = farm.guests[listed.name]
        for name in guest.hypervisors if guest.host_kernel is None else ():
            drivers = hypervisors[name].drivers(guest) if name in hypervisors else ()
            master = guest.base.master.name
            if drivers and (master, name, drivers) not in seen:
                seen.add((master, name, drivers))
                wanted = " or ".join(drivers)
                message = f"the kernel of master {quoted(master)} has no driver for disks under {name}, as {wanted}"
                about = _hypervisors_of(listed, message, "install another in the master, as Debian's linux-image-amd64")
                names = frozenset(driver.replace("-", "_") for driver in drivers)
                yield DriverNeed(master, name, names, about.problem(file))


def _hypervisors_of(guest: Listed, message: str, hint: str) -> Fault:
    """A fault of what a guest says of its hypervisors, or of the guest that says nothing."""
    if HYPERVISORS in guest.own:
        return fault(guest.own.node(HYPERVISORS), message, hint, ("guests", guest.name))
    if HYPERVISORS in guest.fields:
        return fault(guest.fields.node(HYPERVISORS), message, hint, ("defaults",))
    return fault(guest.key, message, hint, ("guests", guest.name))


def _foreign_macs(guest: Listed) -> Iterator[Fault]:
    """A MAC address under Xen is of Xen's OUI, or another machine may have it: xl-network-configuration(5)."""
    for card in guest.cards:
        with suppress(BrokenError):
            pin = card.pin
            if pin and not pin.mac.startswith(XEN_OUI) and "xen" in guest.fields[HYPERVISORS]:
                message = f"the MAC address {pin.mac} is not of Xen's OUI {XEN_OUI.upper()}"
                yield fault(pin.node, message, "doit mac prints one that is", ("guests", guest.name))
