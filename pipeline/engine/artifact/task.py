"""doit's tasks for artifacts: made in a fraction of the time that doit takes for any task, and small to send about."""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from doit.globals import Globals
from doit.task import Task, first_line

from pipeline.engine.artifact.artifact import KEYS, Artifact, Building, Recorded
from pipeline.engine.artifact.space import META
from pipeline.engine.artifact.targets import RECORD, compared, explanation, stamps
from pipeline.engine.state import fingerprint
from pipeline.engine.state.catalogue import Asked, Entry
from pipeline.errors import GuestfarmError
from pipeline.image.files.usage import check_unused

_SENT = ("name", "dep_changed", "options", "verbosity", "values", "result", "executed", "dated")
"""What a worker process, which is a fork, must be told of a task, and has to tell."""


class ArtifactTask(Task):  # type: ignore[misc]  # doit has no types
    """The doit task of an artifact.

    What is the same for all of them is the class's, and what only a task that runs needs is made when it is asked for.
    """

    _artifact: Artifact | None = None
    _entry: Entry | None = None
    dated: int | None = None
    """The mtime, in nanoseconds, of what it publishes; None is that of its making."""
    _find: Callable[[Entry], Artifact]

    @classmethod
    def of(cls, group: str, artifact: Artifact) -> "ArtifactTask":
        """The task of the `group` that makes `artifact`."""
        task = cls._new(group, artifact.name, artifact.targets, artifact.files, artifact.tasks)
        task._artifact = artifact
        return task

    @classmethod
    def listed(cls, group: str, entry: Entry, find: Callable[[Entry], Artifact]) -> "ArtifactTask":
        """The task of an artifact in a catalogue; `find` gives the artifact itself."""
        task = cls._new(group, entry.name, entry.targets, entry.files, entry.tasks)
        task._entry = entry
        task._find = find
        return task

    @classmethod
    def _new(
        cls, group: str, name: str, targets: Sequence[str], files: Sequence[str], tasks: Sequence[str]
    ) -> "ArtifactTask":
        task: ArtifactTask = cls.__new__(cls)
        task.name = f"{group}:{name}"
        task.subtask_of = group
        task.targets = [*targets]
        task.file_dep = _set(*files)
        task.task_dep = [*tasks]
        task.values = {}
        return task

    @property
    def artifact(self) -> Artifact:
        """The artifact."""
        if self._artifact is None:
            self._artifact = self._find(self.entry)
        return self._artifact

    @property
    def entry(self) -> Entry:
        """The artifact, without what it takes to build it."""
        if self._entry is None:
            self._entry = entry_of(self.artifact)
        return self._entry

    @property
    def on_request(self) -> bool:
        """Whether it is made only when it is asked for by name."""
        return self._artifact.on_request if self._artifact is not None else self.entry.on_request

    @property
    def doc(self) -> str:
        """What `doit list --all` says of it."""
        return self.entry.doc

    @property
    def made_from(self) -> Recorded:
        """Whether it would still be made from the same."""
        made_from: Recorded | None = self.__dict__.get("_made_from")
        if made_from is None:
            made_from = self._made_from = Recorded(self.artifact.inputs, self.artifact.keys)
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
        is_shared = self.artifact.guest is None
        return [(Building(self.artifact.build, is_shared=is_shared),)]

    def fingerprint(self, answers: Callable[[Asked], str], digests: Callable[[frozenset[str]], str]) -> bytes | None:
        """What it would be made from now, and its targets; None if one of these is missing.

        `answers` asks what has to be asked, `digests` gives the digests of files, both as text.
        """
        found = stamps(self.targets)
        if len(found) < len(self.targets):
            return None
        entry = self.entry
        return fingerprint.of_artifact(entry.inputs, answers(entry.asked), digests(self.file_dep), found)

    def fingerprint_of(self, record: dict[str, Any], files: dict[str, str]) -> bytes:
        """What is on record of it, as a fingerprint, with the digests of the `files` that it was made from."""
        asked = {name for name, _ in self.entry.asked}
        answers = {name: value for name, value in record["inputs"].items() if name in asked}
        values = {name: value for name, value in record["inputs"].items() if name not in asked}
        return fingerprint.of_artifact(
            fingerprint.of_inputs(values), fingerprint.text(answers), fingerprint.text(files), record["targets"]
        )

    def _record(self) -> dict[str, Any]:
        keys = self.made_from.keys()
        told = {} if keys is None else {KEYS: keys}
        return {RECORD: {"inputs": self.made_from.now(), "targets": stamps(self.targets), **told}}

    def pickle_safe_dict(self) -> dict[str, Any]:
        """What doit sends to a worker process and back: not the whole farm, which hangs on the rest."""
        return {name: getattr(self, name) for name in _SENT}

    def clean(self, outstream: TextIO, dryrun: bool) -> None:
        """Remove its targets, as remove() does."""
        self.remove(outstream, dryrun)

    def remove(self, outstream: TextIO, dryrun: bool) -> bool:
        """Remove its targets, but none that somebody wrote to or is using. Whether all could be removed."""
        compare = compared(self, Globals.dep_manager)
        touched = compare.touched
        if touched:
            print(f"{self.name} - {explanation(self, compare)}", file=sys.stderr)
        is_refused = bool(touched)
        for target in map(Path, self.targets):
            if target.exists() and str(target) not in touched:
                try:
                    check_unused(target)
                except GuestfarmError as error:
                    print(f"{self.name} - {error}", file=sys.stderr)
                    is_refused = True
                    continue
                outstream.write(f"{self.name} - removing file '{target}'\n")
                if not dryrun:
                    target.unlink()
                    _remove_if_empty(target.parent)
        return not is_refused


# With threads, doit's capturing of output would swap sys.stdout under the other tasks' feet.
for _name, _value in Task("template", [], io={"capture": False}).__dict__.items():
    if _name not in ArtifactTask.__dict__:
        setattr(ArtifactTask, _name, _value)


def entry_of(artifact: Artifact) -> Entry:
    """What a catalogue has of `artifact`."""
    inputs = artifact.inputs
    return Entry(
        artifact.name,
        str(first_line(artifact.doc)),
        tuple(artifact.targets),
        tuple(artifact.files),
        tuple(artifact.tasks),
        artifact.on_request,
        artifact.guest,
        fingerprint.of_inputs(inputs),
        fingerprint.callables(inputs),
    )


@cache
def _set(*files: str) -> frozenset[str]:
    """The set of these files, one for all tasks that depend on the same."""
    return frozenset(files)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # there is something else in it
        return
