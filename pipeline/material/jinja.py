"""Jinja2 within bounds: no way out of the sandbox, no guess for a missing value, no run without end."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.errors import GuestfarmError

MOST_STEPS = 1_000_000
"""Turns of loops and calls that a template may take: some seconds at most."""
_LARGEST = 1 << 24
"""Characters of a text, items of a list and bits of a number that a product may have."""

_steps: ContextVar[list[int]] = ContextVar("steps")
"""Those that are left."""


class _Environment(ImmutableSandboxedEnvironment):
    """Counts the turns of loops, and calls: Jinja2's sandbox bounds range() alone, so loops in loops never end."""

    intercepted_binops = frozenset(["*", "**"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        for loop in template.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
        return template

    def call(self, context: Context, called: Any, /, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # as Jinja2's
        _step()
        return super().call(context, called, *arguments, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  # the same
        if _size(left, right, power=operator == "**") > _LARGEST:
            raise GuestfarmError(f"a product of more than {_LARGEST:,}")
        return super().call_binop(context, operator, left, right)


@cache
def environment() -> _Environment:
    """The environment of all templates.

    Nothing is escaped: what is made are configurations, not HTML, each with rules of its own for quoting.
    """
    made = _Environment(autoescape=False, undefined=StrictUndefined, keep_trailing_newline=True)
    made.filters["_counted"] = _counted
    return made


@contextmanager
def counted() -> Iterator[None]:
    """Allows what one template may take."""
    token = _steps.set([MOST_STEPS])
    try:
        yield
    finally:
        _steps.reset(token)


def _step() -> None:
    left = _steps.get()
    left[0] -= 1
    if left[0] < 0:
        raise GuestfarmError(f"it takes more than {MOST_STEPS:,} turns of loops and calls")


def _counted(items: Iterable[object]) -> Iterator[object]:
    for item in items:
        _step()
        yield item


def _size(left: object, right: object, *, power: bool) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * max(right, 1) if power else left.bit_length() + right.bit_length()
    long, times = (left, right) if isinstance(right, int) else (right, left)
    return len(long) * times if isinstance(long, str | list | tuple) and isinstance(times, int) else 0
