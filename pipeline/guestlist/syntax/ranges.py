"""Ranges of decimal numbers in names and values, as in web[01:20]: both ends count, zero padding is kept.

The notation is that of Ansible's inventories: one with a leading zero has both ends equally long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from pipeline.errors import GuestfarmError, quoted

MAX_LENGTH = 65_536
"""How many numbers a range may have: as many as a /16 has addresses."""

RANGE = r"([^\[\]]*)\[([0-9]{1,9}):([0-9]{1,9})\]([^\[\]]*)"
"""What a text with a range looks like: a regular expression."""

_RANGE = re.compile(RANGE)


@dataclass(frozen=True, slots=True)
class Range(Sequence[str]):
    """The texts that one text with a range stands for, made when asked for."""

    before: str
    numbers: range
    width: int
    """Digits to pad with zeros to."""
    after: str

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self._text(number) for number in self.numbers[index]]
        return self._text(self.numbers[index])

    def _text(self, number: int) -> str:
        return f"{self.before}{number:0{self.width}}{self.after}"


def has_range(text: str) -> bool:
    """Whether `text` is meant to have a range: a bracket has no other use in names and values of guests."""
    return "[" in text or "]" in text


def parse_range(text: str) -> Range:
    """The range that `text` has. Raises GuestfarmError where there is not exactly one, or it cannot be counted."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise GuestfarmError(
            f"expected one range of numbers like [01:20], found {quoted(text)}", "write [first:last] in digits, once"
        )
    before, first, last, after = match.groups()
    numbers = range(int(first), int(last) + 1)
    if not numbers:
        raise GuestfarmError(f"the range [{first}:{last}] ends before it starts", f"write [{last}:{first}]")
    if len(numbers) > MAX_LENGTH:
        raise GuestfarmError(f"the range [{first}:{last}] has more than {MAX_LENGTH:,} numbers")
    padded = any(end.startswith("0") and end != "0" for end in (first, last))
    if padded and len(first) != len(last):
        width = max(len(first), len(last))
        raise GuestfarmError(
            f"the range [{first}:{last}] is padded with zeros unevenly",
            f"write [{first:0>{width}}:{last:0>{width}}], or no leading zeros",
        )
    return Range(before, numbers, len(first) if padded else 1, after)
