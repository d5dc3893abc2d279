"""What becomes of a command that is interrupted, or whose output nobody reads to its end or there is no room for."""

import errno
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pipeline import signals
from pipeline.engine.run.descriptors import drop
from pipeline.engine.run.user_errors import USER_ERROR

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""How writing to a file fails, see write(2)."""

_ENDED = 128 + signal.SIGPIPE
"""The exit code of a process that SIGPIPE ended, as shells show it."""


@contextmanager
def may_end_early() -> Iterator[None]:
    """End with a word when the block is interrupted, and without one as soon as nobody reads what it prints.

    The latter is what programs do that SIGPIPE ends. Python leaves that signal out, and so do we: it would end us in
    the midst of what we have begun. Where the output cannot be written for another reason, as on a full disk, that is
    said, and the exit code is USER_ERROR.
    """
    if sys.stdout is None:  # it was closed before we started
        print("the output cannot be written: it is closed", file=sys.stderr)
        raise SystemExit(USER_ERROR)
    try:
        try:
            signals.interrupt_waiting()
            yield
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(signals.INTERRUPTED) from None
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
        if not closed:
            raise  # it is another pipe
        for stream in closed:
            drop(stream)
        raise SystemExit(_ENDED) from None
    except OSError as error:
        if (
            error.filename is not None
            or error.errno not in _OF_WRITING
            or not (_is_full(sys.stdout) or _is_full(sys.stderr))
        ):
            raise  # it is another file
        drop(sys.stdout)
        try:
            print(f"the output cannot be written: {error.strerror}", file=sys.stderr)
        except OSError:
            drop(sys.stderr)
        raise SystemExit(USER_ERROR) from None


def _is_closed(stream: TextIO) -> bool:
    """Whether it is a pipe without a reader, for which poll(2) has POLLERR."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _is_full(stream: TextIO) -> bool:
    """Whether it takes not even the end of a line: errors do not say what could not be written."""
    try:
        stream.flush()
        os.write(stream.fileno(), b"\n")
    except OSError:
        return True
    return False
