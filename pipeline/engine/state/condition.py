"""In what condition artifacts are, and why: the rules by which doit runs their tasks, told without running any."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from doit.dependency import Dependency

from pipeline.engine.artifact.artifact import EVERYTHING, FILES
from pipeline.engine.artifact.targets import RECORD, Targets, compared
from pipeline.engine.artifact.task import ArtifactTask
from pipeline.engine.run.user_errors import of_system
from pipeline.engine.state.freshness import fresh


class State(StrEnum):
    """What an artifact is."""

    FRESH = "fresh"
    STALE = "stale"
    """What it is made from changed: the next run makes it anew."""
    MISSING = "missing"
    """It is not there, or not all of it: the next run makes it."""
    MODIFIED = "modified"
    """Somebody wrote to it, or made it: the next run leaves it alone, and says so."""
    UNREADABLE = "unreadable"
    """This user may not read it, or what it is made from."""
    IGNORED = "ignored"
    """`doit ignore` has runs leave it as it is."""


_MADE = (State.STALE, State.MISSING)
"""The states of what the next run makes."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of a task's artifact."""

    state: State
    reasons: tuple[str, ...] = ()
    """Why it is not fresh, in words."""
    causes: tuple[str, ...] = ()
    """The tasks whose artifacts it is made from, and that will be made before it."""


FRESH = Condition(State.FRESH)


def conditions(tasks: Iterable[ArtifactTask], dependency: Dependency) -> dict[str, Condition]:
    """The condition of each task's artifact by the task's name; `tasks` come after those that they depend on."""
    tasks = list(tasks)
    known = fresh(tasks, dependency.backend, dependency.checker.digest)
    found: dict[str, Condition] = {}
    makers: dict[str, str] = {}
    for task in tasks:
        try:
            found[task.name] = _condition(task, dependency, makers, found, known)
        except PermissionError as error:  # another user's
            found[task.name] = Condition(State.UNREADABLE, (of_system(error),))
        makers.update(dict.fromkeys(task.targets, task.name))
    return found


def _condition(
    task: ArtifactTask,
    dependency: Dependency,
    makers: Mapping[str, str],
    found: Mapping[str, Condition],
    known: Collection[str],
) -> Condition:
    made_first = {makers[file] for file in task.file_dep if file in makers}
    causes = tuple(sorted(maker for maker in made_first if found[maker].state in _MADE))
    if dependency.status_is_ignore(task):
        return Condition(State.IGNORED, ("doit ignore said so",))
    if task.name in known and not causes:
        return FRESH
    targets = compared(task, dependency)
    if targets.touched:
        return Condition(State.MODIFIED, tuple(_of_touched(targets)))
    if targets.unfinished or RECORD not in dependency.get_values(task.name):
        begun = targets.unfinished or dependency.backend.is_begun(task.name)
        return Condition(State.MISSING, ("forgotten, or interrupted" if begun else "never built",), causes)
    return _condition_of_record(task, dependency, makers, causes)


def _of_touched(targets: Targets) -> Iterator[str]:
    for path in targets.touched:
        yield f"{path} {'is not on record as it is' if path in targets.unknown else 'was modified since it was made'}"


def _condition_of_record(
    task: ArtifactTask, dependency: Dependency, makers: Mapping[str, str], causes: tuple[str, ...]
) -> Condition:
    """The condition of an artifact that was built, and that nobody has touched since."""
    log = dependency.get_status(task, {}, get_log=True)
    if log.status == "up-to-date" and not causes:
        return FRESH
    if "missing_target" in log.reasons:
        return Condition(State.MISSING, tuple(f"{file} is missing" for file in log.reasons["missing_target"]), causes)
    values = dependency.get_values(task.name)
    return Condition(State.STALE, tuple(_words(task, log.reasons, makers, causes, values)), causes)


def _words(
    task: ArtifactTask,
    reasons: Mapping[str, Sequence[str]],
    makers: Mapping[str, str],
    causes: Collection[str],
    values: Mapping[str, Any],
) -> Iterator[str]:
    """Why `task`, which has `values` on record, would run, apart from that artifacts of `causes` are made before it.

    Keys of the guest list come first; what follows from them is not told.
    """
    kind = task.name.partition(":")[0]
    keys, follow = task.made_from.changed_keys(values)
    yield from keys
    changes = task.made_from.other_changes(values, follow) if keys else task.made_from.last_changes
    for change in changes:
        yield f"recipe of {kind}{change.removeprefix('recipe')}" if change.startswith("recipe changed") else change
    words = {
        "added_file_dep": "is new among what it is made from",
        "removed_file_dep": "is no longer among what it is made from",
        "missing_file_dep": "is missing",
        "changed_file_dep": "changed",
    }
    for reason, word in words.items():
        for file in sorted(reasons.get(reason, ())):
            maker = makers.get(file)
            if maker in causes or (reason == "changed_file_dep" and file in reasons.get("added_file_dep", ())):
                continue
            if {FILES, EVERYTHING} & {*follow} and reason in ("added_file_dep", "removed_file_dep"):
                continue
            yield f"{maker.replace(':', ' ', 1) if maker else file} {word}"
