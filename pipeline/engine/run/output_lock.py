"""How threads and workers of a run take turns to print, so that all lines are whole."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_threads = Lock()
_processes: int | None = None
"""The descriptor of a file without a name, whose lock ends with the process that has it, however that ends."""


def share() -> None:
    """From now on, take turns also with processes that are forks of this one."""
    global _processes  # noqa: PLW0603  # doit has no way to pass anything to its workers
    _processes = os.memfd_create("output")


@contextmanager
def turn() -> Iterator[None]:
    """Keep others from printing in the block: what is longer than PIPE_BUF, see pipe(7), would be torn by them."""
    with _threads:
        if _processes is not None:
            fcntl.lockf(_processes, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if _processes is not None:
                fcntl.lockf(_processes, fcntl.LOCK_UN)
