"""Bounds of what a template may make: what a value would grow to is found out before it is made."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from string import Formatter
from typing import Any

from pipeline.errors import GuestfarmError

MOST_STEPS = 1_000_000
"""Turns of loops and calls that a template may take: some seconds at most."""
LARGEST = 1 << 24
"""Characters of a text, or of all texts in a list."""
_MOST_BITS = 1 << 16
"""Of a number: to calculate with larger ones takes long."""
_WIDEST = 1 << 20
"""Characters that a text may be filled up to."""
_PER_ITEM = 64
"""What an item of a list counts for beside the characters of a text: what it takes to look at it."""
_PER_STEP = 256
"""Characters that take as long as a turn of a loop."""

_TOO_LARGE = f"more than {LARGEST:,} characters at once"

_steps: ContextVar[list[int] | None] = ContextVar("steps", default=None)
"""Those that are left; None where a template is compiled, which calculates what is the same in all runs."""

# Python's "printf-style String Formatting": %[(name)][flags][width][.precision][length]type
_CONVERSION = re.compile(r"%(?:\([^()]*\))?[-#0 +]*(\*|\d*)(?:\.(\*|\d*))?[hlL]?[^%]|%%")


@contextmanager
def counted() -> Iterator[None]:
    """Allows what one template may take."""
    token = _steps.set([MOST_STEPS])
    try:
        yield
    finally:
        _steps.reset(token)


def step(count: int = 1) -> None:
    """Counts turns of a loop, or calls. Raises GuestfarmError when there were too many."""
    left = _steps.get()
    if left is None:
        return
    left[0] -= count
    if left[0] < 0:
        raise GuestfarmError(f"it takes more than {MOST_STEPS:,} turns of loops and calls")


def charge(*values: object) -> None:
    """Counts a call with these values, or one that puts them together. Raises GuestfarmError if they are too large."""
    weight = 0
    for value in values:
        weight += len(value) if isinstance(value, str) else _weight(value)
    if weight > LARGEST:
        raise GuestfarmError(_TOO_LARGE)
    step(1 + weight // _PER_STEP)


def check_operation(operator: str, left: object, right: object) -> None:
    """Raises GuestfarmError if the result of a binary operator would be too large."""
    if operator == "%" and isinstance(left, str):
        _check_size(_formatted(left, right))
    elif isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * max(right, 1) if operator == "**" else left.bit_length() + right.bit_length()
        if operator in ("*", "**") and bits > _MOST_BITS:
            raise GuestfarmError(f"a number of more than {_MOST_BITS:,} bits")
    elif operator == "*":
        long, times = (left, right) if isinstance(right, int) else (right, left)
        if isinstance(long, str | list | tuple) and isinstance(times, int):
            _check_size(len(long) * times)
    charge(left, right)


def check_growth(function: str, subject: object, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
    """Raises GuestfarmError if a filter of Jinja2's, or a method of Python's, would make too much of `subject`."""
    given = [*arguments, *named.values()]
    numbers = [each for each in given if isinstance(each, int)]
    texts = [each for each in given if isinstance(each, str)]
    match function:
        case "center" | "ljust" | "rjust" | "zfill" | "batch" | "slice" | "to_bytes" if (
            max(numbers, default=0) > _WIDEST
        ):
            raise GuestfarmError(f"a width of more than {_WIDEST:,}")
        case "indent" | "expandtabs" | "tojson" | "wordwrap":
            width = max([*numbers, *map(len, texts), 8])
            _check_size(_weight([subject]) * width if function != "indent" else _lines(subject) * width)
        case "replace" if len(texts) > 1:
            _check_size(str(subject).count(texts[0]) * len(texts[1]))
        case "join" if isinstance(subject, Sequence):
            _check_size(len(subject) * max(map(len, texts), default=0))
        case "format" | "format_map" if isinstance(subject, str):
            values = arguments[0] if function == "format_map" and arguments else [*arguments, *named.values()]
            _check_size(max(_formatted(subject, values), _braced(subject, values)))


def _lines(subject: object) -> int:
    return subject.count("\n") + 1 if isinstance(subject, str) else 1


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise GuestfarmError(f"a product of more than {LARGEST:,}")


def _weight(values: object) -> int:
    """The characters and items in `values`. Raises GuestfarmError where there are too many to be put together."""
    if isinstance(values, int):
        return values.bit_length() // 3
    weight = 0
    pending = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, str | bytes):
            weight += len(value)
        elif isinstance(value, Mapping):
            weight += _PER_ITEM * len(value)
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            weight += _PER_ITEM * len(value)
            pending += value
        elif isinstance(value, int):
            weight += value.bit_length() // 3
        if weight > LARGEST:
            raise GuestfarmError(_TOO_LARGE)
    return weight


def _formatted(text: str, values: object) -> int:
    """The most characters that `text` has once printf's conversions in it are made."""
    specs = _CONVERSION.findall(text)
    widths: int = sum(int(width) for spec in specs for width in spec if width.isdecimal())
    stars: int = sum(spec.count("*") for spec in specs)
    return len(text) + widths + len(specs) * _weight(values) + stars * _largest_number(values)


def _braced(text: str, values: object) -> int:
    """The same for the fields of str.format()."""
    try:
        fields = [spec or "" for _, name, spec, _ in Formatter().parse(text) if name is not None]
    except ValueError:  # which str.format() says better
        return len(text)
    widths = sum(int(number) for spec in fields for number in re.findall(r"\d+", spec))
    nested = sum(spec.count("{") for spec in fields)
    return len(text) + widths + len(fields) * _weight(values) + nested * _largest_number(values)


def _largest_number(values: object) -> int:
    found: Any = (
        values.values() if isinstance(values, Mapping) else values if isinstance(values, Sequence) else [values]
    )
    return max([0, *(abs(value) for value in found if isinstance(value, int))])
