"""Logs: for each task what its programs printed and how it failed, and for the last run when each task ran."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TextIO

from doit.globals import Globals

from pipeline import process
from pipeline.engine.run import output_lock
from pipeline.errors import ImageError
from pipeline.image.files.private import open_log
from pipeline.process import Log

LAST_RUN = "last-run.jsonl"
"""A line for each task of the last run that built something: a JSON object, see reporter.py."""

_echoed = False


def echo() -> None:
    """From now on, show on the standard output, too, what goes into tasks' logs."""
    global _echoed  # noqa: PLW0603  # doit has no way to pass an option of the run to actions, nor to its workers
    _echoed = True
    output_lock.share()


def echoed() -> bool:
    """Whether echo() was called."""
    return _echoed


def folder() -> Path:
    """Where this farm's logs are."""
    return _beside(Globals.dep_manager.name)


@cache
def _beside(state: str) -> Path:
    return Path(state).parent / "logs"


def path(task: str) -> Path:
    """The log of `task`; it is there only if there was something to write."""
    return folder() / f"{task.replace(':', '/')}.log"


@contextmanager
def recorded(task: str) -> Iterator[Log]:
    """A new log for `task`, into which goes what programs print in the block, and the exception that ends it."""
    log = LogFile(path(task), task)
    try:
        with process.logged(log):
            yield log
    except Exception:
        log.write(traceback.format_exc())
        raise
    finally:
        log.close()


class LogFile:
    """A file for its owner alone that is made only when something is written to it; most tasks run no program.

    A disk that is full takes no logs, which is no reason to fail: what there is no room for is lost. So is what would
    go to where another user's link leads.
    """

    def __init__(self, path: Path, task: str | None = None) -> None:
        """The log at `path`, where there is none; that of a `task` is one of those that echo() is about."""
        self._path = path
        self._task = task
        self._file: TextIO | None = None
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def write(self, text: str) -> int:
        """Add `text`."""
        if self._task is not None and _echoed:
            with suppress(OSError), output_lock.turn():  # the run itself prints, too, and finds out that it cannot
                sys.stdout.writelines(f"{self._task}: {line}\n" for line in text.splitlines())
                sys.stdout.flush()
        with suppress(OSError, ImageError):
            if self._file is None:
                descriptor = open_log(self._path)
                self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace")
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Have what was written be seen."""
        with suppress(OSError):
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        """No more is written."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
