"""`doit manifest` writes down what guests' artifacts are; `doit verify` reads them all again, and compares."""

import os
import sys
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from doit.cmd_base import tasks_and_deps_iter
from doit.task import Task

from pipeline import signals
from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.site_command import SiteCommand
from pipeline.engine.artifact.targets import RECORD, not_ours
from pipeline.engine.run.user_errors import of_system
from pipeline.errors import GuestfarmError
from pipeline.model.guest import Guest
from pipeline.tasks import manifest
from pipeline.tasks.guest import names
from pipeline.tasks.manifest import Artifact

_READERS = {
    "name": "readers",
    "short": "n",
    "long": "process",
    "type": WholeNumber(1, MOST_PROCESSES),
    "default": 1,
    "help": "how many guests to read at a time [default: %(default)s]",
}


class _GuestsCommand(SiteCommand):
    """A command that reads guests' artifacts, several guests at a time, and says a line for each."""

    takes_guests = True
    doc_usage = "[GUEST ...]"
    cmd_options = (_READERS,)

    def _execute(self, readers: int, pos_args: list[str]) -> int:
        guests = self.guests(pos_args)
        tasks = self.tasks
        failed = False
        with ThreadPoolExecutor(max(1, readers)) as pool:
            try:
                for number, lines in enumerate(pool.map(partial(self._tried, tasks), guests), 1):
                    failed = failed or bool(lines)
                    for line in lines or [f"{guests[number - 1].name}: {self.done}"]:
                        self.outstream.write(f"[{number}/{len(guests)}] {line}\n")
                    self.outstream.flush()
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr, flush=True)
                os._exit(signals.INTERRUPTED)  # the threads end with us; they may be in the midst of large disks
        return 1 if failed else 0

    done: str
    """What to say of a guest with which all is well."""

    def _tried(self, tasks: dict[str, Task], guest: Guest) -> Sequence[str]:
        try:
            return self.problems(guest, [tasks[name] for name in names(guest)], tasks)
        except GuestfarmError as error:
            return [str(error)]
        except OSError as error:
            return [f"{guest.name}: {of_system(error)}"]

    @abstractmethod
    def problems(self, guest: Guest, own: Sequence[Task], tasks: dict[str, Task]) -> Sequence[str]:
        """Do it for one guest, whose `own` tasks these are, and tell what went wrong, one line each."""


class Manifest(_GuestsCommand):
    """Hashes guests' artifacts."""

    name = "manifest"
    doc_purpose = "write down size, SHA-256 and origin of guests' artifacts, in manifest.json beside them"
    done = "written"

    def problems(self, guest: Guest, own: Sequence[Task], tasks: dict[str, Task]) -> Sequence[str]:
        """Write the manifest of a guest that is fully built."""
        for task in own:
            if not self.dep_manager.get_values(task.name) or not all(Path(target).exists() for target in task.targets):
                return [f"{guest.name}: {task.name} is not built; run doit first"]
            if touched := not_ours(task, self.dep_manager):
                return [f"{guest.name}: {', '.join(touched)}: modified since it was made"]
        artifacts = {Path(target): Artifact.of(Path(target)) for task in own for target in task.targets}
        origin = {task.name: self._inputs(task) for task in tasks_and_deps_iter(tasks, [task.name for task in own])}
        manifest.write(self.site.guest(guest), artifacts, origin)
        return []

    def _inputs(self, task: Task) -> Any:  # noqa: ANN401  # whatever is on record
        return self.dep_manager.get_values(task.name).get(RECORD, {}).get("inputs", {})


class Verify(_GuestsCommand):
    """Reads guests' artifacts again."""

    name = "verify"
    only_looks = True
    doc_purpose = "read guests' artifacts again, and compare them with what doit manifest wrote down"
    done = "as written down"

    def problems(self, guest: Guest, own: Sequence[Task], tasks: dict[str, Task]) -> Sequence[str]:
        """What differs from the manifest."""
        recorded = manifest.read(self.site.guest(guest))
        return [f"{path}: {problem}" for path, artifact in recorded.items() if (problem := _difference(path, artifact))]


def _difference(path: Path, recorded: Artifact) -> str:
    if not path.exists():
        return "is missing"
    now = Artifact.of(path)
    if now.size != recorded.size:
        return f"has {now.size} bytes, and had {recorded.size}"
    return "" if now.sha256 == recorded.sha256 else f"SHA-256 is {now.sha256}, and was {recorded.sha256}"
