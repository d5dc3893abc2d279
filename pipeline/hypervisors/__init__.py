"""Hypervisors: the text that makes each of them run a guest. One module each, behind one small interface.

A hypervisor's module has `suffix`, that of its configuration's file name; `executable`, whether that is a program;
`render(guest, files)`, the configuration, and `descriptors(guest, files)`, other files that it takes; `start(guest)`,
what the guest is started by, and `drivers(guest)`, what its kernel needs to find its disks. `inexpressible` are the
keys of the list that it has nothing for, and `refusals(guest)` what it cannot do for a guest. `pc` is what two of them
have in common.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from pipeline.guestlist.keys.guest import Hypervisors, Limits, Refusal
from pipeline.guestlist.schema.table import Key
from pipeline.hypervisors import libvirt, qemu, vmware, xen
from pipeline.hypervisors.files import Files
from pipeline.hypervisors.start import Start, arguments
from pipeline.model.guest import Guest

RECIPE = 1
"""Raise it when the same guest gets another configuration: what was rendered by an older recipe is stale."""


class Hypervisor(Protocol):
    """What a module here offers."""

    suffix: str
    executable: bool
    inexpressible: Collection[Key[Any]]

    def render(self, guest: Guest, files: Files) -> str:
        """The configuration of `guest`."""

    def descriptors(self, guest: Guest, files: Files) -> Mapping[str, str]:
        """The other files of the configuration, by their names."""

    def start(self, guest: Guest) -> Start:
        """What `guest` is started by."""

    def refusals(self, guest: Guest) -> Iterable[Refusal]:
        """What it cannot do for `guest`."""

    def drivers(self, guest: Guest) -> Collection[str]:
        """The kernel modules of which `guest` needs one to find its disks."""


BY_NAME: Mapping[str, Hypervisor] = {"xen": xen, "libvirt": libvirt, "qemu": qemu, "vmware": vmware}
INEXPRESSIBLE: Hypervisors = {
    name: Limits(module.inexpressible, module.refusals, module.drivers) for name, module in BY_NAME.items()
}


def starts(guest: Guest) -> frozenset[Start]:
    """What the guest is started by under its hypervisors."""
    return frozenset(BY_NAME[name].start(guest) for name in guest.hypervisors)


__all__ = ["BY_NAME", "INEXPRESSIBLE", "RECIPE", "Files", "Hypervisor", "Start", "arguments", "starts"]
