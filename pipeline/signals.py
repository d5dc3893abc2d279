"""Signals that come at a bad time: kept back until it is a good one, or ignored."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def ignore(_number: int, _frame: FrameType | None) -> None:
    """A handler that does nothing about a signal. Programs that we start do not inherit it, as they would SIG_IGN."""


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
