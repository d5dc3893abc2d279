"""Sizes as people write them: a whole number and a binary unit, as 512M or 2G."""

import re
from fractions import Fraction

from pipeline.errors import GuestfarmError, quoted

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

_BYTES_PER_UNIT = {"T": TIB, "G": GIB, "M": MIB, "K": KIB, "B": 1}
SIZE = "([1-9][0-9]{0,15})([BKMGT])"
"""What a size looks like: a regular expression."""

_SIZE = re.compile(SIZE)
_ALMOST_A_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGT])(?:i?B)?\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """The bytes that a size like 512M stands for: a whole number followed by B, K, M, G or T, in powers of 1024.

    A unit is required, since a bare number means bytes to some tools and MiB to others. Raises GuestfarmError.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise GuestfarmError(f"expected a size like 512M, found {quoted(text)}", _spelling(text))
    number, unit = match.groups()
    return int(number) * _BYTES_PER_UNIT[unit]


def format_size(size: int) -> str:
    """`size` bytes in the largest unit that divides it: exact, and different for different sizes. Needs `size` > 0."""
    unit, factor = next((unit, factor) for unit, factor in _BYTES_PER_UNIT.items() if size % factor == 0)
    return f"{size // factor}{unit}"


def approximate_size(size: int) -> str:
    """About `size` bytes, for people to read: in the largest unit that fits, with one decimal place below ten."""
    unit, factor = next(((unit, factor) for unit, factor in _BYTES_PER_UNIT.items() if size >= factor), ("B", 1))
    places = 1 if factor > 1 and size < 10 * factor else 0
    return f"{size / factor:.{places}f}{unit}"


def _spelling(text: str) -> str:
    """How to write what `text` seems to mean, where that is plain."""
    if text.isdecimal():
        return "add a unit: B, K, M, G or T"
    match = _ALMOST_A_SIZE.fullmatch(text)
    if match is None:
        return ""
    size = Fraction(match[1]) * _BYTES_PER_UNIT[match[2].upper()]
    return f"write {format_size(int(size))}" if size > 0 and size.denominator == 1 else ""
