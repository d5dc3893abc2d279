"""Costs as tables: medians, and ratios to one of the ways, taken round by round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.measure import Cost, Costs


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the numbers of a cost, and how to write it."""

    name: str
    of: Callable[[Cost], float]
    write: Callable[[float], str]


def _seconds(number: float) -> str:
    return f"{number:.2f} s" if number >= 1 else f"{number * 1000:.3g} ms"


WALL = Figure("time", lambda cost: cost.wall, _seconds)
CPU = Figure("CPU", lambda cost: cost.cpu, _seconds)
MEMORY = Figure("memory", lambda cost: cost.memory, lambda number: f"{number / 2**20:.1f} MiB")


@dataclass(frozen=True, slots=True)
class Ratio:
    """How one way compares with another: the median over the rounds, and the extremes."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f}–{self.most:.2f})"  # noqa: RUF001  # a range has an en dash


def ratio(costs: Costs, way: str, reference: str, figure: Figure = WALL) -> Ratio:
    """The costs of `way` as multiples of those of `reference` in the same round."""
    pairs = zip(costs[way], costs[reference], strict=True)
    ratios = [figure.of(one) / figure.of(other) for one, other in pairs]
    return Ratio(median(ratios), min(ratios), max(ratios))


def middle(costs: Sequence[Cost], figure: Figure) -> float:
    """The median of a figure."""
    return median(map(figure.of, costs))


def typical(costs: Sequence[Cost], figure: Figure) -> str:
    """The same, for people."""
    return figure.write(middle(costs, figure))


def table(title: str, costs: Costs, reference: str, figures: Sequence[Figure] = (WALL, CPU)) -> str:
    """A table in Markdown: of each way and each figure the median, and the ratio to `reference` with its extremes."""
    heads = [head for figure in figures for head in (figure.name, "ratio")]
    lines = [f"### {title}", "", _row(["", *heads]), _row(["---", *["---:"] * len(heads)])]
    for way in costs:
        cells = [cell for figure in figures for cell in _cells(costs, way, reference, figure)]
        lines.append(_row([way, *cells]))
    return "\n".join([*lines, ""])


def aim(text: str, *, met: bool, measured: object) -> str:
    """A line that says whether an aim was met."""
    return f"Aim: {text}. {'Met' if met else 'Missed'}: {measured}.\n"


def _cells(costs: Costs, way: str, reference: str, figure: Figure) -> list[str]:
    return [typical(costs[way], figure), "1" if way == reference else str(ratio(costs, way, reference, figure))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
