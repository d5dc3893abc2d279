"""What something costs, and how several ways to do it are compared: in turn, each from a settled disk."""

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import process

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock, seconds of all processors, and the most memory in bytes; 0 where it was not looked at."""

    wall: float
    cpu: float
    memory: int = 0

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.cpu - other.cpu, self.memory)

    def __truediv__(self, count: int) -> "Cost":
        return Cost(self.wall / count, self.cpu / count, self.memory)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to do something. `run` does it once, in an empty folder of its own, and says what that cost."""

    name: str
    run: Callable[[Path], Cost]


Costs = Mapping[str, Sequence[Cost]]
"""What each way cost, round by round, by the ways' names."""


def cost_of(*actions: Callable[[], object]) -> Cost:
    """What `actions` cost, one after the other, in this process and in those that it starts and waits for."""
    cpu, wall = _cpu(), time.perf_counter()
    for action in actions:
        action()
    return Cost(time.perf_counter() - wall, _cpu() - cpu)


def cost_of_program(*argv: str | Path) -> tuple[Cost, str]:
    """What a program costs, and what it printed. Raises ProcessError when it fails."""
    completed = process.run([sys.executable, "-I", "-S", _LAUNCHER, *argv])
    wall, cpu, memory = completed.stdout.split()
    return Cost(float(wall), float(cpu), int(memory) * 1024), completed.stderr


def alternate(title: str, ways: Sequence[Way], rounds: int, folder: Path) -> Costs:
    """Run the ways in turn, A B C A B C ..., so that a change of the machine's mood meets all of them.

    One round more comes first and does not count: it fills the page cache.
    """
    costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
    for number in range(rounds + 1):
        for way in ways:
            cost = _run(way, folder / "run")
            if number:
                costs[way.name].append(cost)
        print(f"{title}: {f'round {number} of {rounds}' if number else 'warmed up'}", file=sys.stderr, flush=True)
    return costs


def _run(way: Way, folder: Path) -> Cost:
    folder.mkdir()
    os.sync()  # nobody pays for what another has left to write, or to discard
    cost = way.run(folder)
    shutil.rmtree(folder)
    return cost


def _cpu() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
