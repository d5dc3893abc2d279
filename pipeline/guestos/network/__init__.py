"""Network tools: the files from which each of them brings a guest's interfaces up. One module each.

A tool's module has `is_in(tree)`, whether the master has it installed, and `entries(guest, tree)`, its files.
"""

from collections.abc import Iterator
from typing import Protocol

from pipeline.errors import MasterError
from pipeline.guestos.distribution import Distribution
from pipeline.guestos.network import ifcfg, ifupdown, netplan, networkd, networkmanager, wicked
from pipeline.image.layer.entries import Entry
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.master import Family


class NetworkTool(Protocol):
    """What a module here offers."""

    def is_in(self, tree: Tree) -> bool:
        """Whether the master has it installed."""

    def entries(self, guest: Guest, tree: Tree) -> Iterator[Entry]:
        """Its files, in a master like `tree`. Raises MasterError for what it cannot do."""


_TOOLS: tuple[NetworkTool, ...] = (ifupdown, netplan, wicked, ifcfg, networkmanager, networkd)
"""In order of preference: who installs one beside systemd, which may bring networkd along, wants that one.

Who has ifupdown on Ubuntu has put it there in netplan's place, and netplan is there to lead what comes after it.
"""


def entries(guest: Guest, tree: Tree, system: Distribution) -> Iterator[Entry]:
    """The files of the master's network tool. Raises MasterError when it has none that is known here."""
    if system.family is Family.NONE:
        return
    for tool in _TOOLS:
        if tool.is_in(tree):
            yield from tool.entries(guest, tree)
            return
    if guest.nics:
        names = [module.__name__.rpartition(".")[2] for module in (ifupdown, netplan, wicked, ifcfg, networkmanager)]
        raise MasterError(
            f"the master has no network tool that is known here: {', '.join(names)}, networkd",
            "install one of them, or say `network: none`, or `family: none` on the master",
        )
