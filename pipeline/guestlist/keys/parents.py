"""Masters that are derived from others: parents are known, can be changed, and no master is its own ancestor."""

from collections.abc import Callable, Iterator, Mapping

from pipeline.errors import did_you_mean, quoted
from pipeline.guestlist.syntax.nodes import Fault, Node, fault
from pipeline.model.master import Image, Master

Parents = Mapping[str, tuple[str, Node]]
"""Of each derived master the name of its parent, with the place where the list says so."""


def check(parents: Parents, names: Mapping[str, object]) -> Iterator[Fault]:
    """What is wrong with the parents of masters, all of whose names are `names`."""
    circular: set[str] = set()
    for name, (parent, node) in parents.items():
        if parent not in names:
            hint = did_you_mean(parent, names) or "declare it under 'masters'"
            yield fault(node, f"there is no master {quoted(parent)}", hint, (name, "from"))
        elif name not in circular and (circle := _circle(name, parents)):
            circular.update(circle)
            way = " from ".join(map(quoted, [*circle, name]))
            message, hint = f"it is its own parent: {way}", "one of them has to start from something else"
            yield fault(node, message, hint, (name, "from"))


def resolve(parents: Parents, make: Mapping[str, Callable[[Master | None], Master | None]]) -> dict[str, Master | None]:
    """The masters that `make` makes, each after its parent, in the order of the list; None for one that is broken."""
    made: dict[str, Master | None] = {}

    def resolved(name: str) -> Master | None:
        if name not in made:
            made[name] = None  # for one that is its own ancestor
            parent = resolved(parents[name][0]) if name in parents and parents[name][0] in make else None
            made[name] = make[name](parent) if name not in parents or parent else None
        return made[name]

    return {name: resolved(name) for name in make}


def cannot_be_changed(parents: Parents, masters: Mapping[str, Master | None]) -> Iterator[Fault]:
    """Parents that are images: nothing is installed in those."""
    for name, (parent, node) in parents.items():
        master = masters.get(parent)
        if master and isinstance(master.source, Image):
            hint = "take its files out of it, and give them as `tar:` or `directory:`"
            message = f"master {quoted(parent)} is an image, which no master can be derived from"
            yield fault(node, message, hint, (name, "from"))


def _circle(name: str, parents: Parents) -> list[str]:
    """The masters from `name` up to where it comes again; none where it does not."""
    way = [name]
    while way[-1] in parents:
        parent = parents[way[-1]][0]
        if parent == name:
            return way
        if parent in way:
            return []
        way.append(parent)
    return []
