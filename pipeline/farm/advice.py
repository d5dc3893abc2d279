"""What a list may say, and yet is likely to be a mistake: warnings, with which the farm is built all the same."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from pipeline.farm.entries import Entry, Listed
from pipeline.farm.guests import HYPERVISORS
from pipeline.farm.mac import XEN_OUI
from pipeline.farm.nodes import Fault, fault, first_at_each_place
from pipeline.farm.table import BrokenError


def advise(entries: Iterable[Entry]) -> list[Fault]:
    """Everything in these entries that is worth a warning."""
    return first_at_each_place(each for entry in entries for guest in entry for each in _foreign_macs(guest))


def _foreign_macs(guest: Listed) -> Iterator[Fault]:
    """A MAC address under Xen is of Xen's OUI, or another machine may have it: xl-network-configuration(5)."""
    for card in guest.cards:
        with suppress(BrokenError):
            pin = card.pin
            if pin and not pin.mac.startswith(XEN_OUI) and "xen" in guest.fields[HYPERVISORS]:
                message = f"the MAC address {pin.mac} is not of Xen's OUI {XEN_OUI.upper()}"
                yield fault(pin.node, message, "doit mac prints one that is", ("guests", guest.name))
