"""From an artifact to a doit task: what it is made from, where it goes, and whether it is still what was made."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from doit.exceptions import TaskFailed
from doit.globals import Globals
from doit.task import Task

from pipeline.doit_glue.space import META, Space
from pipeline.doit_glue.targets import RECORD, explanation, not_ours, stamps
from pipeline.errors import GuestfarmError
from pipeline.image.usage import check_unused

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
"""What can be put on record."""

Inputs = Mapping[str, Json | Callable[[], Json]]
"""What an artifact is made from besides files, by name; a callable is asked only when the answer is needed."""

Tasks = Iterator[dict[str, Any]]
"""What a task creator of doit's yields."""


def artifact(  # noqa: PLR0913  # as many facts as an artifact has
    name: str,
    doc: str,
    build: Callable[[], None],
    *,
    targets: Sequence[Path],
    files: Sequence[Path] = (),
    inputs: Inputs,
    space: Space | None = None,
) -> dict[str, Any]:
    """The doit task in which `build` makes `targets` of `files` and `inputs`; it is stale when one of these changes.

    A GuestfarmError of `build` is the failure of its task, without a traceback.
    """
    return {
        "name": name,
        "doc": doc,
        "actions": [(_run, [build])],
        "targets": [str(target) for target in targets],
        "file_dep": [str(file) for file in files],
        "uptodate": [_Recorded(inputs)],
        "clean": [_clean],
        "meta": {META: space} if space else None,
        # With threads, doit's capturing of output would swap sys.stdout under the other tasks' feet.
        "io": {"capture": False},
    }


class _Recorded:
    """Whether an artifact was made from the same inputs as it would be now; puts on record what it was made from."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._changes: list[str] = []

    def configure_task(self, task: Task) -> None:
        """Have doit put ours on record after the task has succeeded; doit calls this."""
        task.value_savers.append(lambda: {RECORD: {"inputs": self._now(), "targets": stamps(task.targets)}})

    def __call__(self, task: Task, values: Mapping[str, Any]) -> bool:
        """What doit asks for a task that has `values` on record."""
        recorded = values.get(RECORD, {}).get("inputs")
        self._changes = _changes(recorded, self._now())
        return not self._changes

    def __repr__(self) -> str:
        """What `doit info` says of it."""
        return "; ".join(self._changes) or "made from the same inputs"

    def _now(self) -> dict[str, Json]:
        return {name: value() if callable(value) else value for name, value in self._inputs.items()}


def _changes(recorded: Mapping[str, Json] | None, now: Mapping[str, Json]) -> list[str]:
    if recorded is None:
        return ["never built"]
    names = [name for name in {**recorded, **now} if recorded.get(name) != now.get(name)]
    return [f"{name} changed from {recorded.get(name)} to {now.get(name)}" for name in names]


def _run(build: Callable[[], None], task: Task) -> TaskFailed | None:
    before = stamps(task.file_dep)
    try:
        build()
    except GuestfarmError as error:
        return TaskFailed(str(error), report=True)
    changed = [file for file, stamp in stamps(task.file_dep).items() if stamp != before.get(file)]
    if changed:
        return TaskFailed(f"{', '.join(changed)} changed while it was read; run doit again")
    return None


def _clean(task: Task, dryrun: bool) -> None:
    touched = not_ours(task, Globals.dep_manager)
    if touched:
        print(f"{task.name} - {explanation(task, touched)}")
    for target in map(Path, task.targets):
        if target.exists() and str(target) not in touched:
            print(f"{task.name} - removing file '{target}'")
            if not dryrun:
                check_unused(target)
                target.unlink()
                _remove_if_empty(target.parent)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # there is something else in it
        return
