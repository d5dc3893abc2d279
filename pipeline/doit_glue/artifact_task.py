"""doit's tasks for artifacts: made in a fraction of the time that doit takes for any task, and small to send about."""

import sys
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, TextIO

from doit.globals import Globals
from doit.task import Task, first_line

from pipeline.doit_glue.artifact import Artifact, Recorded, Tasks, run
from pipeline.doit_glue.space import META
from pipeline.doit_glue.targets import RECORD, explanation, not_ours, stamps
from pipeline.errors import GuestfarmError
from pipeline.image.usage import check_unused

_SENT = ("name", "dep_changed", "options", "verbosity", "values", "result", "executed")
"""What a worker process, which is a fork, must be told of a task, and has to tell."""


class ArtifactTask(Task):  # type: ignore[misc]  # doit has no types
    """The doit task of an artifact."""

    made_from: Recorded

    @classmethod
    def of(cls, group: str, artifact: Artifact) -> "ArtifactTask":
        """The task of the `group` that makes `artifact`.

        It is a copy of one that doit made, with what is its own: doit would check each attribute of each task.
        """
        task: ArtifactTask = cls.__new__(cls)
        made_from = Recorded(artifact.inputs)
        task.__dict__.update(
            _template(),
            name=f"{group}:{artifact.name}",
            subtask_of=group,
            doc=first_line(artifact.doc),
            file_dep=set(artifact.files),
            task_dep=[],
            targets=artifact.targets,
            values={},
            meta={META: artifact.space} if artifact.space else None,
            _actions=[(run, [artifact.build])],
            made_from=made_from,
            uptodate=[(made_from, [], {})],
        )
        task.value_savers = [task._record]
        return task

    def _record(self) -> dict[str, Any]:
        return {RECORD: {"inputs": self.made_from.now(), "targets": stamps(self.targets)}}

    def pickle_safe_dict(self) -> dict[str, Any]:
        """What doit sends to a worker process and back: not the whole farm, which hangs on the rest."""
        return {name: self.__dict__[name] for name in _SENT}

    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        """Remove its targets, but none that somebody wrote to or is using."""
        touched = not_ours(self, Globals.dep_manager)
        if touched:
            outstream.write(f"{self.name} - {explanation(self, touched)}\n")
        for target in map(Path, self.targets):
            if target.exists() and str(target) not in touched:
                try:
                    check_unused(target)
                except GuestfarmError as error:
                    print(f"{self.name} - {error}", file=sys.stderr)
                    continue
                outstream.write(f"{self.name} - removing file '{target}'\n")
                if not dryrun:
                    target.unlink()
                    _remove_if_empty(target.parent)


@cache
def _template() -> dict[str, Any]:
    # With threads, doit's capturing of output would swap sys.stdout under the other tasks' feet.
    return dict(Task("template", [], io={"capture": False}).__dict__)


def artifacts(creator: Callable[[], Tasks]) -> Callable[[], Iterator[Task]]:
    """The task creator `task_KIND` of a dodo.py, whose artifacts become tasks KIND:NAME in the group KIND."""
    group = creator.__name__.removeprefix("task_")

    @wraps(creator)
    def tasks() -> Iterator[Task]:
        made = [ArtifactTask.of(group, artifact) for artifact in creator()]
        yield Task(group, None, doc=creator.__doc__, has_subtask=True, task_dep=[task.name for task in made])
        yield from made

    return tasks


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # there is something else in it
        return
