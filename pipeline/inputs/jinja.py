"""Jinja2 within bounds: no way out of the sandbox, no guess for a missing value, no run without end."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, wraps
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from pipeline.inputs.bounds import charge, check_growth, check_operation, step

_BY_CHANCE = (("filters", "random"), ("globals", "lipsum"))
"""What would make another file of the same template in each run."""


class _Rewriter(NodeTransformer):
    """Has our own functions called where Jinja2 calls none that could be told to count."""

    def visit_For(self, node: nodes.For, **options: Any) -> nodes.Node:  # noqa: ANN401, N802  # Jinja2's names and types
        self.generic_visit(node, **options)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat, **options: Any) -> nodes.Node:  # noqa: ANN401, N802  # the same
        self.generic_visit(node, **options)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_joined", [], [], None, None, lineno=node.lineno)


class _Environment(ImmutableSandboxedEnvironment):
    """Counts the turns of loops, and calls: Jinja2's sandbox bounds range() alone, so loops in loops never end."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _Rewriter().visit(template)
        return template

    def call(self, context: Context, called: Any, /, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # as Jinja2's
        charge(*arguments, *named.values())
        method = getattr(called, "__wrapped__", called)  # the sandbox has a function of its own around str.format
        subject = getattr(method, "__self__", None)
        if isinstance(subject, str | bytes | int):
            charge(subject)
            check_growth(method.__name__, subject, arguments, named)
        return super().call(context, called, *arguments, **named)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  # the same
        check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)


@cache
def environment() -> _Environment:
    """The environment of all templates.

    Nothing is escaped: what is made are configurations, not HTML, each with rules of its own for quoting.
    """
    made = _Environment(autoescape=False, undefined=StrictUndefined, keep_trailing_newline=True, finalize=_charged)
    for table, name in _BY_CHANCE:
        del getattr(made, table)[name]
    made.filters = {name: _bounded(name, function) for name, function in made.filters.items()}
    made.filters |= {"_counted": _counted, "_joined": _joined}
    return made


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter `function` of Jinja2's, which refuses to make too much."""
    first = int(hasattr(function, "jinja_pass_arg"))  # then it gets the context, or the like, before all else

    @wraps(function)
    def bounded(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # whatever filters take
        given = list(arguments)
        if name == "join" and not isinstance(given[first], str):
            given[first] = list(_counted(given[first]))
        charge(*given[first:], *named.values())
        check_growth(name, given[first], given[first + 1 :], named)
        return function(*given, **named)

    return bounded


def _charged(value: Any) -> Any:  # noqa: ANN401  # whatever is put out
    charge(value)
    return value


def _counted(items: Iterable[object]) -> Iterator[object]:
    for item in items:
        step()
        yield item


def _joined(parts: list[object]) -> str:
    charge(*parts)
    return "".join(map(str, parts))
