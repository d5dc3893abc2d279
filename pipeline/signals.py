"""Signals that come at a bad time: kept back until it is a good one, ignored, or heard all the same."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a process that Ctrl-C ended, as shells show it."""

TERMINATED = 128 + signal.SIGTERM
"""The exit code of a process that SIGTERM ended, as shells show it."""

_NUDGE = signal.SIGURG
"""What interrupts a system call and does nothing else: ignored by default, see signal(7), and sent by nobody else."""

_NUDGES = (0.02, 0.2, 1.0)
"""Seconds to wait before each nudge: one may come too early, too."""

_nudging = 0
"""The process that has a thread for this; its forks have none."""


def ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler that does nothing about a signal. Programs that we start do not inherit it, as they would SIG_IGN."""


def end_at_once() -> None:
    """Have Ctrl-C end this process with a word, until raise_interrupts(): nothing is begun yet that has to be undone.

    Python raises KeyboardInterrupt in the midst of imports, too, where it is printed, or taken for a missing module.
    """
    if threading.current_thread() is threading.main_thread() and _handler() is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)


def raise_interrupts() -> None:
    """Have Ctrl-C raise KeyboardInterrupt, where end_at_once() has it do something else."""
    if threading.current_thread() is threading.main_thread() and _handler() is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _handler() -> object:
    return signal.getsignal(signal.SIGINT)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(INTERRUPTED)


@contextmanager
def late() -> Iterator[Callable[[], None]]:
    """Keep back what SIGINT and SIGTERM do to this process until the block calls what it is given, or ends.

    So neither comes between the start of a program and the place where somebody sees to its end. Handlers run in the
    main thread; others have nothing to fear. What is ignored stays so, since programs inherit that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []
    ours = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    kept_back = {number: handler for number, handler in ours.items() if callable(handler)}

    def deliver() -> None:
        while kept_back:
            signal.signal(*kept_back.popitem())
        while came:
            signal.raise_signal(came.pop())

    try:
        for number in list(kept_back):
            signal.signal(number, lambda number, _: came.append(number))
        yield deliver
    finally:
        deliver()


def interrupt_waiting(pipe: tuple[int, int] | None = None) -> None:
    """From now on, have signals that this process handles end what its main thread waits for, whenever they come.

    Python's handlers run between two steps of the main thread. A signal that comes after the last step before a system
    call, or to another thread, does not have them run before that call has ended: Ctrl-C would wait for what it is to
    end. See set_wakeup_fd in Python's documentation of signals.

    `pipe`, its reading and its writing end, is taken for this where it is given. Raises OSError where none is, and no
    more files may be open.
    """
    global _nudging  # noqa: PLW0603  # there is one main thread
    if _nudging == os.getpid() or threading.current_thread() is not threading.main_thread():
        return
    _nudging = os.getpid()
    reader, writer = pipe or os.pipe2(os.O_CLOEXEC)
    os.set_blocking(writer, False)
    signal.signal(_NUDGE, ignore)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_nudge, args=(reader, threading.get_ident()), daemon=True).start()


def _nudge(reader: int, thread: int) -> None:
    while True:
        if os.read(reader, 1024).strip(bytes([_NUDGE])):
            for seconds in _NUDGES:
                time.sleep(seconds)
                signal.pthread_kill(thread, _NUDGE)
