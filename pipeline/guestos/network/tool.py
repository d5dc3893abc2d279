"""What a network tool is here: how to see that a master has it, and the files from which it brings interfaces up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.image.layer.entries import Entry
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTool:
    """A network tool. A module of this package with a TOOL is all that it takes to add one."""

    name: str
    """What people call it."""
    preference: int
    """Of those that a master has, the one with the lowest is used.

    Who installs a tool beside systemd, which may bring networkd along, wants that one. Who has ifupdown on Ubuntu has
    put it there in the place of netplan, and netplan is there to lead what comes after it.
    """
    is_in: Callable[[Tree], bool]
    """Whether the master has it installed."""
    entries: Callable[[Guest, Tree], Iterator[Entry]]
    """Its files, in a master with that tree. Raises MasterError for what it cannot do."""
