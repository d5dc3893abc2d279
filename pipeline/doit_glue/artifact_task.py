"""doit's tasks for artifacts: made in a fraction of the time that doit takes for any task, and small to send about."""

import sys
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, TextIO

from doit.globals import Globals
from doit.task import Task, first_line

from pipeline.doit_glue import fingerprint
from pipeline.doit_glue.artifact import Artifact, Recorded, Tasks, run
from pipeline.doit_glue.space import META
from pipeline.doit_glue.targets import RECORD, explanation, not_ours, stamps
from pipeline.errors import GuestfarmError
from pipeline.image.usage import check_unused

_SENT = ("name", "dep_changed", "options", "verbosity", "values", "result", "executed")
"""What a worker process, which is a fork, must be told of a task, and has to tell."""


class ArtifactTask(Task):  # type: ignore[misc]  # doit has no types
    """The doit task of an artifact.

    What is the same for all of them is the class's, and what only a task that runs needs is made when it is asked for.
    """

    artifact: Artifact

    @classmethod
    def of(cls, group: str, artifact: Artifact) -> "ArtifactTask":
        """The task of the `group` that makes `artifact`."""
        task: ArtifactTask = cls.__new__(cls)
        task.name = f"{group}:{artifact.name}"
        task.subtask_of = group
        task.targets = artifact.targets
        task.file_dep = _set(*artifact.files)
        task.task_dep = []
        task.values = {}
        task.artifact = artifact
        return task

    @property
    def doc(self) -> str:
        """What `doit list --all` says of it."""
        return str(first_line(self.artifact.doc))

    @property
    def made_from(self) -> Recorded:
        """Whether it would still be made from the same."""
        made_from: Recorded | None = self.__dict__.get("_made_from")
        if made_from is None:
            made_from = self._made_from = Recorded(self.artifact.inputs)
        return made_from

    @property
    def uptodate(self) -> list[Any]:
        """What doit asks to know whether the task has to run."""
        return [(self.made_from, [], {})]

    @property
    def value_savers(self) -> list[Callable[[], dict[str, Any]]]:
        """What doit asks for what to put on record."""
        return [self._record]

    @property
    def meta(self) -> dict[str, Any] | None:
        """What doit knows nothing of."""
        return {META: self.artifact.space} if self.artifact.space else None

    @property
    def _actions(self) -> list[Any]:
        return [(run, [self.artifact.build])]

    def fingerprint(self, digest: Callable[[str], str]) -> bytes | None:
        """What it would be made from now, and its targets; None if one of these is missing.

        `digest` gives the digest of a file. Raises FileNotFoundError.
        """
        found = stamps(self.targets)
        if len(found) < len(self.targets):
            return None
        answers = {name: ask() for name, ask in fingerprint.callables(self.artifact.inputs)}
        files = {path: digest(path) for path in self.file_dep}
        return fingerprint.of_artifact(fingerprint.of_inputs(self.artifact.inputs), answers, files, found)

    def fingerprint_of(self, record: dict[str, Any], files: dict[str, str]) -> bytes:
        """What is on record of it, as a fingerprint, with the digests of the `files` that it was made from."""
        asked = {name for name, _ in fingerprint.callables(self.artifact.inputs)}
        answers = {name: value for name, value in record["inputs"].items() if name in asked}
        values = {name: value for name, value in record["inputs"].items() if name not in asked}
        return fingerprint.of_artifact(fingerprint.of_inputs(values), answers, files, record["targets"])

    def _record(self) -> dict[str, Any]:
        return {RECORD: {"inputs": self.made_from.now(), "targets": stamps(self.targets)}}

    def pickle_safe_dict(self) -> dict[str, Any]:
        """What doit sends to a worker process and back: not the whole farm, which hangs on the rest."""
        return {name: getattr(self, name) for name in _SENT}

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


# With threads, doit's capturing of output would swap sys.stdout under the other tasks' feet.
for _name, _value in Task("template", [], io={"capture": False}).__dict__.items():
    if _name not in ArtifactTask.__dict__:
        setattr(ArtifactTask, _name, _value)


def artifacts(creator: Callable[[], Tasks]) -> Callable[[], Iterator[Task]]:
    """The task creator `task_KIND` of a dodo.py, whose artifacts become tasks KIND:NAME in the group KIND."""
    group = creator.__name__.removeprefix("task_")

    @wraps(creator)
    def tasks() -> Iterator[Task]:
        made = [ArtifactTask.of(group, artifact) for artifact in creator()]
        yield Task(group, None, doc=creator.__doc__, has_subtask=True, task_dep=[task.name for task in made])
        yield from made

    return tasks


@cache
def _set(*files: str) -> frozenset[str]:
    """The set of these files, one for all tasks that depend on the same."""
    return frozenset(files)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # there is something else in it
        return
