"""Processes killed at counted system calls, so that a kill comes at the same place however busy the machine is."""

import ctypes
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

_CHANGING = (
    "write,pwrite64,sendfile,copy_file_range,ftruncate,fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,chmod,fchmod,fchown,fsync,fdatasync"
)
"""System calls that change what other processes see, or that make it durable."""

_PR_SET_PTRACER = 0x59616D61
"""See prctl(2): lets strace, a child, trace this process also where Yama forbids that."""


class Call(NamedTuple):
    """The system call of a name that comes after `number` - 1 others of that name."""

    name: str
    number: int


def trace(file: Path) -> None:
    """Have strace write all calls of this thread that change something to `file`, from now on."""
    _attach("-o", file, "-e", f"trace={_CHANGING}")


def kill(at: Call) -> None:
    """Have this process killed by SIGKILL at that call of this thread, counted from now on."""
    _attach("-o", "/dev/null", "-e", f"trace={at.name}", "-e", f"inject={at.name}:signal=KILL:when={at.number}")


def calls(file: Path) -> list[Call]:
    """The calls in what `trace` wrote, in their order."""
    count: Counter[str] = Counter()
    names = re.findall(r"^(\w+)\(", file.read_text(), re.MULTILINE)
    return [Call(name, count[name]) for name in names if not count.update([name])]


def _attach(*options: str | Path) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, -1)
    argv = ["strace", "-p", str(os.getpid()), *options]
    tracer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert tracer.stderr is not None
    with tracer.stderr:
        said = tracer.stderr.readline()
    assert said.endswith(b" attached\n"), said
    # strace goes on as long as this process does, which is to know nothing of it.
    tracer.returncode = 0
