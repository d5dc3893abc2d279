"""What a run says: a line for each artifact as it is built, failures with the next step, and a summary at the end."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import Any, TextIO

from doit.exceptions import BaseFail, TaskError, UnmetDependency
from doit.globals import Globals
from doit.reporter import ConsoleReporter
from doit.task import Task

from pipeline import signals
from pipeline.engine.artifact.task import ArtifactTask
from pipeline.engine.run import logs
from pipeline.engine.run.output_lock import turn
from pipeline.engine.run.progress import Forecast, size
from pipeline.engine.run.user_errors import REPORT
from pipeline.engine.state.freshness import with_dependencies
from pipeline.errors import counted
from pipeline.model.sizes import approximate_size


class Reporter(ConsoleReporter):  # type: ignore[misc]  # doit has no types
    """doit's reporter of runs. Others are chosen as doit has it: `doit -r console`."""

    desc = "Guestfarm's: what is built, live on terminals, and a summary"

    def __init__(self, outstream: TextIO, options: Mapping[str, Any]) -> None:
        super().__init__(outstream, options)
        self._tasks: dict[str, Task] = {}
        self._selected: Sequence[str] = ()
        self._began: dict[str, tuple[float, float]] = {}
        self._counts = {"built": 0, "fresh": 0, "ignored": 0, "failed": 0, "not built": 0}
        self._written = 0
        self._started = monotonic()
        self._display: Any = None
        self._timeline: logs.LogFile | None = None
        self._starting = Lock()  # with -P thread, each task starts in a thread of its own

    def write(self, text: str) -> None:
        """Print whole lines."""
        with turn():
            self.outstream.write(text)
            self.outstream.flush()

    def initialize(self, tasks: dict[str, Task], selected: Sequence[str]) -> None:
        """Remember what there is to do."""
        self._tasks = tasks
        self._selected = selected

    def execute_task(self, task: Task) -> None:
        """A task starts."""
        if not task.actions:
            return
        with self._starting:
            if not self._began:
                self._begin()
            self._began[task.name] = (monotonic(), time())
        if self._display is None:
            self.write(f".  {task.title()}\n")
        else:
            self._display.start(task.name)

    def add_success(self, task: Task) -> None:
        """A task has done what it had to."""
        if task.name not in self._began:  # a group's
            return
        self._counts["built"] += 1
        written = size(task)
        self._written += written
        self._note(task, "built", written)
        if self._display is not None:
            self._display.end(task.name, f".  {task.title()}")

    def add_failure(self, task: Task, fail: BaseFail) -> None:
        """A task failed, or cannot start."""
        if isinstance(fail, UnmetDependency):
            self._counts["not built"] += task.has_subtask is False
            return
        self._counts["failed"] += 1
        self.failures.append({"task": task, "exception": fail})
        self._note(task, "failed", 0)
        text = f"x  {task.title()}: {_cause(task, fail)}"
        if self._display is None:
            self.write(f"{text}\n")
        else:
            self._display.end(task.name, text)

    def skip_uptodate(self, task: Task) -> None:
        """A task has nothing to do."""
        self._counts["fresh"] += isinstance(task, ArtifactTask)

    def skip_ignore(self, task: Task) -> None:
        """A task is to be ignored."""
        self._counts["ignored"] += 1

    def complete_run(self) -> None:
        """The end, however it came: failures once more, and the summary."""
        if self._display is not None:
            self._display.close()
        if self._timeline is not None:
            self._timeline.close()
        if self.failures:
            self.write("\nfailed:\n")
        for failure in self.failures:
            task = failure["task"]
            self.write(f"  {task.title()}: {_cause(task, failure['exception'])}\n")
            if task.name in self._began and logs.path(task.name).exists():
                self.write(f"    its log: {_short(logs.path(task.name))}\n")
        for message in self.runtime_errors:
            self.write(f"{message}\n")
        self.write(f"{self._summary()}\n")

    def _summary(self) -> str:
        counts = {name: count for name, count in self._counts.items() if count}
        begun = (
            len(self._began) - self._counts["built"] - sum(each["task"].name in self._began for each in self.failures)
        )
        if begun:
            counts["interrupted"] = begun
        if sys.exception() is not None:  # it comes from a run that ends early, and may not have heard of all
            counts = {"built": 0, **counts}
        if not counts.keys() - {"fresh", "ignored"}:
            ignored = f", {counts['ignored']} ignored" if "ignored" in counts else ""
            return f"nothing to do: {counted(counts.get('fresh', 0), 'artifact')} fresh{ignored}"
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        seconds = monotonic() - self._started
        written = approximate_size(self._written)
        return f"{told} in {seconds:.1f} s, {written} written; logs are in {_short(logs.folder())}"

    def _begin(self) -> None:
        """Before the first task: open the timeline and, on a terminal where nothing else is shown, the display."""
        self._timeline = logs.LogFile(logs.folder() / logs.LAST_RUN)
        if not logs.echoed() and self.outstream is sys.stdout and sys.stdout.isatty():
            # Python takes a KeyboardInterrupt that comes while it imports for one that nobody will handle.
            with signals.late():
                from pipeline.engine.run.display import Display  # noqa: PLC0415  # it takes long, and most runs need none

            tasks = with_dependencies(self._tasks, self._selected)
            self._display = Display(Forecast(tasks, Globals.dep_manager))
            self._display.open()

    def _note(self, task: Task, outcome: str, written: int) -> None:
        if self._timeline is not None and task.name in self._began:
            began, at = self._began[task.name]
            line = {
                "task": task.name,
                "outcome": outcome,
                "start": at,
                "seconds": monotonic() - began,
                "bytes": written,
            }
            self._timeline.write(json.dumps(line) + "\n")


def _short(path: Path) -> str:
    """`path` as seen from where doit is, where that is above it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _cause(task: Task, fail: BaseFail) -> str:
    """Why it failed, for people: a mistake of ours has its traceback in the log."""
    message = str(fail.message).removeprefix(f"ERROR: Task '{task.name}' checking dependencies: ").strip()
    if isinstance(fail, TaskError) and fail.traceback:
        last = "".join(fail.traceback).strip().splitlines()[-1]
        return f"an error of Guestfarm's own: {last}; {REPORT}, with its log"
    return message.replace("\n", "\n  ")
