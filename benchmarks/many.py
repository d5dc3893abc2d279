"""A farm from nothing, where copies share their blocks: what each guest costs when as many are built as cores allow."""

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import report
from benchmarks.farms import Workshop, tiny_master
from benchmarks.measure import Cost, Way, alternate, cost_of
from benchmarks.scratch import mounted, on_one_line
from pipeline import process
from pipeline.errors import ProcessError

_KIND, _ROOM = "xfs", 24 << 30
_BARE, _ONE, _TWO = "cp --reflink=always, fsync", "doit", "doit -n 2"
_KEYS = "doit -n 2, with host keys"

_COPIES = """
for number in $(seq "$COUNT"); do
    mkdir "$OUT/$number"
    cp --reflink=always "$BASE" "$OUT/$number/root.img"
    sync "$OUT/$number/root.img"
done
"""


def run(folder: Path, count: int, rounds: int) -> Iterator[str]:
    """The table for `count` guests of a tiny master."""
    try:
        with mounted(_KIND, _ROOM, folder) as disk:
            yield from _table(disk, count, rounds)
    except ProcessError as error:
        yield f"### {count} guests from nothing, on {_KIND}\n\nSkipped: {on_one_line(error)}\n"


def _table(disk: Path, count: int, rounds: int) -> Iterator[str]:
    tiny_master(disk / "tiny.tar")
    workshop = Workshop.at(disk / "farm", "tar", disk / "tiny.tar", "16M")
    with_keys = Workshop.at(disk / "keys", "tar", disk / "tiny.tar", "16M", "[ed25519]")
    for each in (workshop, with_keys):
        each.doit("first", 1)
    site = workshop.site("first", 1)
    (first,) = site.farm.guests.values()
    numbers = itertools.count()
    ways = [
        Way(_BARE, partial(_copies, site.populated(first.base), count)),
        Way(_ONE, lambda _: _build(workshop, count, numbers)),
        Way(_TWO, lambda _: _build(workshop, count, numbers, "-n", "2")),
        Way(_KEYS, lambda _: _build(with_keys, count, numbers, "-n", "2")),
    ]
    costs = alternate(f"{count} guests from nothing, on {_KIND}: each", ways, rounds, disk)
    yield report.table(f"{count} guests from nothing, on {_KIND}: each", costs, _BARE)
    for figure, most in ((report.CPU, 0.012), (report.WALL, 0.015)):
        met = report.middle(costs[_TWO], figure) <= most
        aim = f"{_TWO}: at most {most * 1000:.0f} ms of {figure.name} a guest"
        yield report.aim(aim, met=met, measured=report.typical(costs[_TWO], figure))


def _copies(base: Path, count: int, folder: Path) -> Cost:
    environment = {"BASE": str(base), "OUT": str(folder), "COUNT": str(count)}
    return cost_of(lambda: process.run(["sh", "-e", "-c", _COPIES], environment=environment)) / count


def _build(workshop: Workshop, count: int, numbers: Iterator[int], *options: str) -> Cost:
    name = f"batch{next(numbers)}"
    cost = workshop.doit(name, count, *options)
    workshop.remove(workshop.site(name, count))
    return cost / count
