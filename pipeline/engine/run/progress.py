"""How long a run will take, and how much it will write: from what similar artifacts took, and from their sizes."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import median

from doit.dependency import Dependency
from doit.task import Task

from pipeline.engine.artifact.artifact import SECONDS
from pipeline.engine.artifact.space import META
from pipeline.engine.artifact.task import ArtifactTask
from pipeline.engine.state.condition import State, conditions

_BYTES_A_SECOND = 200_000_000
"""What a disk writes, about, for artifacts of which nobody knows yet how long they take."""
_LEAST = 0.02
"""Seconds that any artifact takes."""


def size(task: Task) -> int:
    """The bytes that were written, or will be, for the artifact of `task`, as far as one can tell."""
    declared = task.meta.get(META) if task.meta else None
    if declared is not None:
        return int(declared.now)
    return sum(map(_written, task.targets))


def _written(target: str) -> int:
    try:
        status = os.stat(target)  # noqa: PTH116  # a Path costs more than what is asked
    except FileNotFoundError:
        return 0
    return status.st_blocks * 512 if status.st_nlink == 1 else 0  # the unit of stat(2), whatever the file system's own


def usual_seconds(tasks: Iterable[Task], dependency: Dependency) -> dict[str, float]:
    """What one artifact of each kind took, as far as that is on record."""
    recorded: dict[str, list[float]] = defaultdict(list)
    for task in tasks:
        seconds = dependency.get_values(task.name).get(SECONDS)
        if seconds is not None:
            recorded[task.name.partition(":")[0]].append(seconds)
    return {kind: median(values) for kind, values in recorded.items()}


class Forecast:
    """What a run will build, as it looks before it builds anything: by task, seconds and bytes."""

    def __init__(self, tasks: Iterable[Task], dependency: Dependency) -> None:
        """Of a run of `tasks`, which come after those that they depend on."""
        artifacts = [task for task in tasks if isinstance(task, ArtifactTask)]
        found = conditions(artifacts, dependency)
        self._usual = usual_seconds(artifacts, dependency)
        self._built = [task for task in artifacts if found[task.name].state in (State.STALE, State.MISSING)]
        self.bytes: Mapping[str, int] = {}
        self.seconds: Mapping[str, float] = {}
        self.look_again()

    def look_again(self) -> None:
        """How large guests' disks will be is known when their master is built."""
        self.bytes = {task.name: size(task) for task in self._built}
        self.seconds = {
            name: max(_LEAST, self._usual.get(name.partition(":")[0], written / _BYTES_A_SECOND))
            for name, written in self.bytes.items()
        }
