"""The system calls by which a program and all that it starts change files: counted, and held until a test answers.

The kernel asks us about each (seccomp_unotify(2)), whichever process or thread it comes from, and whatever environment
that has. So the number of a call is the same moment in each run of the same work, and no clock is in it. What is
written to memory that a file is mapped to is not seen.

As a program, this file has the kernel ask about itself, and becomes another program: see _become().
"""

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

_PATIENCE = 120_000
"""Milliseconds without a call after which a run hangs, and the test fails."""

_AT_FDCWD = -100


@dataclass(frozen=True)
class _File:
    """Which argument of a call says which file it changes: a path, in the folder of a descriptor; or a descriptor."""

    path: int | None = None
    folder: int | None = None
    descriptor: int | None = None


_CALLS: Mapping[str, tuple[_File, ...]] = {
    **dict.fromkeys(("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile"), (_File(descriptor=0),)),
    "copy_file_range": (_File(descriptor=2),),
    **dict.fromkeys(("ftruncate", "fallocate", "fchmod", "fchown"), (_File(descriptor=0),)),
    **dict.fromkeys(("fsync", "fdatasync", "syncfs", "sync_file_range"), (_File(descriptor=0),)),
    **dict.fromkeys(("truncate", "unlink", "rmdir", "mkdir", "chmod", "chown", "lchown"), (_File(path=0),)),
    **dict.fromkeys(("unlinkat", "mkdirat", "fchmodat", "fchownat"), (_File(path=1, folder=0),)),
    **dict.fromkeys(("rename", "link"), (_File(path=0), _File(path=1))),
    **dict.fromkeys(("renameat", "renameat2", "linkat"), (_File(path=1, folder=0), _File(path=3, folder=2))),
    "symlink": (_File(path=1),),
    "symlinkat": (_File(path=2, folder=1),),
    # These by what else they are told, see _conditions().
    "open": (_File(path=0),),
    "openat": (_File(path=1, folder=0),),
    "ioctl": (_File(descriptor=0),),
}
"""Those that change files, or wait for the disk, of x86-64; with the files that they change, the last one being new."""

_WRITES = ("write", "pwrite64", "sendfile")
"""Those that can be cut short."""


class Answer(Enum):
    """What becomes of a call. An errno is an answer, too: with that it fails."""

    GO_ON = "it is done"
    CUT_SHORT = "half of what was to be written is"
    KILL = "kill -9 of the whole run, and of the caller, before the call"
    KILL_CALLER = "kill -9 of the caller alone, a tool for example, before the call"


class _Condition(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp.h."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


_RECEIVE, _SEND = 0xC0502100, 0xC0182101
"""SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND of linux/seccomp.h, with these structures:"""
_REQUEST = struct.Struct("=QIIiIQ6Q")
"""struct seccomp_notif: id, thread, flags, number of the call, architecture, instruction pointer, arguments."""
_RESPONSE = struct.Struct("=QqiI")
"""struct seccomp_notif_resp: id, value, error, flags."""
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000  # SCMP_ACT_ALLOW, SCMP_ACT_NOTIFY
_NO_NEW_PRIVS = 3  # SCMP_FLTATR_CTL_NNP
_EQUAL, _MASKED_EQUAL = 4, 7  # SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ
_FICLONE, _FICLONERANGE = 0x40049409, 0x4020940D


@dataclass(frozen=True)
class Call:
    """A system call that waits for its answer."""

    number: int
    """Which one of the run it is, from 1."""
    name: str
    path: str
    """The file that it changes, or its new name, from the folder of which all calls are met."""
    pid: int
    _arguments: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.path}"

    def cut_short(self) -> int:
        """Do the first half of a write in the caller's name, and return how many bytes that was."""
        descriptor, second, third, fourth, *_ = self._arguments
        target = _descriptor_of(self.pid, descriptor)
        try:
            if self.name == "sendfile":
                source = _descriptor_of(self.pid, second)
                place = int.from_bytes(_memory(self.pid, third, 8), "little")
                try:
                    return os.sendfile(target, source, place, max(1, fourth // 2))
                finally:
                    os.close(source)
            half = _memory(self.pid, second, max(1, third // 2))
            return os.pwrite(target, half, fourth) if self.name == "pwrite64" else os.write(target, half)
        finally:
            os.close(target)

    @property
    def can_be_cut_short(self) -> bool:
        """Whether it writes several bytes."""
        return self.name in _WRITES and self._arguments[3 if self.name == "sendfile" else 2] > 1


@dataclass(frozen=True)
class Ended:
    """How a run ended, after how many calls."""

    code: int
    output: str
    calls: int


Meet = Callable[[Call], Answer | int]


def run(argv: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], below: Path, meet: Meet) -> Ended:
    """Run a program in `folder`, and have `meet` answer each call that changes anything below `below`.

    Returns when the program and all that it started have ended.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs, TemporaryFile() as output:
        launcher = [sys.executable, "-I", "-S", __file__, str(theirs.fileno()), *map(str, argv)]
        with subprocess.Popen(
            launcher,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
        ) as process:
            theirs.close()
            try:
                _, received, _, _ = socket.recv_fds(ours, 1, 1)
                assert received, f"the kernel takes no filter: exit code {process.wait()}"
                try:
                    count = _answer_all(received[0], process, str(below), meet)
                finally:
                    os.close(received[0])
                code = process.wait()
            finally:
                process.kill()
        output.seek(0)
        return Ended(code, output.read().decode(errors="replace"), count)


def _answer_all(notify: int, process: subprocess.Popen[bytes], below: str, meet: Meet) -> int:
    """Answer calls until nobody is left who could make one, and return how many there were."""
    names = {_number(name): name for name in _CALLS}
    poll = select.poll()
    poll.register(notify, select.POLLIN)
    count = 0
    while True:
        events = poll.poll(_PATIENCE)
        assert events, f"after {count} calls, process {process.pid} or what it started hangs"
        if not events[0][1] & select.POLLIN:
            return count
        request = bytearray(_REQUEST.size)
        try:
            fcntl.ioctl(notify, _RECEIVE, request)
        except FileNotFoundError:  # the caller was killed meanwhile
            continue
        identity, pid, _, number, _, _, *arguments = _REQUEST.unpack(request)
        value, error, flags = 0, 0, _CONTINUE
        path = _path(pid, names[number], arguments, below)
        if path is not None:
            count += 1
            call = Call(count, names[number], path, pid, tuple(arguments))
            answer = meet(call)
            if answer is Answer.KILL:
                process.kill()
            if answer in (Answer.KILL, Answer.KILL_CALLER):
                with suppress(ProcessLookupError):  # with the run, what it has started ends
                    os.kill(_process_of(pid), signal.SIGKILL)
                continue  # with an answer, the call might still be done
            if answer is Answer.CUT_SHORT:
                value, flags = call.cut_short(), 0
            elif isinstance(answer, int):
                error, flags = -answer, 0
        with suppress(FileNotFoundError):
            fcntl.ioctl(notify, _SEND, _RESPONSE.pack(identity, value, error, flags))


def _path(pid: int, name: str, arguments: list[int], below: str) -> str | None:
    """The file that a call changes, if that or another one that it names is below `below`."""
    paths = [_path_of(pid, file, arguments) for file in _CALLS[name]]
    return paths[-1].removeprefix(f"{below}/") if any(path.startswith(f"{below}/") for path in paths) else None


def _path_of(pid: int, file: _File, arguments: list[int]) -> str:
    try:
        if file.path is None:
            assert file.descriptor is not None
            return os.readlink(f"/proc/{pid}/fd/{arguments[file.descriptor]}")  # noqa: PTH115  # often
        path = os.fsdecode(_memory(pid, arguments[file.path], 4096).partition(b"\0")[0])
        if path.startswith("/"):
            return path
        folder = _AT_FDCWD if file.folder is None else ctypes.c_int(arguments[file.folder]).value
        place = f"/proc/{pid}/cwd" if folder == _AT_FDCWD else f"/proc/{pid}/fd/{folder}"
        return os.path.normpath(f"{os.readlink(place)}/{path}")  # noqa: PTH115
    except OSError as error:  # a bad descriptor or address, or killed meanwhile
        if error.errno not in (errno.ENOENT, errno.EIO, errno.ESRCH):
            raise
        return ""


def _process_of(thread: int) -> int:
    """Raises ProcessLookupError."""
    try:
        return int(Path(f"/proc/{thread}/status").read_text().partition("Tgid:")[2].split()[0])
    except FileNotFoundError as error:
        raise ProcessLookupError from error


def _memory(pid: int, address: int, size: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return os.pread(memory.fileno(), size, address)


def _descriptor_of(pid: int, descriptor: int) -> int:
    """A duplicate of another process's descriptor, with the same position; see pidfd_getfd(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    try:
        got = libc.syscall(_number("pidfd_getfd"), handle, descriptor, 0)
    finally:
        os.close(handle)
    if got < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return int(got)


@cache
def _seccomp() -> Any:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    return library


@cache
def _number(name: str) -> int:
    return int(_seccomp().seccomp_syscall_resolve_name(name.encode()))


def _conditions(name: str) -> list[list[_Condition]]:
    """When we are asked about a call: any of these; each a list of what its arguments all must be."""
    if name in ("open", "openat"):
        return [[_Condition(1 if name == "open" else 2, _MASKED_EQUAL, os.O_CREAT, os.O_CREAT)]]
    if name == "ioctl":
        return [[_Condition(1, _EQUAL, request, 0)] for request in (_FICLONE, _FICLONERANGE)]
    return [[]]


def _become(connection: int, argv: list[str]) -> None:
    """Send the descriptor at which the kernel asks to `connection`, and become the program `argv`."""
    library = _seccomp()
    context = ctypes.c_void_p(library.seccomp_init(_ALLOW))
    if os.geteuid() == 0:  # others need no_new_privs, with which there is no sudo
        library.seccomp_attr_set(context, _NO_NEW_PRIVS, 0)
    for name in _CALLS:
        for conditions in _conditions(name):
            rule = (_Condition * len(conditions))(*conditions)
            if library.seccomp_rule_add_array(context, _NOTIFY, _number(name), len(rule), rule):
                sys.exit(f"libseccomp takes no rule for {name}")
    if code := library.seccomp_load(context):
        sys.exit(f"no seccomp filter: {os.strerror(-code)}")
    # Not by socket.send_fds(), whose import would cost more than all else here.
    with socket.socket(fileno=connection) as parent:
        descriptors = array("i", [library.seccomp_notify_fd(context)])
        parent.sendmsg([b"-"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    os.execv(argv[0], argv)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
