"""How a run and its worker processes end together."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import queues
from multiprocessing.connection import wait
from multiprocessing.util import Finalize
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from types import FrameType
from typing import NoReturn

from doit import runner

from pipeline import signals

_PR_SET_PDEATHSIG = 1
"""See prctl(2)."""

_LOOK_FOR_WORKERS = 1.0
"""Seconds between looks for workers that have started meanwhile."""

_PATIENCE = 15
"""Seconds that workers have to end, more than any program that they run has to clean up: see process.py."""

_started: SimpleQueue["_Worker"] = SimpleQueue()
"""Workers that are to be watched, too."""

_FIRST = 1000
"""Higher than multiprocessing's own priorities at the end of a process."""


def prepare() -> None:
    """Have SIGTERM end this process like Ctrl-C does, and its workers and it end together, even if one is killed.

    doit's workers must be forks, since tasks hold functions that only a fork can take along.
    """
    multiprocessing.set_start_method("fork", force=True)
    runner.Process = _Worker
    runner.MRunner.Child = _Worker
    runner.MRunner.Queue = _Queue
    end_like_interrupted()
    # doit waits for ever for the result of a worker that has ended, as those short of memory are by the kernel.
    Thread(target=_watch_workers, daemon=True).start()


def end_like_interrupted() -> None:
    """Have SIGTERM end this process like Ctrl-C does: what it has begun is cleaned up."""
    signal.signal(signal.SIGTERM, _terminate)


@contextmanager
def together() -> Iterator[None]:
    """End the workers with a block that ends early: doit does not while it starts them, and then waits for them.

    Nor does doit when they have more to say than a pipe takes, see pipe(7), and it no longer listens: they wait for it,
    and it for them.
    """
    try:
        yield
    except BaseException:
        workers = multiprocessing.active_children()
        for worker in workers:
            worker.terminate()
        try:
            deadline = monotonic() + _PATIENCE
            for worker in workers:
                worker.join(max(0, deadline - monotonic()))
        finally:
            for worker in workers:
                worker.kill()
        raise


def _terminate_worker(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signals.ignore)  # what is cleaned up now is not to be cut short
    # Before multiprocessing waits for its threads: one of them may just be starting, and never hear of the end.
    Finalize(None, os._exit, args=(signals.TERMINATED,), exitpriority=_FIRST)
    _terminate(number, frame)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(signals.TERMINATED)


class _Worker(multiprocessing.Process):
    """One that ends with the run, and is watched: multiprocessing forgets those of whose end nobody has heard yet."""

    is_wanted = True

    def start(self) -> None:
        # What signals raise while a process starts is printed, and lost. Those to the run may reach any of its threads,
        # whatever this one blocks; those to the worker, which begins with this one alone, wait until it is prepared.
        with signals.late():
            # Made here, since the run can say that there are too many, and a worker that cannot begin has no way to.
            self._pipe = os.pipe2(os.O_CLOEXEC)
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
            try:
                super().start()
                _started.put(self)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
                for descriptor in self._pipe:
                    os.close(descriptor)

    def run(self) -> None:
        parent = multiprocessing.parent_process()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is None or parent.pid != os.getppid():  # it was killed before we asked, and we will not be told
            os._exit(128 + signal.SIGKILL)
        # Ctrl-C is for all that are in the foreground; the run hears of it, and ends its workers, once.
        signal.signal(signal.SIGINT, signals.ignore)
        signal.signal(signal.SIGTERM, _terminate_worker)
        signals.interrupt_waiting(self._pipe)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        super().run()
        # From here on there is nothing to clean up, and Python would print what is raised.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def terminate(self) -> None:
        self.is_wanted = False
        super().terminate()


class _Queue(queues.Queue):  # type: ignore[type-arg]  # Python 3.11 has no Queue[Any]
    def __init__(self) -> None:
        super().__init__(ctx=multiprocessing.get_context())

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        # Interrupted here, it may stay locked, and then waits for itself when the process ends.
        with signals.late():
            super().put(obj, block, timeout)


def _watch_workers() -> None:
    workers: set[_Worker] = set()
    while True:
        while not _started.empty():
            workers.add(_started.get())
        wait([worker.sentinel for worker in workers], timeout=_LOOK_FOR_WORKERS)
        for worker in workers:
            if worker.exitcode and worker.is_wanted:
                print(f"worker process {worker.pid} {_how(worker.exitcode)}", file=sys.stderr)
                os.kill(os.getpid(), signal.SIGTERM)
                return
        workers = {worker for worker in workers if worker.exitcode is None}


def _how(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}, without a word of what it was doing"
    return f"was ended by {signal.Signals(-code).name}, perhaps for want of memory"
