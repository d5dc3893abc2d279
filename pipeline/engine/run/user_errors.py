"""How errors that the user can mend are shown: as their message alone, and by their own exit code; and warnings."""

import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand, InvalidDodoFile, InvalidTask

from pipeline import signals
from pipeline.engine.run.descriptors import drop
from pipeline.errors import GuestfarmError, Problem

USER_ERROR = 2
"""The exit code for an error that the user can mend."""

BUG = 3
"""The exit code for an error that only a programmer can mend, which is doit's for what it does not expect."""

REPORT = "please report it to those who publish Guestfarm"
"""What to do about an error of Guestfarm's own."""

_PACKAGE = Path(__file__).parents[2]
_LIBRARIES = (os.path.dirname(os.__file__), sys.prefix, sys.base_prefix)  # noqa: PTH120  # text, to be compared
_HINTS = {
    errno.EMFILE: "raise the limit: ulimit -n 1024",
    errno.ENFILE: "too many programs have files open on this machine",
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room, or have the quota raised",
    errno.EAGAIN: "raise the limit on processes: ulimit -u; or use fewer: doit -n 1",
}


@contextmanager
def user_errors() -> Iterator[None]:
    """Show a GuestfarmError of the block as its message alone, and exit with USER_ERROR."""
    try:
        yield
    except GuestfarmError as error:
        _end(str(error), USER_ERROR)


def show_warnings(problems: Iterable[Problem]) -> None:
    """Show what may be a mistake of the user's, a line each, on the standard error."""
    for problem in problems:
        print(replace(problem, message=f"warning: {problem.message}"), file=sys.stderr)


@contextmanager
def one_line_errors(command: str, *, is_debugged: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Show what ends the block early as one line, and exit with the code for it: only a bug has a traceback.

    `command` is what the user typed, for messages that do not say themselves what they are about. Bugs of a command
    that is debugged, as by doit's --pdb, are raised.
    """
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted", signals.INTERRUPTED)
    except GuestfarmError as error:
        _end(str(error), USER_ERROR)
    except CmdParseError as error:
        # doit adds all options, and what it got.
        text = re.sub(r" \(parsing options:.*", "", _one_line(error), flags=re.DOTALL)
        hint = "; options come before tasks" if text.startswith("Error parsing Task") else ""
        _end(f"{command}: {text.removeprefix('Error parsing Task: ')}{hint}", USER_ERROR)
    except (InvalidCommand, InvalidDodoFile, InvalidTask) as error:
        _end(f"{command}: {_one_line(error)}", USER_ERROR)
    except OSError as error:
        _end(of_system(error), USER_ERROR)
    except MemoryError:
        _end("there is not enough memory", USER_ERROR)
    except Exception as error:
        if str(error).startswith("Plugin "):  # one of a configuration file; doit has no class for these errors
            _end(f"{command}: {_one_line(error)}", USER_ERROR)
        if str(error) == "can't start new thread":
            _end(f"no thread can be started; {_HINTS[errno.EAGAIN]}", USER_ERROR)
        if is_debugged():
            raise
        traceback.print_exc()
        if _is_ours(error):
            _end(f"this is an error of Guestfarm's own: {REPORT}, with these lines", BUG)
        _end(f"{command}: an error of this dodo.py", BUG)


def of_system(error: OSError) -> str:
    """What the system refused, where, and what can be done about it."""
    files = " -> ".join(str(file) for file in (error.filename, error.filename2) if file is not None)
    message = error.strerror or _one_line(error)
    hint = _HINTS.get(error.errno or 0, "")
    return (f"{files}: " if files else "") + message + (f"; {hint}" if hint else "")


def _end(line: str, code: int) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # the exit code has to do
        drop(sys.stderr)
    raise SystemExit(code) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_ours(error: Exception) -> bool:
    """Whether it comes from Guestfarm's code, or from what that called, and not from a dodo.py of the user's."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    own = [file for file in files if not file.startswith(_LIBRARIES) or Path(file).is_relative_to(_PACKAGE)]
    return bool(own) and Path(own[-1]).is_relative_to(_PACKAGE)
