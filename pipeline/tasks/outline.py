"""What is known of all guests when their list need not be read: as much as tasks that are no single guest's need."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from pipeline.guestlist.checks.uniqueness import Standing, in_nobodys_way, is_sure, standing
from pipeline.guestlist.syntax.layout import Change, Layout
from pipeline.guestos import known_hosts
from pipeline.model.farm import Farm
from pipeline.model.guest import Guest
from pipeline.model.master import Base
from pipeline.model.virtualization import XenType


class Share(NamedTuple):
    """What guests have in common that are made from the same."""

    base: Base
    boots_its_kernel: bool
    """Whether they boot the kernel of their master."""
    xen_type: XenType | None
    """What they are under Xen, if they run there."""


class Row(NamedTuple):
    """One guest."""

    standing: Standing
    share: int
    """The number of its Share."""
    known_as: tuple[str, ...] | None
    """What it is known as to those who know its host keys; None if it has none before it boots."""


class Outline(NamedTuple):
    """All guests, in the order of the list, and the list."""

    name: str
    images: PurePosixPath
    shares: tuple[Share, ...]
    rows: tuple[Row, ...]
    text: str
    layout: Layout | None
    sizes: tuple[int, ...]
    """How many guests each entry of the list stands for."""

    @classmethod
    def of(cls, farm: Farm, text: str) -> "Outline":
        """That of a `farm` whose list is `text`."""
        numbers: dict[Share, int] = {}
        rows = tuple(_rows(farm.guests.values(), numbers))
        return cls(farm.name, farm.images, tuple(numbers), rows, text, farm.layout, farm.sizes)

    def entry_of(self, guest: str) -> int | None:
        """The number of the entry that stands for a guest."""
        place = next((number for number, row in enumerate(self.rows) if row.standing.name == guest), None)
        if place is None:
            return None
        for entry, size in enumerate(self.sizes):
            if place < size:
                return entry
            place -= size
        return None

    def changed(self, text: str, change: Change, excerpt: Farm) -> "tuple[Outline, Collection[str]] | None":
        """The outline after a `change` of the list to `text`, with the names of those guests that it is about.

        Those that are there now are in the farm `excerpt`. None if they may be in others' way: nobody can say without
        a look at the whole list.
        """
        begin, end = sum(self.sizes[: change.first]), sum(self.sizes[: change.last])
        before, others = self.rows[begin:end], (*self.rows[:begin], *self.rows[end:])
        numbers = {share: number for number, share in enumerate(self.shares)}
        now = tuple(_rows(excerpt.guests.values(), numbers))
        stay = [row.standing for row in now] == [row.standing for row in before]
        others_depend = not (is_sure(self.text) and is_sure(text))
        if not stay and (
            others_depend or not in_nobodys_way((row.standing for row in now), (row.standing for row in others))
        ):
            return None
        shares, rows = _compact(tuple(numbers), (*self.rows[:begin], *now, *self.rows[end:]))
        sizes = (*self.sizes[: change.first], *excerpt.sizes, *self.sizes[change.last :])
        outline = self._replace(shares=shares, rows=rows, text=text, layout=change.layout, sizes=sizes)
        return outline, {row.standing.name for row in (*before, *now)}


def _rows(guests: Iterable[Guest], numbers: dict[Share, int]) -> Iterator[Row]:
    """A row for each of `guests`; `numbers` get those shares that are not among them."""
    for guest in guests:
        share = Share(guest.base, guest.host_kernel is None, guest.xen.type if "xen" in guest.hypervisors else None)
        known_as = known_hosts.names(guest) if guest.host_keys else None
        yield Row(standing(guest), numbers.setdefault(share, len(numbers)), known_as)


def _compact(shares: Sequence[Share], rows: Sequence[Row]) -> tuple[tuple[Share, ...], tuple[Row, ...]]:
    """The shares that guests have, in the order in which they first do, and the rows that go with them."""
    order = list(dict.fromkeys(row.share for row in rows))
    if order == list(range(len(shares))):
        return tuple(shares), tuple(rows)
    numbers = {old: new for new, old in enumerate(order)}
    return tuple(shares[old] for old in order), tuple(row._replace(share=numbers[row.share]) for row in rows)
