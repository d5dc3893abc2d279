"""The guests of the list: an entry is read as one guest, or as many where its name has a range."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from pipeline.errors import GuestfarmError, did_you_mean, quoted
from pipeline.guestlist.keys.guest import KERNEL
from pipeline.guestlist.keys.names import parse_guest_name
from pipeline.guestlist.keys.network import Networks
from pipeline.guestlist.keys.nic import misplaced
from pipeline.guestlist.resolve.nic import Card, cards_of
from pipeline.guestlist.schema.table import BrokenError, Fields, Table
from pipeline.guestlist.syntax.expand import spread, varies, varying_part, with_literal_texts
from pipeline.guestlist.syntax.nodes import (
    Fault,
    Node,
    ReadingError,
    Scalar,
    entries_of,
    fault,
    first_at_each_place,
    size,
)
from pipeline.guestlist.syntax.ranges import MAX_LENGTH, has_range, parse_range

MAX_GUESTS = MAX_LENGTH
"""How many guests a list may have: a few short lines with ranges could ask for more than any memory holds."""
MAX_VALUES = 1 << 24
"""How many keys and values all guests may have together: a few short lines with ranges could ask for any number.

For 65,536 guests that is 256 each, and for 10,000 it is 1,677. Those of the defaults count for each guest, since they
are looked at for each; those of roles do not.
"""
_VARYING = 8
"""What one with a range counts for: it is read for each guest."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A guest as the list has it."""

    name: str
    key: Scalar
    """The key of its entry, which may be a range: the place of what concerns the guest as a whole."""
    own: Fields
    fields: Fields
    """Its own and, where it leaves them open, the defaults'."""
    cards: tuple[Card, ...]
    """Its network cards."""

    @property
    def boot(self) -> Fields:
        """The fields that say which kernel and ramdisk of the host it boots: these two are never mixed."""
        return self.own if KERNEL in self.own else self.fields


Entry = list[Listed]
"""The guests that one entry of the list stands for."""


def read_defaults(node: Node, keys: Table) -> tuple[Fields, list[Fault]]:
    """The fields that guests, which have these `keys`, have unless they say otherwise; and all that is wrong."""
    fields, faults = keys.read(node)
    found = list(misplaced(fields))
    faults.extend(fault(fields.node(key), f"{key.name} belongs to a single guest", hint) for key, hint in found)
    return fields.breaking(*(key for key, _ in found)), faults


def read_entries(
    node: Node, keys: Table, defaults: Fields, networks: Networks | None, shared: int = 0
) -> tuple[list[Entry], list[Fault]]:
    """The guests, which have these `keys`, by entry, and all that is wrong with each of them alone.

    `shared` is how many keys and values each has besides its own.
    """
    try:
        entries = entries_of(node, "a mapping of names to guests")
    except ReadingError as error:
        return [], [*error.faults]
    if not entries:
        return [], [fault(node, "there are none", "add one, as deb01: {address: 10.0.0.11/24}")]
    listed: list[Entry] = []
    faults: list[Fault] = []
    room, values = MAX_GUESTS, MAX_VALUES
    for name, (key, value) in entries.items():
        values -= _count(key) * (shared + size(value) + _VARYING * size(varying_part(value)) * varies(value))
        if values < 0:
            message = f"up to here the guests have more than {MAX_VALUES:,} keys and values, the defaults' included"
            faults.append(fault(key, message, "give roles what guests have in common, or split the farm", (name,)))
            break
        entry, found = _read_entry(key, value, keys, defaults, networks)
        listed.append(entry)
        faults.extend(each.under(name) for each in found)
        room -= len(entry)
        if room < 0:
            faults.append(fault(key, f"the list has more than {MAX_GUESTS:,} guests", "split the farm", (name,)))
            break
    return listed, faults


def _count(key: Scalar) -> int:
    try:
        return len(parse_range(key.text)) if has_range(key.text) else 1
    except GuestfarmError:  # it is told where the entry is read
        return 1


def _read_entry(
    key: Scalar, value: Node, keys: Table, defaults: Fields, networks: Networks | None
) -> tuple[Entry, list[Fault]]:
    faults: list[Fault] = []
    names: Sequence[str] = ()
    try:
        names = parse_range(key.text) if has_range(key.text) else (key.text,)
        for name in names:
            parse_guest_name(name)
    except GuestfarmError as error:
        faults.append(fault(key, error.message, error.hint))
    rows, found = _read_rows(value, keys, len(names))
    entry = []
    for name, own in zip(names, rows, strict=False):
        fields = own.over(defaults)
        entry.append(Listed(name, key, own, fields, cards_of(name, key, own, fields, networks)))
    return entry, [*faults, *found, *_misnamed_pins(entry)]


def _read_rows(value: Node, keys: Table, count: int) -> tuple[list[Fields], list[Fault]]:
    """The fields of each of the `count` guests that `value` is for, and what is wrong with them, once for all.

    A `count` of 0 says that it is not known, for want of a sound name: then what has a range is not read.
    """
    if varies(value):
        value = with_literal_texts(value, many=count > 1)
    if not varies(value):
        row, faults = keys.read(value)
        return [row] * count, faults
    faults = []
    first, found = keys.read(next(spread(value, count, faults)))
    rows, faults = [first], [*faults, *found]
    for varying in islice(spread(varying_part(value), count, []), 1, count):
        row, found = keys.read(varying)
        rows.append(row.over(first))
        faults.extend(found)
    return rows, first_at_each_place(faults)


def _misnamed_pins(entry: Entry) -> Iterator[Fault]:
    """Faults for MAC addresses that an entry pins to guests which it does not have."""
    for card in entry[0].cards if entry else ():
        with suppress(BrokenError):
            names = [guest.name for guest in entry]
            for name, pin in card.own[card.keys.mac].by_guest.items():
                if name not in names:
                    yield fault(pin.node, f"there is no guest {quoted(name)} here", did_you_mean(name, names), ("mac",))
