"""Network tools: the files from which each of them brings a guest's interfaces up. One module each; see tool.py."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from pipeline.errors import MasterError
from pipeline.guestos.distribution import Distribution
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import Entry
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.master import Family

TOOLS: list[NetworkTool] = []
"""Those that are known here, in order of preference."""

for _module in iter_modules(__path__):
    _found = getattr(import_module(f"{__name__}.{_module.name}"), "TOOL", None)
    if isinstance(_found, NetworkTool):
        TOOLS.append(_found)
TOOLS.sort(key=lambda tool: tool.preference)


def entries(guest: Guest, tree: Tree, system: Distribution) -> Iterator[Entry]:
    """The files of the master's network tool. Raises MasterError when it has none that is known here."""
    if system.family is Family.NONE:
        return
    for tool in TOOLS:
        if tool.is_in(tree):
            yield from tool.entries(guest, tree)
            return
    if guest.nics:
        names = ", ".join(tool.name for tool in TOOLS)
        raise MasterError(
            f"the master has no network tool that is known here: {names}",
            "install one of them, or say `network: none`, or `family: none` on the master",
        )
