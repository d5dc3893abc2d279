"""Hypervisors: the text that makes each of them run a guest, and the toolstack that runs it. One module each.

A module of this package that defines a subclass of base.Hypervisor adds a hypervisor; see there for what it has.
`pc` is what two of them have in common.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules

from pipeline.hypervisors.base import Files, Hypervisor, KernelNeed, Start, arguments
from pipeline.model.guest import Guest

RECIPE = 1
"""Raise it when the same guest gets another configuration: what was rendered by an older recipe is stale."""

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

BY_NAME: Mapping[str, Hypervisor] = {
    each.name: each() for each in sorted(Hypervisor.__subclasses__(), key=lambda each: each.name)
}
"""The hypervisors that guests can be configured for."""


def starts(guest: Guest) -> frozenset[Start]:
    """What the guest is started by under its hypervisors."""
    return frozenset(BY_NAME[name].start(guest) for name in guest.hypervisors)


__all__ = ["BY_NAME", "RECIPE", "Files", "Hypervisor", "KernelNeed", "Start", "arguments", "starts"]
