"""The one place that starts programs: argument lists only, never a shell, and a clean environment."""

import errno
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

from pipeline import signals
from pipeline.errors import ProcessError

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian keeps programs; an ordinary user's PATH leaves out the sbin folders, where mke2fs lives."""

_PATIENCE = 10
"""Seconds that an interrupted program has to clean up: mmdebstrap removes a whole tree."""

_SHOWN = 20
"""How many of a failed program's last lines the user gets to see. Where it used both outputs, each has a half at least:
e2fsck tells the cause on the standard output, and what to do on the other."""

_LONGEST = 400
"""How many characters of each of these lines."""

_CAUSES = tuple(map(os.strerror, (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM)))
"""What programs print, with LC_ALL=C, when it is not their fault, but that of the machine."""


class Log(Protocol):
    """What takes down which programs run: an open text file, for one."""

    def write(self, text: str, /) -> int:
        """Add `text`."""

    def flush(self) -> None:
        """Have what was written be seen."""


_log: ContextVar[Log | None] = ContextVar("_log", default=None)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program left behind."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may take that works on what others wrote: see RLIMIT_AS and RLIMIT_CPU in getrlimit(2)."""

    memory: int
    """Bytes of its address space: what it asks for beyond that it does not get."""
    seconds: int
    """Of processor time: then SIGXCPU ends it."""

    @property
    def argv(self) -> list[str]:
        """What comes before the program: prlimit(1) sets them, and then becomes the program."""
        return [_located("prlimit"), f"--as={self.memory}", f"--cpu={self.seconds}"]


def run(
    argv: Sequence[str | Path],
    *,
    codes: Collection[int] = (0,),
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Completed:
    """Run a program to its end, and return what it printed.

    `codes` are the exit codes that its man page calls a success. `environment` is added to PATH, LC_ALL=C and TZ=UTC,
    and nothing else comes from ours. The program gets no input, and a process group of its own, which is ended as a
    whole when this process is interrupted; it also ends when this process is killed. It has no more than `limits`.
    Raises ProcessError if it is missing, or ends with another code or by a signal.
    """
    name = str(argv[0])
    with signals.late() as deliver, _popen(argv, environment or {}, limits=limits) as process:
        try:
            deliver()
            stdout, stderr = process.communicate()
        except BaseException:
            _end(process)
            raise
    _write_log(argv, process.returncode, stdout + stderr)
    if process.returncode not in codes:
        raise ProcessError(_failure(name, process.returncode, stdout, stderr))
    return Completed(process.returncode, stdout, stderr)


class Running:
    """A program that runs beside us; see started()."""

    def __init__(self, name: str, process: subprocess.Popen[str], said: IO[bytes]) -> None:
        self._name = name
        self._process = process
        self._said = said

    @property
    def code(self) -> int | None:
        """Its exit code, or minus the number of the signal that ended it; None while it runs."""
        return self._process.poll()

    @property
    def said(self) -> str:
        """What it has printed so far, on both outputs."""
        descriptor = self._said.fileno()
        # Not by read(): the program has our position in the file, too.
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def wait(self) -> int:
        """Wait until it has ended, and give its code."""
        return self._process.wait()

    @property
    def failure(self) -> str:
        """How it ended, for a message: by which code or signal, and what it printed last."""
        return _failure(self._name, self.wait(), self.said)


@contextmanager
def started(
    argv: Sequence[str | Path],
    *,
    descriptors: Sequence[int] = (),
    stdout: int | None = None,
    environment: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Iterator[Running]:
    """Run a program beside the block, and end it with the block: it, and its process group.

    It has `descriptors` of ours under their numbers, for example ends of sockets to talk by, and prints to the
    descriptor `stdout` if that is given; else it is run as run() does. It also ends when this thread does, or this
    process is killed. It has no more than `limits`. Raises ProcessError if it is missing.
    """
    with (
        TemporaryFile() as said,
        signals.late() as deliver,
        _popen(
            argv,
            environment or {},
            stdout=said if stdout is None else stdout,  # 0 is a descriptor, too
            stderr=said,
            descriptors=descriptors,
            limits=limits,
        ) as process,
    ):
        running = Running(str(argv[0]), process, said)
        try:
            deliver()
            yield running
        finally:
            _end(process)
            _write_log(argv, process.wait(), running.said)


def hand_over(argv: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> int:
    """Let a program have our terminal until it ends, and return its exit code, or minus the number of a signal.

    What is typed is for the program, Ctrl-C included. Raises ProcessError if it is missing.
    """
    name = str(argv[0])
    ours = signal.signal(signal.SIGINT, signals.ignore)
    try:
        completed = subprocess.run(
            [_located(name), *map(str, argv[1:])],
            env={"PATH": _search_path(), "LC_ALL": "C", "TZ": "UTC", **inherited("TERM"), **(environment or {})},
            check=False,
        )
    except OSError as error:
        raise ProcessError(f"{name} cannot be started: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, ours)
    return completed.returncode


@contextmanager
def logged(file: Log) -> Iterator[None]:
    """Write to `file` which programs this thread runs in the block, each with its output and exit code."""
    token = _log.set(file)
    try:
        yield
    finally:
        _log.reset(token)


@cache
def version(*argv: str) -> str:
    """The first line that a program prints about its version, on whichever of its two outputs."""
    completed = run(argv)
    return (completed.stdout + completed.stderr).strip().splitlines()[0]


def available(name: str) -> bool:
    """Whether the program `name` is installed."""
    return shutil.which(name, path=_search_path()) is not None


def inherited(*names: str) -> dict[str, str]:
    """Those of our own environment's variables that a program has a right to know."""
    return {name: os.environ[name] for name in names if name in os.environ}


def _write_log(argv: Sequence[str | Path], code: int, output: str) -> None:
    log = _log.get()
    if log is not None:
        indented = "".join(f"  {line}\n" for line in output.splitlines())
        log.write(f"$ {shlex.join(map(str, argv))}\n{indented}  exit code {code}\n")
        log.flush()


def _popen(  # noqa: PLR0913  # those of started()
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
    descriptors: Sequence[int] = (),
    limits: Limits | None = None,
) -> subprocess.Popen[str]:
    name = str(argv[0])
    try:
        return subprocess.Popen(
            # setpriv(1) has the kernel end the program when we are killed, and then becomes the program.
            [
                *(_located("setpriv"), "--pdeathsig", "KILL", *(limits.argv if limits else ())),
                *(_located(name), *map(str, argv[1:])),
            ],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=descriptors,
            env={"PATH": _search_path(), "LC_ALL": "C", "TZ": "UTC", **environment},
            start_new_session=True,
            text=True,
            errors="replace",
        )
    except OSError as error:  # it is no program, for one
        raise ProcessError(f"{name} cannot be started: {error.strerror}") from error


def _search_path() -> str:
    own = os.environ.get("PATH")
    return f"{own}:{_PATH}" if own else _PATH


def _located(name: str) -> str:
    path = shutil.which(name, path=_search_path())
    if path is None:
        raise ProcessError(f"the program {name} is missing", "make setup installs what is needed")
    return path


def _end(process: subprocess.Popen[str]) -> None:
    """Let the program clean up, and then end whatever is left of its process group."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=_PATIENCE)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _failure(name: str, code: int, *outputs: str) -> str:
    """How a program ended, the cause if that is the machine, and the last lines of its outputs, if there are any."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    cause = next((each for each in _CAUSES if any(each in output for output in outputs)), "")
    said = [[line for line in output.splitlines() if line.strip()] for output in outputs]
    said = [lines for lines in said if lines]
    counts = [max(_SHOWN // len(said), _SHOWN - sum(map(len, said)) + len(lines)) for lines in said]
    shown = [_cut(line) for lines, count in zip(said, counts, strict=True) for line in lines[-count:]]
    return "\n  ".join([f"{name} {how}" + (f": {cause}" if cause else ":" if shown else ""), *shown])


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
