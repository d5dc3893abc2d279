"""Hypervisors: the text that makes each of them run a guest. One module each, behind one small interface.

A hypervisor's module has `suffix`, that of its configuration's file name; `executable`, whether that is a program; and
`render(guest, files)`, its contents. `pc` is what two of them have in common.
"""

from collections.abc import Mapping
from typing import Protocol

from pipeline.farm.model import Guest
from pipeline.hypervisor import libvirt, qemu, xen
from pipeline.hypervisor.files import Files

RECIPE = 1
"""Raise it when the same guest gets another configuration: what was rendered by an older recipe is stale."""


class Hypervisor(Protocol):
    """What a module here offers."""

    suffix: str
    executable: bool

    def render(self, guest: Guest, files: Files) -> str:
        """The configuration of `guest`."""


BY_NAME: Mapping[str, Hypervisor] = {"xen": xen, "libvirt": libvirt, "qemu": qemu}

__all__ = ["BY_NAME", "RECIPE", "Files", "Hypervisor"]
