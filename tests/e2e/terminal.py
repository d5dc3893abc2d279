"""doit on a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import Workshop

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""A control sequence, see console_codes(4)."""


@dataclass(frozen=True)
class Shown:
    """What a doit run wrote to its terminal, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines, without control sequences, and without what was written over; an Esc that is left is torn."""
        return [_SEQUENCE.sub("", line.rpartition("\x1b[2K")[2]) for line in self.text.split("\r\n")]

    @property
    def has_cursor(self) -> bool:
        """Whether the cursor is visible at the end."""
        return self.text.rfind("\x1b[?25h") >= self.text.rfind("\x1b[?25l")


def on_a_terminal(
    workshop: Workshop,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    interrupt: Path | None = None,
) -> Shown:
    """Run doit with a terminal as its standard output and standard error.

    Ctrl-C comes as soon as anything is written to the FIFO `interrupt`.
    """
    ours, its = pty.openpty()
    waited = [ours] if interrupt is None else [ours, os.open(interrupt, os.O_RDONLY | os.O_NONBLOCK)]
    with subprocess.Popen(
        [sys.executable, "-m", "doit", *arguments],
        cwd=workshop.folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **(environment or {})},
        stdout=its,
        stderr=its,
        stdin=subprocess.DEVNULL,
    ) as process:
        os.close(its)
        written = b""
        try:
            while True:
                if select.select(waited, [], [])[0] == [ours] or len(waited) == 1:
                    written += os.read(ours, 65536)
                else:
                    os.close(waited.pop())
                    process.send_signal(signal.SIGINT)
        except OSError:  # EIO: the last one that had it open has closed it
            pass
        finally:
            for descriptor in waited:
                os.close(descriptor)
    return Shown(process.returncode, written.decode())
