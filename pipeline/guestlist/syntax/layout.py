"""Where in the text of the list the entry of each guest is: one can be read without the ten thousand others."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from pipeline.guestlist.syntax import source
from pipeline.guestlist.syntax.nodes import Mapping, Node, ReadingError

_GUESTS = "guests"
_KEY_ALONE = re.compile(rf"{_GUESTS}[ \t]*:[ \t]*(#.*)?")
_NOTHING = re.compile("[ \t]*(#.*)?")
_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")  # which YAML 1.1 knows besides
_END_OF_DOCUMENT = re.compile(r"---|\.\.\.")


class Layout(NamedTuple):
    """Where entries are whose keys begin lines of their own, in the same column, as nearly everybody writes them."""

    starts: tuple[int, ...]
    """The line of each entry's key, counted from 0."""
    column: int
    """The column of the keys, counted from 1."""
    end: int
    """The line after the last entry's."""


class Change(NamedTuple):
    """What is different in another text of the list: entries that others stand in place of, and nothing else."""

    first: int
    last: int
    """The number of the first entry that changed, and of the first after it that did not."""
    text: str
    """The text of a list that has the entries which are there now, and no others."""
    layout: Layout
    """Where all entries are now."""
    size: int
    """How many there are now in place of those that changed."""
    lines: tuple[int, int]
    """The first line of what changed, and the first after it, as they were; counted from 0."""

    def line_now(self, line: int) -> int | None:
        """Where a line is now, counted from 1; None if it is of what changed."""
        first, last = self.lines
        if line - 1 < first:
            return line
        following = (*self.layout.starts, self.layout.end)[self.first + self.size]
        return None if line - 1 < last else line - last + following

    def line_of_excerpt(self, line: int) -> int:
        """Where a line of the text of the change is in the whole list; both count from 1."""
        first = (*self.layout.starts, self.layout.end)
        return line if line - 1 < first[0] else line - first[0] + first[self.first]


def layout_of(root: Node | None, text: str) -> Layout | None:
    """Where the entries are of the list `text` with the node `root`. None where they are written in another way."""
    lines = _lines(text)
    if lines is None or not isinstance(root, Mapping) or _GUESTS not in root.entries:
        return None
    key, guests = root.entries[_GUESTS]
    if not isinstance(guests, Mapping) or not guests.entries or not _KEY_ALONE.fullmatch(lines[key.line - 1]):
        return None
    keys = [entry for entry, _ in guests.entries.values()]
    starts, column = tuple(entry.line - 1 for entry in keys), keys[0].column
    following = [other.line - 1 for other, _ in root.entries.values() if other.line > key.line]
    indented = all(entry.column == column and not lines[entry.line - 1][: column - 1].strip(" ") for entry in keys)
    before_first = lines[key.line : starts[0]]
    if len({*starts}) < len(starts) or not indented or not all(map(_NOTHING.fullmatch, before_first)):
        return None
    return Layout(starts, column, min(following, default=len(lines)))


def excerpt(text: str, layout: Layout, entries: Sequence[int]) -> str:
    """The list `text` with these of its entries, by number, and no others."""
    lines = text.split("\n")
    places = (*layout.starts, layout.end)
    chosen = [line for number in entries for line in lines[places[number] : places[number + 1]]]
    following = lines[layout.end :]
    if not following and len(layout.starts) - 1 not in entries:
        following = [""]  # what ended with its line does not end with the file
    return "\n".join([*lines[: layout.starts[0]], *chosen, *following])


def change(before: str, layout: Layout, now: str) -> Change | None:
    """How the list `now` differs from the one `before` with that `layout`; None if in more than some of its entries.

    It is read as if it stood alone what is different, and the entry before it, which it may go on: a YAML parser that
    found complete entries there, in that column, finds the same among others.
    """
    old, new = _lines(before), _lines(now)
    if old is None or new is None:
        return None
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    rest = min(len(old), len(new)) - alike
    ending = zip(reversed(old[len(old) - rest :]), reversed(new[len(new) - rest :]), strict=True)
    alike_at_end = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ending)) if rest else 0
    different = len(old) - alike_at_end
    if alike < layout.starts[0] or different > layout.end:
        return None
    first = bisect_right(layout.starts, max(alike - 1, layout.starts[0])) - 1
    last = max(first, bisect_left(layout.starts, different))
    begin, end = layout.starts[first], layout.starts[last] if last < len(layout.starts) else layout.end
    shift = len(new) - len(old)
    starts = _entries(new[begin : end + shift], layout.column)
    if starts is None:
        return None
    moved = Layout(
        (*layout.starts[:first], *(begin + start for start in starts), *(at + shift for at in layout.starts[last:])),
        layout.column,
        layout.end + shift,
    )
    text = excerpt(now, moved, range(first, first + len(starts)))
    return Change(first, last, text, moved, len(starts), (begin, end))


def _entries(lines: Sequence[str], column: int) -> tuple[int, ...] | None:
    """Where entries with keys in this column begin in these lines; None if something else is there, or nothing."""
    if any(map(_END_OF_DOCUMENT.match, lines)):
        return None
    alone = "\n".join([f"{_GUESTS}:", *lines])
    try:
        root, faults = source.parse(alone)
    except ReadingError:
        return None
    found = layout_of(root, alone)
    if faults or found is None or found.column != column or not isinstance(root, Mapping) or len(root.entries) > 1:
        return None
    return tuple(start - 1 for start in found.starts)


def _lines(text: str) -> list[str] | None:
    return None if _OTHER_BREAKS.search(text) else text.split("\n")
