"""What stands between doit's runner and its records: no task starts while its record says that it is done."""

from typing import Any

from doit.dependency import Dependency, DependencyStatus
from doit.task import Task

from pipeline.doit_glue.artifact import modified, modified_message


class Guard:
    """A doit Dependency for runs, with two promises more.

    A task's record goes before the task starts, so that one which dies half way is never taken for done; and a task
    whose targets somebody wrote to is an error and does not start.
    """

    def __init__(self, dependency: Dependency) -> None:
        self._dependency = dependency

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the Dependency has
        return getattr(self._dependency, name)

    def get_status(self, task: Task, tasks: dict[str, Task], get_log: bool = False) -> DependencyStatus:
        """Whether `task` must run; doit's runner asks right before it starts it."""
        touched = modified(task, self._dependency.get_values(task.name))
        if touched:
            status = DependencyStatus(get_log)
            status.status = "error"
            status.error_reason = modified_message(touched)
            return status
        status = self._dependency.get_status(task, tasks, get_log)
        if status.status == "run" and task.targets:
            self._dependency.remove(task.name)
        return status
