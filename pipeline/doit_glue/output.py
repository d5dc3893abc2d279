"""What becomes of a command whose output nobody reads to its end, as behind `| head`."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ENDED = 128 + signal.SIGPIPE
"""The exit code of a process that SIGPIPE ended, as shells show it."""


@contextmanager
def read_to_its_end() -> Iterator[None]:
    """End without a word as soon as nobody reads what the block prints, as programs do that SIGPIPE ends.

    Python leaves that signal out, and so do we: it would end us in the midst of what we have begun.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_closed(sys.stdout.fileno()):
            raise  # it is another pipe
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what is left to be flushed
        os.close(nowhere)
        raise SystemExit(_ENDED) from None


def _is_closed(descriptor: int) -> bool:
    """Whether it is a pipe without a reader, for which poll(2) has POLLERR."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
