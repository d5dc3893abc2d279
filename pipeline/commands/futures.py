"""What threads do for a command, waited for in a way that Ctrl-C does not disturb."""

from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from pipeline import signals

_LOOK = 0.5
"""Seconds that Ctrl-C waits at most."""

_Result = TypeVar("_Result")


def ended(futures: Collection[Future[_Result]]) -> set[Future[_Result]]:
    """Those that have ended, as soon as one has; none after half a second in which none has.

    Interrupted in its midst, concurrent.futures may leave a future locked, and its thread waits for ever.
    """
    with signals.late():
        return wait(futures, timeout=_LOOK, return_when=FIRST_COMPLETED).done
