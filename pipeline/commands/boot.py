"""`doit boot`: guests are booted under QEMU, on disks that are thrown away, and checked from inside."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath

from doit.task import Task

from pipeline import signals
from pipeline.boottest import boot
from pipeline.boottest.boot import Place, Proof
from pipeline.boottest.disk import Via
from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.futures import ended
from pipeline.commands.site_command import SiteCommand
from pipeline.engine.artifact.targets import compared
from pipeline.engine.run import processes
from pipeline.errors import GuestfarmError
from pipeline.host.lock import acquire, release
from pipeline.image.files.private import make_folder
from pipeline.model.guest import Guest
from pipeline.qemu.session import Limits
from pipeline.tasks.guest import files_in, names

_TIMEOUT = 300
"""Seconds: ten times what Debian takes by emulation on an idle machine."""

_MARKS = {True: "ok", False: "FAILED", None: "-"}


class Boot(SiteCommand):
    """Boots guests, and prints what they are."""

    name = "boot"
    takes_guests = True
    doc_purpose = "boot guests on throw-away copies of their disks, and check them from inside"
    doc_usage = "[--via kernel|disk|vmdk] [--timeout SECONDS] [-n NUMBER] [GUEST ...]"
    doc_description = "The guests' own files are only read. Consoles are in build/logs/boot. Exit code 1: one failed."
    cmd_options = (
        {
            "name": "via",
            "long": "via",
            "type": str,
            "default": str(Via.KERNEL),
            "choices": [(str(via), "") for via in Via],
            "help": "boot the kernel directly, or by GRUB from a disk, or from a VMDK [default: %(default)s]",
        },
        {
            "name": "timeout",
            "long": "timeout",
            "type": WholeNumber(1),
            "default": _TIMEOUT,
            "help": "seconds that a guest may take [default: %(default)s]",
        },
        {
            "name": "number",
            "short": "n",
            "long": "process",
            "type": WholeNumber(1, MOST_PROCESSES),
            "default": 1,
            "help": "how many guests to boot at a time [default: %(default)s]",
        },
    )

    def _execute(self, via: str, timeout: int, number: int, pos_args: list[str]) -> int:
        guests = self.guests(pos_args)
        boot.check_qemu()
        processes.end_like_interrupted()
        try:
            return self._boot(guests, Via(via), Limits(timeout), number)
        except KeyboardInterrupt:
            print("interrupted; the guests have ended, and their throw-away disks are gone", file=sys.stderr)
            return signals.INTERRUPTED

    def _boot(self, guests: Sequence[Guest], via: Via, limits: Limits, number: int) -> int:
        failed = False
        notes: dict[str, None] = {}
        for guest, outcome in self._outcomes(guests, via, limits, number):
            failed = failed or isinstance(outcome, str) or not outcome.passed
            if isinstance(outcome, Proof):
                notes |= dict.fromkeys(outcome.session.notes)
            for line in _lines(guest, outcome, self._log(guest), whole=len(guests) == 1):
                self.outstream.write(f"{line}\n")
            self.outstream.flush()
        self.outstream.writelines(f"{note}\n" for note in notes)
        return 1 if failed else 0

    def _outcomes(
        self, guests: Sequence[Guest], via: Via, limits: Limits, number: int
    ) -> Iterator[tuple[Guest, Proof | str]]:
        """Each guest's proof, or why there is none, as soon as it is there."""
        tasks = self.tasks
        ours, its = socket.socketpair()
        with ours, its, ThreadPoolExecutor(number) as pool:
            try:
                refusals = {guest.name: self._refusal(guest, tasks) for guest in guests}
                yield from ((guest, refusals[guest.name]) for guest in guests if refusals[guest.name])
                bootable = [guest for guest in guests if not refusals[guest.name]]
                limits = replace(limits, stop=its)
                with signals.late():
                    running = {pool.submit(self._proof, guest, via, limits): guest for guest in bootable}
                while running:
                    yield from ((running.pop(future), _result(future)) for future in ended(running))
            except BaseException:
                ours.sendall(b"end\n")  # before the pool waits for its threads
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _refusal(self, guest: Guest, tasks: dict[str, Task]) -> str:
        """Why the guest cannot be booted as it is; empty if it can."""
        for task in (tasks[name] for name in names(guest)):
            missing = [target for target in task.targets if not os.path.exists(target)]  # noqa: PTH110  # they are text
            if missing or not self.dep_manager.get_values(task.name):
                return f"{task.name} is not built; run doit first"
            targets = compared(task, self.dep_manager)
            if targets.touched:
                return f"{', '.join(targets.touched)}: modified since it was made"
            if targets.unfinished or self.dep_manager.get_status(task, tasks).status != "up-to-date":
                return f"{task.name} is not what the list says; run doit first"
        return ""

    def _proof(self, guest: Guest, via: Via, limits: Limits) -> Proof:
        scratch = self.site.build / "boot"
        make_folder(scratch)
        lock = acquire(scratch / f"{guest.name}.lock")
        if isinstance(lock, str):
            raise GuestfarmError(f"{lock} is booting it already")
        try:
            files = files_in(PurePosixPath(self.site.guest(guest)), guest)
            return boot.prove(guest, files, Place(scratch / guest.name, self._log(guest)), limits, via)
        finally:
            release(lock)

    def _log(self, guest: Guest) -> Path:
        return self.site.build / "logs/boot" / f"{guest.name}.log"


def _result(future: Future[Proof]) -> Proof | str:
    try:
        return future.result()
    except (GuestfarmError, OSError) as error:
        return str(error)


def _lines(guest: Guest, outcome: Proof | str, log: Path, *, whole: bool) -> Iterator[str]:
    """What to print of a guest: with `whole` all that was looked at, else one line, and one for each that failed."""
    if isinstance(outcome, str):
        yield f"{guest.name}: not booted: {outcome}"
        return
    looked_at = [check for check in outcome.checks if check.passed is not None]
    good = [check for check in looked_at if check.passed]
    verdict = "boots" if outcome.passed else "FAILED"
    yield (
        f"{guest.name}: {verdict}: {len(good)} of {len(looked_at)} checks, {outcome.session.seconds:.0f} s "
        f"({outcome.session.accelerator}), console in {_shown(log)}"
    )
    shown = outcome.checks if whole else [check for check in outcome.checks if not check.passed]
    width = max((len(check.name) for check in shown), default=0)
    yield from (f"    {_MARKS[check.passed]:6}  {check.name:{width}}  {check.found}" for check in shown)


def _shown(path: Path) -> Path:
    """As the user would type it, who mostly is where dodo.py is."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
