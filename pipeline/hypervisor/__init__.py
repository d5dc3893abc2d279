"""Hypervisors: the text that makes each of them run a guest. One module each, behind one small interface.

A hypervisor's module has `suffix`, that of its configuration's file name; `executable`, whether that is a program;
`inexpressible`, the keys of the list that it has nothing for; and `render(guest, files)`, the configuration. `pc` is
what two of them have in common.
"""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from pipeline.farm.guests import Hypervisors
from pipeline.farm.model import Guest
from pipeline.farm.table import Key
from pipeline.hypervisor import libvirt, qemu, xen
from pipeline.hypervisor.files import Files

RECIPE = 1
"""Raise it when the same guest gets another configuration: what was rendered by an older recipe is stale."""


class Hypervisor(Protocol):
    """What a module here offers."""

    suffix: str
    executable: bool
    inexpressible: Collection[Key[Any]]

    def render(self, guest: Guest, files: Files) -> str:
        """The configuration of `guest`."""


BY_NAME: Mapping[str, Hypervisor] = {"xen": xen, "libvirt": libvirt, "qemu": qemu}
INEXPRESSIBLE: Hypervisors = {name: module.inexpressible for name, module in BY_NAME.items()}

__all__ = ["BY_NAME", "INEXPRESSIBLE", "RECIPE", "Files", "Hypervisor"]
