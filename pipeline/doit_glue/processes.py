"""How a run and its worker processes end together."""

import ctypes
import multiprocessing
import os
import signal
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
"""See prctl(2)."""

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM ended, as shells show it."""


def prepare() -> None:
    """Have SIGTERM end this process like Ctrl-C does, and its workers end whenever it does, even if it is killed.

    doit's workers must be forks, since tasks hold functions that only a fork can take along.
    """
    multiprocessing.set_start_method("fork", force=True)
    os.register_at_fork(after_in_child=_die_with_parent)
    signal.signal(signal.SIGTERM, _terminate)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
