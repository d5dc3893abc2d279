"""How a run and its worker processes end together."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Thread
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
"""See prctl(2)."""

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a process that Ctrl-C ended, as shells show it."""

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM ended, as shells show it."""

_parent = 0
"""The process that forks, or of which this one is a fork."""

_LOOK_FOR_WORKERS = 1.0
"""Seconds between looks for workers that have started meanwhile."""


def prepare() -> None:
    """Have SIGTERM end this process like Ctrl-C does, and its workers and it end together, even if one is killed.

    doit's workers must be forks, since tasks hold functions that only a fork can take along.
    """
    multiprocessing.set_start_method("fork", force=True)
    os.register_at_fork(before=_remember_parent, after_in_child=_die_with_parent)
    end_like_interrupted()
    # doit waits for ever for the result of a worker that was killed, as those short of memory are.
    Thread(target=_watch_workers, daemon=True).start()


def end_like_interrupted() -> None:
    """Have SIGTERM end this process like Ctrl-C does: what it has begun is cleaned up."""
    signal.signal(signal.SIGTERM, _terminate)


@contextmanager
def together() -> Iterator[None]:
    """End the workers with a block that ends early: doit does not while it starts them, and then waits for them."""
    try:
        yield
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise


def _remember_parent() -> None:
    global _parent  # noqa: PLW0603  # hooks of a fork have no other way to pass anything on
    _parent = os.getpid()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:  # it was killed before we asked, and the kernel will not tell us any more
        os._exit(128 + signal.SIGKILL)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


def _watch_workers() -> None:
    workers: set[BaseProcess] = set()
    while True:
        workers.update(multiprocessing.active_children())
        wait([worker.sentinel for worker in workers], timeout=_LOOK_FOR_WORKERS)
        for worker in workers:
            if worker.exitcode is not None and worker.exitcode < 0:
                how = signal.Signals(-worker.exitcode).name
                print(f"worker process {worker.pid} was ended by {how}, perhaps for want of memory", file=sys.stderr)
                os.kill(os.getpid(), signal.SIGTERM)
                return
        workers = {worker for worker in workers if worker.exitcode is None}
