"""Whether artifacts are still what their tasks made: a guest may have run on one, and its data must not be lost."""

import os
from collections.abc import Iterable

from doit.dependency import Dependency
from doit.task import Task

RECORD = "artifact"
"""The name of our record among the values that doit keeps for a task."""


def stamps(paths: Iterable[str]) -> dict[str, list[int]]:
    """Size, time, inode and write permissions of those of `paths` that are there, to be compared later."""
    found = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116  # a Path would double the cost of checking a whole farm
        except (FileNotFoundError, NotADirectoryError):
            continue
        found[path] = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode & 0o222]
    return found


def not_ours(task: Task, dependency: Dependency) -> list[str]:
    """The targets of `task` that are there but not as it made them: somebody wrote to them, or made them.

    Those of a task that was told to start anew, or that was interrupted, are its own in any state.
    """
    if dependency.backend.may_replace(task.name):
        return []
    recorded = dependency.get_values(task.name).get(RECORD, {}).get("targets", {})
    return [target for target, stamp in stamps(task.targets).items() if stamp != recorded.get(target)]


def explanation(task: Task, targets: Iterable[str]) -> str:
    """What to tell the user about targets that are not ours, and the ways out."""
    return (
        f"{', '.join(targets)}: modified since it was made, perhaps by a guest that ran on it, and so left alone; "
        f"move it away to keep it, or have it made anew by: doit forget {task.name}"
    )
