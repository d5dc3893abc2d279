"""`doit manifest` writes down what artifacts are; `doit verify` reads them all again, and compares."""

import os
import sys
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain, starmap
from pathlib import Path
from typing import Any

from doit.cmd_base import tasks_and_deps_iter
from doit.task import Task

from pipeline import signals
from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.site_command import SiteCommand
from pipeline.engine import ArtifactTask
from pipeline.engine.artifact.targets import RECORD, not_ours
from pipeline.engine.run.user_errors import of_system
from pipeline.errors import GuestfarmError
from pipeline.image.files.publish import is_draft
from pipeline.model.guest import Guest
from pipeline.tasks import manifest, ownership, single_file
from pipeline.tasks.guest import names
from pipeline.tasks.manifest import Artifact
from pipeline.tasks.ownership import writing_manifests

_READERS = {
    "name": "readers",
    "short": "n",
    "long": "process",
    "type": WholeNumber(1, MOST_PROCESSES),
    "default": 1,
    "help": "how many guests to read at a time [default: %(default)s]",
}


SHARED = "what guests share"
"""The name of a part of build/ that is no guest's."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of build/ that has a manifest of its own."""

    name: str
    """The guest whose it is; empty for what guests share."""
    folder: Path
    tasks: Sequence[Task]
    """What makes its files."""


class _GuestsCommand(SiteCommand):
    """A command that reads artifacts, those of several guests at a time, and says a line for each guest.

    Without names it reads what guests share, too.
    """

    takes_guests = True
    doc_usage = "[GUEST ...]"
    cmd_options = (_READERS,)

    def _execute(self, readers: int, pos_args: list[str]) -> int:
        tasks = self.tasks
        made = {*self.dep_manager.backend.tasks()}
        parts = [
            Part(guest.name, self.site.guest(guest), [tasks[name] for name in _names(guest, made)])
            for guest in self.guests(pos_args)
        ]
        if not pos_args:
            parts.append(Part("", self.site.build, [task for task in tasks.values() if _is_shared(task)]))
        failed = False
        with ThreadPoolExecutor(max(1, readers)) as pool:
            try:
                for number, lines in enumerate(pool.map(partial(self._tried, tasks), parts), 1):
                    failed = failed or bool(lines)
                    for line in lines or [f"{parts[number - 1].name or SHARED}: {self.done}"]:
                        self.outstream.write(f"[{number}/{len(parts)}] {line}\n")
                    self.outstream.flush()
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr, flush=True)
                os._exit(signals.INTERRUPTED)  # the threads end with us; they may be in the midst of large disks
        return 1 if failed else 0

    done: str
    """What to say of a guest with which all is well."""

    def _tried(self, tasks: dict[str, Task], part: Part) -> Sequence[str]:
        try:
            return self.problems(part, tasks)
        except GuestfarmError as error:
            return [str(error)]
        except OSError as error:
            return [f"{part.name or SHARED}: {of_system(error)}"]

    @abstractmethod
    def problems(self, part: Part, tasks: dict[str, Task]) -> Sequence[str]:
        """Do it for one part of build/, and tell what went wrong, one line each."""


class Manifest(_GuestsCommand):
    """Hashes artifacts."""

    name = "manifest"
    doc_purpose = "write down size, SHA-256 and origin of artifacts, in a manifest.json for each guest"
    doc_description = "Without names, also of what guests share: masters, bases, kernels, known_hosts."
    done = "written"

    def _execute(self, readers: int, pos_args: list[str]) -> int:
        self.dep_manager.backend.lock.acquire()  # what is written down must not change meanwhile
        with writing_manifests(self.site.build):
            return super()._execute(readers, pos_args)

    def problems(self, part: Part, tasks: dict[str, Task]) -> Sequence[str]:
        """Write the manifest of a part that is fully built."""
        name = part.name or SHARED
        for task in part.tasks:
            if not self.dep_manager.get_values(task.name) or not all(Path(target).exists() for target in task.targets):
                return [f"{name}: {task.name} is not built; run doit first"]
            if touched := not_ours(task, self.dep_manager):
                return [f"{name}: {', '.join(touched)}: modified since it was made"]
        artifacts = {Path(target): Artifact.of(Path(target)) for task in part.tasks for target in task.targets}
        before = tasks_and_deps_iter(tasks, [task.name for task in part.tasks])
        # What guests share depends on all of their keys, which are written down with the guests.
        own = [task for task in before if isinstance(task, ArtifactTask) and task.entry.guest in (None, part.name)]
        origin = {task.name: self._inputs(task) for task in own}
        manifest.write(part.folder, artifacts, origin)
        return []

    def _inputs(self, task: Task) -> Any:  # noqa: ANN401  # whatever is on record
        return self.dep_manager.get_values(task.name).get(RECORD, {}).get("inputs", {})


class Verify(_GuestsCommand):
    """Reads artifacts again."""

    name = "verify"
    only_looks = True
    doc_purpose = "read artifacts again, and compare them with what doit manifest wrote down"
    doc_description = "Without names, all of build/; then files that nothing has made are told, too."
    done = "as written down"

    def problems(self, part: Part, tasks: dict[str, Task]) -> Sequence[str]:
        """What differs from the manifest, and what should not be there."""
        strangers = [] if part.name else list(self._strangers(tasks.values()))
        try:
            recorded = manifest.read(part.folder, part.name)
        except GuestfarmError as error:
            return [str(error), *strangers]
        return [*chain.from_iterable(starmap(_difference, recorded.items())), *strangers]

    def _strangers(self, tasks: Iterable[Task]) -> Iterator[str]:
        """A line for each file in build/ that neither a task nor a command has made."""
        build = self.site.build
        made = {target for task in tasks for target in task.targets}
        folders = [build, *(self.site.guest(guest) for guest in self.site.farm.guests.values())]
        made |= {str(folder / manifest.NAME) for folder in folders}
        for path in ownership.files(build):
            if str(path) not in made:
                how = "a killed run left it: the next doit removes it" if is_draft(path.name) else "nothing has made it"
                yield f"{path}: {how}"


def _difference(path: Path, recorded: Artifact) -> list[str]:
    problem = recorded.difference(path)
    return [f"{path}: {problem}"] if problem else []


def _names(guest: Guest, made: Collection[str]) -> list[str]:
    return [*names(guest), *(name for name in single_file.names(guest) if name in made)]


def _is_shared(task: Task) -> bool:
    return isinstance(task, ArtifactTask) and task.entry.guest is None
