"""What stands between doit's runner and its records."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

from doit.dependency import Dependency, DependencyStatus
from doit.task import Task

from pipeline.engine.artifact.targets import RECORD, compared, explanation, stamps
from pipeline.engine.artifact.task import ArtifactTask
from pipeline.engine.run.user_errors import user_errors
from pipeline.engine.state.state import State


class Guard:
    """A doit Dependency for runs, with two promises more.

    A task's record goes when the task starts, neither later, so that one which dies half way is never taken for done,
    nor for another reason, so that what is done stays done. And a task whose targets are no longer what it made does
    not start.
    """

    def __init__(self, dependency: Dependency, fresh: Collection[str] = (), *, always: bool = False) -> None:
        self._dependency = dependency
        self._always = always
        """Whether doit starts also what is up to date."""
        self._fresh = fresh
        """Tasks that are known to have nothing to do."""
        self._up_to_date = DependencyStatus(get_log=False)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the Dependency has
        return getattr(self._dependency, name)

    def status_is_ignore(self, task: Task) -> Any:  # noqa: ANN401  # doit's
        """Whether the user has said `doit ignore`."""
        return None if task.name in self._fresh else self._dependency.status_is_ignore(task)

    def get_values(self, task_name: str) -> Mapping[str, Any]:
        """What a task has saved."""
        if task_name in self._fresh:
            return _Values(partial(self._dependency.get_values, task_name))
        values: dict[str, Any] = self._dependency.get_values(task_name)
        return values

    def get_status(self, task: Task, tasks: dict[str, Task], get_log: bool = False) -> DependencyStatus:
        """Whether `task` must run; doit's runner asks right before it starts it."""
        if task.name in self._fresh:
            return self._up_to_date
        backend: State = self._dependency.backend
        with user_errors():
            targets = compared(task, self._dependency)
        if targets.touched:
            refusal = DependencyStatus(get_log)
            refusal.status = "error"
            refusal.error_reason = explanation(task, targets)
            return refusal
        if targets.moved:
            backend.note_targets(task.name, targets.moved)
        status: DependencyStatus = self._dependency.get_status(task, tasks, get_log)
        if targets.unfinished and status.status == "up-to-date":
            status.status, task.dep_changed = "run", list(task.file_dep)
        if (self._always or status.status == "run") and task.targets:
            folders = {os.path.dirname(target) for target in task.targets}  # noqa: PTH120  # a Path costs more
            backend.start(task.name, folders, [*stamps(task.file_dep).values()])
            if isinstance(task, ArtifactTask):
                task.dated = backend.time
        elif status.status == "up-to-date" and isinstance(task, ArtifactTask):
            self._note_fingerprint(task)
        return status

    def save_success(self, task: Task) -> None:
        """Put on record what `task` has made, as soon as it has. A group of tasks makes nothing of its own."""
        if task.has_subtask:
            return
        self._dependency.save_success(task)
        if isinstance(task, ArtifactTask):
            self._note_fingerprint(task)

    def remove_success(self, task: Task) -> None:
        """Keep the record of a task that did not even start, because of its targets or because another failed."""

    def _note_fingerprint(self, task: ArtifactTask) -> None:
        backend = self._dependency.backend
        record = self._dependency.get_values(task.name)[RECORD]
        files = {path: backend.get(task.name, path) for path in task.file_dep}
        backend.note_fingerprint(task.name, task.fingerprint_of(record, files))


class _Values(Mapping[str, Any]):
    """Values that are read when they are needed: for tasks that are up to date, doit asks for all, and uses none."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  # a record holds whatever JSON can
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class Kept:
    """A doit Dependency that a run does not close, so that the lock on the build folder stays ours afterwards."""

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the Dependency has
        return getattr(self._dependency, name)

    def close(self) -> None:
        """Leave it open: whoever has the Dependency closes it."""
