"""Whether artifacts are still what their tasks made: a guest may have run on one, and its data must not be lost.

A target is its task's own, and may be replaced, if it can be proved that nobody else has written to it:

- it has the size, mtime, inode and write permissions that were put on record when it was made;
- or it has the mtime of a run that did not end well: all that the run published has that, and nothing else;
- or it is a further name of a file that the task depends on;
- or it has the contents that it was made with, as after a farm was copied or restored; to know that, all of it is read;
- or the user named its task to have it forgotten, and it has not changed since.

What is on record stays so when a task is forgotten, starts or fails. Where nothing is on record, nothing is proved.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from doit.dependency import Dependency
from doit.task import Task

from pipeline.engine.state.record import RECORD, Stamp
from pipeline.engine.state.state import Known, State
from pipeline.errors import GuestfarmError

__all__ = ["RECORD", "Targets", "compared", "explanation", "not_ours", "stamps"]

_SIZE, _MTIME, _INODE, _MODE = range(4)
"""The parts of a stamp."""


def stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    """Size, time, inode and write permissions of those of `paths` that are there, to be compared later."""
    found = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116  # a Path would double the cost of checking a whole farm
        except (FileNotFoundError, NotADirectoryError):
            continue
        found[path] = [status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode & 0o222]
    return found


@dataclass(slots=True)
class Targets:
    """Those targets of a task that are there, but do not have the stamps that are on record."""

    touched: list[str] = field(default_factory=list)
    """Somebody wrote to them, or made them, for all that is known."""
    unknown: list[str] = field(default_factory=list)
    """Those of them of which it is not on record how they were made, or, by an earlier version, what was in them."""
    moved: dict[str, Stamp] = field(default_factory=dict)
    """They have the contents that they were made with, and these stamps: as after a copy."""
    unfinished: list[str] = field(default_factory=list)
    """They are the task's own, but not as it finished them, or not to be kept: it has to run."""


def compared(task: Task, dependency: Dependency) -> Targets:
    """How the targets of `task` differ from what is on record."""
    state: State = dependency.backend
    found = Targets()
    there = stamps(task.targets)
    on_record = dependency.get_values(task.name).get(RECORD, {}).get("targets", {})
    odd = {path: stamp for path, stamp in there.items() if stamp != on_record.get(path)}
    if not odd:
        return found
    known = state.known(task.name)
    sources = stamps(task.file_dep)
    content: Callable[[str], str] = dependency.checker.content
    for path, stamp in odd.items():
        if stamp == known.targets.get(path):
            continue
        # That of a further name is known by the first.
        source = next((file for file, other in sources.items() if other == stamp), path)
        if stamp == known.named.get(path) or state.is_unfinished(stamp[_MTIME]):
            found.unfinished.append(path)
        elif is_as_made(path, stamp, known, partial(_of_source, content, source)):
            found.moved[path] = stamp
        elif source != path or stamp in known.sources:
            found.unfinished.append(path)
        else:
            found.touched.append(path)
            made = known.targets.get(path)
            if made is None or (path not in known.digests and is_alike(stamp, made)):
                found.unknown.append(path)
    return found


def is_alike(stamp: Stamp, made: Stamp) -> bool:
    """Whether a file may be the copy of one, for all that stamps can tell."""
    return (stamp[_SIZE], stamp[_MODE]) == (made[_SIZE], made[_MODE])


def is_as_made(path: str, stamp: Stamp, known: Known, content: Callable[[str], str]) -> bool:
    """Whether the file at `path`, which has this stamp, is what is `known` of it, wherever it may have been copied.

    `content` gives the digest of the contents of a file. Raises GuestfarmError where it cannot be read.
    """
    made = known.targets.get(path)
    if made is None or stamp == made:
        return made is not None
    if path not in known.digests or not is_alike(stamp, made):
        return False
    try:
        return content(path) == known.digests[path]
    except OSError as error:
        raise GuestfarmError(f"{path}: {error.strerror}") from error


def _of_source(content: Callable[[str], str], source: str, _name: str) -> str:
    return content(source)


def not_ours(task: Task, dependency: Dependency) -> list[str]:
    """The targets of `task` that are there but not as it made them: somebody wrote to them, or made them."""
    return compared(task, dependency).touched


def explanation(task: Task, targets: Targets) -> str:
    """What to tell the user about targets that are not ours, and the ways out."""
    names = ", ".join(targets.touched)
    if targets.unknown:
        return (
            f"{names}: not on record as it is, perhaps since a guest ran on it, and so left alone; "
            f"move it away, or all that is built, to keep it, or have it overwritten by: doit forget {task.name}"
        )
    return (
        f"{names}: modified since it was made, perhaps by a guest that ran on it, and so left alone; "
        f"move it away to keep it, or have it made anew by: doit forget {task.name}"
    )
