"""The program that fills in templates, jinja.py: started at the first template, and asked from then on."""

import atexit
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from contextvars import Context
from pathlib import Path
from threading import Lock
from typing import IO, Final, NamedTuple

from pipeline import process

_PROGRAM: Final = Path(__file__).with_name("jinja.py")
_LIMITS: Final = process.Limits(memory=384 << 20, seconds=1 << 30)
"""Python and Jinja2 take 50 MiB of memory. How long a template may take is set by the program, before each."""
_MOST_SOURCES: Final = 1 << 22
"""Characters of templates that one program is given: compiled, they stay in its memory."""
_ENDED: Final = "it takes more time or memory than templates have"


class Render(NamedTuple):
    """A template to be filled in."""

    name: str
    source: str
    variables: Mapping[str, str | Sequence[str]]


class Mistake(NamedTuple):
    """What is wrong with a template, and in which of its lines."""

    line: int
    message: str


NOT_TRIED: Final = Mistake(0, "")
"""For what comes after a template that has taken all the time there is for them, or all memory."""


def rendered(guest: Mapping[str, object], renders: Sequence[Render]) -> list[bytes | Mistake]:
    """What these templates of one guest come to, in UTF-8; `guest` is what they know of it. Raises ProcessError."""
    found: list[bytes | Mistake] = []
    with _lock:
        while len(found) < len(renders):
            rest = renders[len(found) :]
            found += [NOT_TRIED] * len(rest) if _has_crashed else _current().ask(guest, rest)
    return found


class _Program:
    """A running jinja.py."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.ended = False
        self._is_new = True
        self._numbers: dict[tuple[str, str], str] = {}
        self._stack = ExitStack()
        (reading, its_output), (its_input, writing) = os.pipe(), os.pipe()
        self._answers: IO[bytes] = self._stack.enter_context(os.fdopen(reading, "rb"))
        self._questions: IO[bytes] = self._stack.enter_context(os.fdopen(writing, "wb"))
        try:
            argv = [sys.executable, "-I", str(_PROGRAM), str(its_input)]
            self._running = self._stack.enter_context(
                process.started(argv, descriptors=[its_input], stdout=its_output, limits=_LIMITS)
            )
        except BaseException:
            self.end()
            raise
        finally:
            os.close(its_input)
            os.close(its_output)

    def ask(self, guest: Mapping[str, object], renders: Sequence[Render]) -> list[bytes | Mistake]:
        """What the first of these templates come to, or all of them."""
        try:
            found = list(self._answered(guest, renders))
        except BaseException:  # the rest of an answer may still be on its way
            self.end()
            raise
        if len(found) == len(renders):
            if sum(len(source) for _, source in self._numbers) > _MOST_SOURCES:
                self.end()
        elif self._running.wait() == -signal.SIGKILL and not self._is_new:
            self.end()  # the thread that had started it has ended: another program is asked
        else:
            self.end()
            _has_crashed.append(self)
            found.append(Mistake(1, _ENDED))
        self._is_new = False
        return found

    def end(self) -> None:
        """Have it end. What is logged of it belongs to no task."""
        self.ended = True
        with suppress(BrokenPipeError):
            Context().run(self._stack.close)

    def _answered(self, guest: Mapping[str, object], renders: Sequence[Render]) -> Iterator[bytes | Mistake]:
        sources, numbers = {}, []
        for each in renders:
            key = each.name, each.source
            if key not in self._numbers:
                self._numbers[key] = str(len(self._numbers))
                sources[self._numbers[key]] = key
            numbers.append((self._numbers[key], each.variables))
        question = {"sources": sources, "guest": guest, "renders": numbers}
        try:
            self._questions.write(json.dumps(question).encode() + b"\n")
            self._questions.flush()
        except BrokenPipeError:
            return
        for _ in renders:
            line = self._answers.readline()
            if not line.endswith(b"\n"):
                return
            place, told = json.loads(line)
            if place is not None:
                yield Mistake(place, told)
                continue
            text = self._answers.read(told)
            if len(text) < told:
                return
            yield text


_lock = Lock()
_has_crashed: list[_Program] = []
"""A program that a template made end."""
_programs: list[_Program] = []
"""The last is ours. Those of a process that this one is a fork of are kept: to let go of them would end them."""


def _current() -> _Program:
    if not _programs or _programs[-1].ended or _programs[-1].owner != os.getpid():
        _programs[:] = [each for each in _programs if not each.ended]
        _programs.append(_Program())
        atexit.register(_end, os.getpid())
    return _programs[-1]


def _end(owner: int) -> None:
    for program in _programs:
        if program.owner == owner == os.getpid() and not program.ended:
            program.end()
