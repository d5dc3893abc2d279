"""A guest while it runs: from its first word on the console to its power-off, its report, or whatever went wrong."""

import os
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import BinaryIO, NoReturn

from pipeline import process
from pipeline.image.files.private import open_log
from pipeline.qemu import console
from pipeline.qemu.machine import Machine

_FIRST_WORD = 20
"""Seconds after which a guest that has said nothing is taken not to run by KVM: kernels speak in the first one."""
_PROMPT = 60
"""Seconds that a guest may take from its report to the prompt for a login."""
_CHUNK = 1 << 16
_KVM = Path("/dev/kvm")


class Interrupted(Exception):  # noqa: N818  # it is no error
    """Somebody wants all guests to end."""


def _no_report(_text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs by which a guest shows that it is up."""

    reports: bool = False
    """Whether it reports on its second serial port, and powers off when it is told anything there."""
    is_report: Callable[[str], bool] = _no_report
    """Whether a text from that port is a whole report."""
    greets: bool = False
    """Whether its console asks for a login."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a guest may run, and who may end it before."""

    seconds: float
    stop: socket.socket | None = None
    """All guests end as soon as there is something to read here."""


@dataclass(slots=True)
class Session:
    """What a guest has said so far, and how it has gone."""

    accelerator: str
    console: str = ""
    """Plain text."""
    report: str = ""
    failure: str = ""
    """Why it will not come up, or not go down; empty if all went well."""
    has_shut_down: bool = False
    greeted: bool = False
    """Whether somebody on the console has asked for a login."""
    seconds: float = 0.0
    """From power-on until it was up, or had failed."""
    notes: list[str] = field(default_factory=list)
    """What else there is to say of it."""


def boot(machine: Machine, signs: Signs, log: Path, limits: Limits) -> Session:
    """Run `machine` until it is up, has reported and is down again, or has failed; its console goes to the file `log`.

    By KVM, if that works here, else by emulation. Raises ProcessError if there is no QEMU, and Interrupted.
    """
    notes = []
    if _KVM.exists():
        if os.access(_KVM, os.R_OK | os.W_OK):
            session = watch(machine, signs, log, limits, "kvm")
            if session.console.strip():
                return session
            notes = [f"KVM runs no guest here, so they were emulated: {session.failure}"]
        else:
            notes = ["KVM is not for this user (see /dev/kvm), so guests were emulated"]
    session = watch(machine, signs, log, limits, "tcg")
    session.notes += notes
    return session


def watch(machine: Machine, signs: Signs, log: Path, limits: Limits, accelerator: str) -> Session:
    """The same, by one of QEMU's accelerators alone."""
    return _Watch(machine, signs, limits, accelerator).run(log)


class _Watch:
    """Reads what a machine says, and decides when it is time for what."""

    def __init__(self, machine: Machine, signs: Signs, limits: Limits, accelerator: str) -> None:
        self._machine = machine
        self._signs = signs
        self._limits = limits
        self._session = Session(accelerator)
        self._selector = selectors.DefaultSelector()
        self._deadline = 0.0
        self._has_ended = False

    def run(self, log: Path) -> Session:
        """Run it to its end."""
        begun = monotonic()
        self._deadline = begun + self._limits.seconds
        session = self._session
        with os.fdopen(open_log(log), "wb") as file, self._selector, self._powered_on(file) as (running, report):
            first = _FIRST_WORD if session.accelerator == "kvm" else self._limits.seconds
            is_up = self._listen(lambda: bool(session.console.strip()), first) and self._listen(self._is_up)
            session.seconds = monotonic() - begun
            if is_up:
                self._let_end(report)
            if self._has_ended and running.wait() != 0:
                session.failure = running.failure.splitlines()[-1].strip()
            elif not is_up and not session.failure:
                session.failure = self._why_not("come up")
        return session

    def _let_end(self, report: socket.socket) -> None:
        session = self._session
        if self._signs.greets:
            self._listen(lambda: session.greeted, _PROMPT)
        if not self._signs.reports:
            return  # there is nobody in it who could be told to power off
        report.sendall(b"power off\n")
        session.has_shut_down = self._listen(lambda: self._has_ended)
        if not session.has_shut_down:
            session.failure = self._why_not("shut down")

    def _listen(self, happened: Callable[[], bool], seconds: float | None = None) -> bool:
        """Listen until something has happened: False if first it ends, fails, or has no more time."""
        until = self._deadline if seconds is None else min(self._deadline, monotonic() + seconds)
        while not happened():
            if self._has_ended or self._session.failure:
                return False
            ready = self._selector.select(max(0.0, until - monotonic()))
            if not ready:
                return False
            for key, _ in ready:
                key.data()
        return True

    @contextmanager
    def _powered_on(self, log: BinaryIO) -> Iterator[tuple[process.Running, socket.socket]]:
        console_ours, console_its = socket.socketpair()
        report_ours, report_its = socket.socketpair()
        with console_ours, console_its, report_ours, report_its:
            descriptors = console_its.fileno(), report_its.fileno()
            with process.started(
                self._machine.argv(self._session.accelerator, *descriptors), descriptors=descriptors
            ) as running:
                console_its.close()  # so that we see QEMU close its own
                report_its.close()
                self._hear(console_ours, self._on_console, log)
                self._hear(report_ours, self._on_report)
                if self._limits.stop is not None:
                    self._selector.register(self._limits.stop, selectors.EVENT_READ, _stop)
                yield running, report_ours

    def _hear(self, source: socket.socket, understand: Callable[[str], None], log: BinaryIO | None = None) -> None:
        heard = bytearray()

        def receive() -> None:
            try:
                data = source.recv(_CHUNK)
            except ConnectionResetError:
                data = b""
            self._has_ended = self._has_ended or not data
            if log is not None:
                log.write(data)
                log.flush()
            heard.extend(data)
            understand(console.plain(heard.decode(errors="replace")))

        self._selector.register(source, selectors.EVENT_READ, receive)

    def _on_console(self, text: str) -> None:
        session = self._session
        session.console = text
        session.greeted = console.asks_for_login(text)
        if not self._is_up():
            session.failure = console.failure(text)

    def _on_report(self, text: str) -> None:
        self._session.report = text

    def _is_up(self) -> bool:
        return self._signs.is_report(self._session.report) if self._signs.reports else self._session.greeted

    def _why_not(self, what: str) -> str:
        last = next((line for line in reversed(self._session.console.splitlines()) if line.strip()), "")
        said = f"the last thing that it said: {last.strip()}" if last else "it has said nothing"
        when = "it ended before it was up" if self._has_ended else f"it does not {what} in {self._limits.seconds:g} s"
        return f"{when}; {said}"


def _stop() -> NoReturn:
    raise Interrupted
