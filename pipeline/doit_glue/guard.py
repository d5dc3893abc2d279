"""What stands between doit's runner and its records."""

from pathlib import Path
from typing import Any

from doit.dependency import Dependency, DependencyStatus
from doit.task import Task

from pipeline.doit_glue.targets import explanation, not_ours


class Guard:
    """A doit Dependency for runs, with two promises more.

    A task's record goes when the task starts, neither later, so that one which dies half way is never taken for done,
    nor for another reason, so that what is done stays done. And a task whose targets are no longer what it made does
    not start.
    """

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the Dependency has
        return getattr(self._dependency, name)

    def get_status(self, task: Task, tasks: dict[str, Task], get_log: bool = False) -> DependencyStatus:
        """Whether `task` must run; doit's runner asks right before it starts it."""
        touched = not_ours(task, self._dependency)
        if touched:
            refusal = DependencyStatus(get_log)
            refusal.status = "error"
            refusal.error_reason = explanation(task, touched)
            return refusal
        status: DependencyStatus = self._dependency.get_status(task, tasks, get_log)
        if status.status == "run" and task.targets:
            self._dependency.backend.start(task.name, {Path(target).parent for target in task.targets})
        return status

    def remove_success(self, task: Task) -> None:
        """Keep the record of a task that did not even start, because of its targets or because another failed."""
