"""Network tools: the files from which each of them brings a guest's interfaces up. One module each.

A tool's module has `is_in(tree)`, whether the master has it installed, and `entries(guest)`, its files.
"""

from collections.abc import Iterator
from typing import Protocol

from pipeline.errors import MasterError
from pipeline.farm.model import Guest
from pipeline.image.layer import Entry
from pipeline.image.tree import Tree
from pipeline.system.network import ifupdown, networkd


class NetworkTool(Protocol):
    """What a module here offers."""

    def is_in(self, tree: Tree) -> bool:
        """Whether the master has it installed."""

    def entries(self, guest: Guest) -> Iterator[Entry]:
        """Its files."""


_TOOLS: tuple[NetworkTool, ...] = (ifupdown, networkd)
"""In order of preference: who installs ifupdown beside systemd, which brings networkd along, wants ifupdown."""


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """The files of the master's network tool. Raises MasterError when it has none that is known here."""
    for tool in _TOOLS:
        if tool.is_in(tree):
            yield from tool.entries(guest)
            return
    if guest.nics:
        raise MasterError(
            "the master has neither ifupdown nor systemd-networkd", "install one of them, or say `network: none`"
        )
