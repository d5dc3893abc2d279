"""Values with ranges, as they are for each of the guests that an entry of the list stands for."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import repeat

from pipeline.errors import GuestfarmError, counted
from pipeline.guestlist.syntax.nodes import Fault, Literal, Mapping, Node, Scalar, Sequence, Unreadable, fault
from pipeline.guestlist.syntax.ranges import RANGE, has_range, parse_range


def varies(node: Node) -> bool:
    """Whether a value in `node` has a range."""
    if isinstance(node, Scalar):
        return has_range(node.text) and not isinstance(node, Literal)
    if isinstance(node, Mapping):
        return any(varies(value) for _, value in node.entries.values())
    return isinstance(node, Sequence) and any(varies(item) for item in node.items)


def varying_part(node: Node) -> Node:
    """`node` without the entries that are the same for every guest, which need not be read again."""
    if not isinstance(node, Mapping):
        return node
    return replace(node, entries={name: entry for name, entry in node.entries.items() if varies(entry[1])})


def spread(node: Node, count: int, faults: list[Fault]) -> Iterator[Node]:
    """`node` as it is for each of `count` guests, and on without end where it is the same for all.

    Ranges that cannot be that are put into `faults` at once, and read as Unreadable.
    """
    if not varies(node):
        return repeat(node)
    if isinstance(node, Sequence):
        columns = [spread(item, count, faults) for item in node.items]
        return (replace(node, items=list(items)) for items in zip(*columns, strict=False))
    if isinstance(node, Mapping):
        columns = []
        for name, (_, value) in node.entries.items():
            found: list[Fault] = []
            columns.append(spread(value, count, found))
            faults.extend(each.under(name) for each in found)
        keys = [key for key, _ in node.entries.values()]
        return (
            replace(node, entries=dict(zip(node.entries, zip(keys, values, strict=True), strict=True)))
            for values in zip(*columns, strict=False)
        )
    return _spread_text(node, count, faults) if isinstance(node, Scalar) else repeat(node)


def with_literal_texts(guest: Node, *, many: bool) -> Node:
    """The node of a guest, with brackets in texts of its own as mere brackets, and not as ranges.

    What is in a file is never a range. Where the entry stands for `many` guests, other texts may be one, as
    vars: {port: "[8001:8020]"}; but what is no range by its form is no mistake in them.
    """
    text = partial(_unless_range, many=many)
    texts = partial(_each, change=text)
    user = partial(_under, changes={"comment": text, "sudo": texts})
    changes: dict[str, _Change] = {
        "files": partial(_each, change=_file),
        "users": partial(_each, change=user),
        "vars": partial(_each, change=texts),
        "description": text,
        "extra": text,
    }
    return _under(guest, changes)


_Change = Callable[[Node], Node]


def _under(node: Node, changes: dict[str, _Change]) -> Node:
    if not isinstance(node, Mapping):
        return node
    entries = node.entries.items()
    return replace(
        node,
        entries={name: (key, changes[name](value) if name in changes else value) for name, (key, value) in entries},
    )


def _each(node: Node, change: _Change) -> Node:
    if isinstance(node, Mapping):
        return replace(node, entries={name: (key, change(value)) for name, (key, value) in node.entries.items()})
    return replace(node, items=[change(item) for item in node.items]) if isinstance(node, Sequence) else change(node)


def _file(node: Node) -> Node:
    return _literal(node) if isinstance(node, Scalar) else _under(node, {"text": _literal})


def _unless_range(node: Node, *, many: bool) -> Node:
    is_range = many and isinstance(node, Scalar) and re.fullmatch(RANGE, node.text)
    return node if is_range else _literal(node)


def _literal(node: Node) -> Node:
    return Literal(node.text, node.plain, node.line, node.column) if isinstance(node, Scalar) else node


def _spread_text(scalar: Scalar, count: int, faults: list[Fault]) -> Iterator[Node]:
    lost = repeat(Unreadable(scalar.line, scalar.column))
    if count == 0:
        return lost
    try:
        texts = parse_range(scalar.text)
    except GuestfarmError as error:
        faults.append(fault(scalar, error.message, error.hint))
        return lost
    if len(texts) != count:
        values, guests = counted(len(texts), "value"), counted(count, "guest")
        faults.append(fault(scalar, f"{scalar} has {values} for {guests}", "make ranges equally long"))
        return lost
    return (Scalar(text, scalar.plain, scalar.line, scalar.column) for text in texts)
