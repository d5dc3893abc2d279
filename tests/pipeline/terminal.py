"""doit on a terminal."""

import os
import pty
import re
import select
import subprocess
import sys
from dataclasses import dataclass

from tests.pipeline.conftest import Workshop

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


def on_a_terminal(workshop: Workshop, *arguments: str) -> Shown:
    """Run doit with a terminal as its standard output and standard error."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "doit", *arguments],
        cwd=workshop.folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=its,
        stderr=its,
        stdin=subprocess.DEVNULL,
    ) as process:
        os.close(its)
        written = b""
        try:
            while select.select([ours], [], [], 60)[0]:
                written += os.read(ours, 65536)
        except OSError:  # EIO: the last one that had it open has closed it
            pass
        else:
            process.kill()  # it says no more, and does not end
    os.close(ours)
    return Shown(process.returncode, written.decode())
