"""guestfish(1): a kernel in a virtual machine of its own, libguestfs' appliance, that looks at file systems for us."""

import errno
import os
import select
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO, Final

from pipeline import process
from pipeline.errors import MasterError

_PATIENCE: Final = 600
"""Seconds without any sign of life. Where QEMU emulates, the appliance is up after 15, and slow commands take 30."""
_KVM: Final = Path("/dev/kvm")
_KERNELS: Final = Path("/boot")
_SETTINGS: Final = "LIBGUESTFS_BACKEND_SETTINGS"
_INHERITED: Final = (
    *("LIBGUESTFS_CACHEDIR", "LIBGUESTFS_HV", "LIBGUESTFS_MEMSIZE", "LIBGUESTFS_PATH"),
    *("SUPERMIN_KERNEL", "SUPERMIN_KERNEL_VERSION", "SUPERMIN_MODULES", _SETTINGS),
)
"""What users may have to say of this machine: see "ENVIRONMENT VARIABLES" in guestfs(3) and supermin(1)."""
_ERROR: Final = "libguestfs: error: "
_FULL: Final = "write: No space left on device"


class Appliance:
    """A running appliance that has the disk as /dev/sda."""

    def __init__(self, running: process.Running, commands: IO[bytes], replies: IO[bytes]) -> None:
        self._running = running
        self._commands = commands
        self._replies = replies
        self._pending = b""

    def ask(self, *command: str, grows: Path | None = None, limit: int = 0) -> list[str]:
        """What a command of guestfish(1) prints, by lines. Its words must have no blanks, quotes or backslashes.

        While it works, the file `grows` is to grow, though not beyond `limit` bytes. Raises MasterError if the command
        fails, or nothing happens for ten minutes, and OSError if the disk with `grows` is full.
        """
        before = len(self._running.said)
        end = token_hex(16)
        try:
            # What begins with a hyphen does not end guestfish when it fails.
            self._commands.write(f"-{' '.join(command)}\necho {end}\n".encode())
            self._commands.flush()
        except BrokenPipeError as error:
            raise MasterError(self._failure(0)) from error
        lines: list[str] = []
        while (line := self._line(grows, limit)) != end:
            if line is None:
                raise MasterError(self._failure(0))
            lines.append(line)
        if _ERROR in self._running.said[before:]:
            failure = self._failure(before)
            if grows and failure.endswith(_FULL):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(grows))
            raise MasterError(failure)
        return lines

    def end(self) -> None:
        """Let it power off."""
        self._commands.close()
        while self._line(None, 0) is not None:
            pass

    def _line(self, grows: Path | None, limit: int) -> str | None:
        """The next line of the replies; None at their end."""
        while b"\n" not in self._pending:
            self._wait(grows, limit)
            data = os.read(self._replies.fileno(), 1 << 16)
            if not data:
                return None
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="surrogateescape")

    def _wait(self, grows: Path | None, limit: int) -> None:
        """Wait until there is more to read."""
        quiet, size = 0, 0
        while not select.select([self._replies], [], [], 1)[0]:
            now = grows.stat().st_size if grows and grows.exists() else 0
            if now > limit:
                raise MasterError("its files are larger than the disk: is there a very large one, all of holes?")
            quiet, size = (quiet + 1 if now == size else 0), now
            if quiet >= _PATIENCE:
                raise MasterError("the appliance of guestfish, which reads it, does not answer")

    def _failure(self, since: int) -> str:
        """The first error that it has told, in one line."""
        errors = [line.partition(_ERROR)[2] for line in self._running.said[since:].splitlines() if _ERROR in line]
        return f"guestfish: {errors[0] if errors else self._running.failure.splitlines()[-1].strip()}"


@contextmanager
def opened(disk: Path, folder: Path) -> Iterator[Appliance]:
    """An appliance with the raw `disk`, which stays as it is: what is written goes to a file in `folder`.

    It has no network. It runs by KVM where that works, else by emulation. Raises MasterError.
    """
    if not process.available("guestfish"):
        raise MasterError(
            "the program guestfish is missing, which reads XFS, btrfs and logical volumes",
            "on Debian: apt install guestfish libguestfs-xfs linux-image-cloud-amd64",
        )
    told = process.inherited(*_INHERITED)
    with ExitStack() as stack:
        try:
            appliance = stack.enter_context(_launched(disk, folder, told))
        except _NotLaunchedError:
            if _SETTINGS in told or not _KVM.exists():
                raise
            # /dev/kvm may be there, and yet run no virtual machine: so in some containers and virtual machines.
            appliance = stack.enter_context(_launched(disk, folder, {**told, _SETTINGS: "force_tcg"}))
        yield appliance
        appliance.end()


class _NotLaunchedError(MasterError):
    """The appliance did not start."""


@contextmanager
def _launched(disk: Path, folder: Path, told: dict[str, str]) -> Iterator[Appliance]:
    with ExitStack() as stack:
        its_commands, commands = map(stack.enter_context, _pipe())
        replies, its_replies = map(stack.enter_context, _pipe())
        running = stack.enter_context(
            process.started(
                [
                    *("guestfish", "--ro", "--no-progress-bars", "--format=raw", "--add", disk),
                    *("--file", f"/dev/fd/{its_commands.fileno()}"),
                ],
                descriptors=[its_commands.fileno()],
                stdout=its_replies.fileno(),
                environment={
                    "LIBGUESTFS_BACKEND": "direct",
                    "LIBGUESTFS_TMPDIR": str(folder),
                    "HOME": str(folder),  # where guestfish would look for settings of the user's
                    **told,
                },
            )
        )
        its_commands.close()
        its_replies.close()
        appliance = Appliance(running, commands, replies)
        try:
            appliance.ask("run")
        except MasterError as error:
            raise _explained(error, running.said) from error
        yield appliance


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb")


def _explained(error: MasterError, said: str) -> MasterError:
    """What may be wrong with the machine, where the appliance could not be made of its kernel and programs."""
    if "supermin" not in said:
        return _NotLaunchedError(
            f"the appliance that reads it does not start: {error.message}",
            "'guestfish -v -a /dev/null run' shows what happens",
        )
    kernels = sorted(_KERNELS.glob("vmlinuz-*"))
    if not kernels:
        return MasterError(
            "guestfish finds no kernel in /boot, and needs one to read it",
            "on Debian: apt install linux-image-cloud-amd64",
        )
    if not any(os.access(kernel, os.R_OK) for kernel in kernels):
        return MasterError(
            f"guestfish needs a kernel to read it, and {kernels[-1]} is readable for root alone",
            "sudo chmod 0644 /boot/vmlinuz-*",
        )
    return MasterError(
        f"the appliance that reads it cannot be made: {error.message}", "'guestfish -v -a /dev/null run' shows why"
    )
