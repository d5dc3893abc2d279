"""doit on a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.e2e.conftest import Workshop

_PATIENCE = 60
"""Seconds that a run may say nothing."""

_PATIENCE_AFTER_CTRL_C = 30
"""Seconds that it may take to end, whatever it says."""

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
    interrupt: Callable[[], bool] = lambda: False,
) -> Shown:
    """Run doit with a terminal as its standard output and standard error; Ctrl-C comes as soon as `interrupt` is so."""
    ours, its = pty.openpty()
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
        interrupted = False
        deadline = time.monotonic() + _PATIENCE
        try:
            while time.monotonic() < deadline:
                if select.select([ours], [], [], 0.05)[0]:
                    written += os.read(ours, 65536)
                    if not interrupted:
                        deadline = time.monotonic() + _PATIENCE
                if not interrupted and interrupt():
                    interrupted = True
                    deadline = time.monotonic() + _PATIENCE_AFTER_CTRL_C
                    process.send_signal(signal.SIGINT)
        except OSError:  # EIO: the last one that had it open has closed it
            pass
        else:
            process.kill()  # it does not end
    os.close(ours)
    return Shown(process.returncode, written.decode())
