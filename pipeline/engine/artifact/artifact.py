"""Artifacts: what each is made from, where it goes, and whether it would still be made from the same."""

import os
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from inspect import Parameter, Signature
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from doit.exceptions import TaskFailed
from doit.globals import Globals
from doit.task import Task

from pipeline.engine.artifact.differences import Json, differences
from pipeline.engine.artifact.space import Space
from pipeline.engine.artifact.targets import RECORD, stamps
from pipeline.engine.run import logs
from pipeline.engine.run.user_errors import of_system
from pipeline.engine.state.record import DIGESTS
from pipeline.errors import GuestfarmError
from pipeline.image.files.content import Chunks, Clone
from pipeline.image.files.publish import dated

Inputs = Mapping[str, Json | Callable[[], Json]]
"""What an artifact is made from besides files, by name; a callable is asked only when the answer is needed."""

File = str | os.PathLike[str]
"""A path; as text it costs a farm of ten thousand guests a tenth of what a Path does."""

Build = Callable[[], Clone | None]
"""What builds an artifact, and may say that it is a clone: then its digest follows from that of the other."""
_RECIPE = "recipe"

KEYS = "keys"
"""The name, in our record, of the keys of the guest list that the artifact followed from."""

SECONDS = "seconds"
"""The name, among the values that doit keeps for a task, of the time that it took."""


class Keys(NamedTuple):
    """What of the guest list an artifact follows from, by the keys there, for people."""

    values: Callable[[], dict[str, Json]]
    """The values, as one would write them in the list."""
    follow: Mapping[str, Collection[str]]
    """For a key, the inputs that differ when its value does; FILES among them are the names of files."""
    others: Collection[str] = ()
    """The same for keys that are not in `follow`."""


FILES = "files that it is made from"
"""In Keys, what stands for the names of the files that an artifact is made from."""

EVERYTHING = "*"
"""In Keys, what stands for all inputs but the recipe."""


class Artifact(NamedTuple):
    """One that a task makes; see artifact()."""

    name: str
    doc: str
    build: Build
    targets: list[str]
    files: list[str]
    tasks: list[str]
    guest: str | None
    inputs: Inputs
    space: Space | None
    on_request: bool
    keys: Keys | None


Tasks = Iterator[Artifact]
"""What a task creator of a dodo.py yields."""


def artifact(  # noqa: PLR0913  # as many facts as an artifact has
    name: str,
    doc: str,
    build: Build,
    *,
    targets: Sequence[File],
    files: Sequence[File] = (),
    tasks: Sequence[str] = (),
    guest: str | None = None,
    inputs: Inputs,
    space: Space | None = None,
    on_request: bool = False,
    keys: Keys | None = None,
) -> Artifact:
    """An artifact that `build` makes, `targets` of `files` and `inputs`; it is stale when one of these changes.

    `tasks` come before it, besides those that make `files`. With a `guest`, it is what it is whatever other guests are.
    The `keys` of the list that it follows from are told when they change, instead of what follows from them.
    One `on_request` is made only when it is asked for by name.
    A GuestfarmError of `build` is the failure of its task, without a traceback.
    """
    made, read = [os.fspath(path) for path in targets], [os.fspath(path) for path in files]
    return Artifact(name, doc, build, made, read, [*tasks], guest, inputs, space, on_request, keys)


def _takes(*names: str) -> Signature:
    """The signature of what is called with these; doit asks for it before each call, and would have it worked out."""
    return Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])


class Recorded:
    """Whether an artifact was made from the same inputs as it would be now; puts on record what it was made from."""

    __slots__ = ("_changes", "_inputs", "_keys")
    __signature__ = _takes("task", "values")

    def __init__(self, inputs: Inputs, keys: Keys | None = None) -> None:
        self._inputs = inputs
        self._keys = keys
        self._changes: list[str] | None = None

    def __call__(self, task: Task, values: Mapping[str, Any]) -> bool:
        """What doit asks for a task that has `values` on record."""
        self._changes = self.changes(values)
        return not self._changes

    @property
    def last_changes(self) -> list[str]:
        """What the last answer was for."""
        return self._changes or []

    def __repr__(self) -> str:
        """What `doit info` says of it."""
        return "; ".join(self.last_changes) or "made from the same inputs"

    def changes(self, values: Mapping[str, Any]) -> list[str]:
        """How the inputs differ from those among the `values` on record, in words; empty if they do not."""
        record = values.get(RECORD)
        if record is None:
            return ["never built"]
        recorded, now = record["inputs"], self.now()
        return [] if recorded == now else differences(recorded, now) or ["its inputs changed"]

    def other_changes(self, values: Mapping[str, Any], follow: Collection[str]) -> list[str]:
        """The same without the inputs that `follow` from what is told already."""
        recorded, now = values[RECORD]["inputs"], self.now()
        kept = {name for name in {**recorded, **now} if not {name, EVERYTHING} & {*follow} or name == _RECIPE}
        before, after = ({name: each[name] for name in each if name in kept} for each in (recorded, now))
        return differences(before, after)

    def changed_keys(self, values: Mapping[str, Any]) -> tuple[list[str], Collection[str]]:
        """How keys of the guest list differ from those among the `values` on record, in words; and what follows."""
        recorded = values.get(RECORD, {}).get(KEYS)
        now = self.keys()
        if recorded is None or self._keys is None or now is None:
            return [], ()
        names = [name for name in {**recorded, **now} if recorded.get(name) != now.get(name)]
        follow = {each for name in names for each in self._keys.follow.get(name, self._keys.others)}
        return differences(recorded, now), follow

    def keys(self) -> dict[str, Json] | None:
        """The keys of the guest list that it follows from, with their values; None if that is not known."""
        return None if self._keys is None else self._keys.values()

    def now(self) -> dict[str, Json]:
        """What the artifact would be made from now."""
        return {name: value() if callable(value) else value for name, value in self._inputs.items()}


class Building:
    """The action of an artifact's task: to build it, and tell how long that took."""

    __slots__ = ("_build", "_is_shared")
    __signature__ = _takes("task")

    def __init__(self, build: Build, *, is_shared: bool) -> None:
        self._build = build
        self._is_shared = is_shared

    def __call__(self, task: Task) -> TaskFailed | dict[str, Any]:
        """What doit calls to have the artifact of `task` built; a GuestfarmError is the failure of the task."""
        before, started = stamps(task.file_dep), monotonic()
        with logs.recorded(task.name) as log:
            try:
                with nullcontext() if task.dated is None else dated(task.dated):
                    clone = self._build()
                digests = {target: self._digest(task, target, clone) for target in task.targets}
            except GuestfarmError as error:
                log.write(f"{error}\n")
                return TaskFailed(str(error), report=True)
            except OSError as error:  # what the system refuses is no mistake of ours
                log.write(traceback.format_exc())
                return TaskFailed(of_system(error), report=True)
        changed = [file for file, stamp in stamps(task.file_dep).items() if stamp != before.get(file)]
        if changed:
            return TaskFailed(f"{', '.join(changed)} changed while it was read; run doit again")
        return {SECONDS: round(monotonic() - started, 3), DIGESTS: digests}

    def _digest(self, task: Task, target: str, clone: Clone | None) -> str:
        """The digest of what was made, by which it can be told from what a guest made of it, wherever it is then."""
        path, checker = Path(target), Globals.dep_manager.checker
        try:
            if clone is not None and clone.image == path:
                return str(checker.chunks(clone.base).of_clone(path, clone.written).digest())
            if path.stat().st_nlink > 1:
                source = next((file for file in task.file_dep if path.samefile(file)), None)
                if source is not None:
                    return str(checker.content(source))
            return str((checker.chunks(path) if self._is_shared else Chunks.of(path)).digest())
        except OSError as error:
            raise GuestfarmError(f"{target}: {error.strerror}") from error
