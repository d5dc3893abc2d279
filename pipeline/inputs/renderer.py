"""The program that fills in templates, jinja.py: started at the first template, and asked in batches from then on."""

import atexit
import json
import marshal
import mmap
import os
import signal
import struct
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from contextvars import Context
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final, NamedTuple

from pipeline import process

_PROGRAM: Final = Path(__file__).with_name("jinja.py")
_LIMITS: Final = process.Limits(memory=384 << 20, seconds=1 << 30)
"""Python and Jinja2 take 50 MiB of memory. How long a template may take is set by the program, before each."""
_MOST_SOURCES: Final = 1 << 22
"""Characters of templates that one program is given: compiled, they stay in its memory."""
_LARGEST_BATCH: Final = 1 << 18
"""Bytes after which a batch ends: some hundred guests, so that to ask costs next to nothing for each."""
_ENDED: Final = "it takes more time or memory than templates have"
_LENGTH: Final = struct.Struct("<Q")
"""As jinja.py has it."""


class Render(NamedTuple):
    """A template to be filled in."""

    name: str
    source: str
    variables: dict[str, str | tuple[str, ...]]


class Request(NamedTuple):
    """The templates of a guest, which know `guest` of it: what marshal knows, with tuples, which nothing can change.

    Variables that several renders share are sent once where they are one object.
    """

    guest: dict[str, Any]
    renders: Sequence[Render]


class Mistake(NamedTuple):
    """What is wrong with a template, and in which of its lines."""

    line: int
    message: str


NOT_TRIED: Final = Mistake(0, "")
"""For what comes after a template that has taken all the time there is for them, or all memory."""


def rendered(requests: Iterable[Request]) -> Iterator[list[bytes | Mistake]]:
    """For each request, in order, what its templates come to, in UTF-8. Raises ProcessError.

    Requests are taken ahead, a batch at a time. What other threads ask meanwhile is answered between batches.
    """
    for batch in _batches(requests):
        missing = deque(len(request.renders) for request in batch.requests)
        found: list[bytes | Mistake] = []
        while missing:
            if len(found) >= missing[0]:
                count = missing.popleft()
                yield found[:count]
                del found[:count]
            else:
                found += batch.answered()


class _Batch:
    """Requests that are sent at once, and which of their renders have been answered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.size = 0
        self.sources: dict[tuple[str, str], int] = {}
        """Numbers of templates by their names and texts."""
        self.variables: list[bytes] = []
        self.guests: list[bytes] = []
        self.renders: list[tuple[int, int, int]] = []
        """The numbers of a guest, a template and variables."""
        self._numbers: dict[int, int] = {}
        self._answered = 0
        self._crash: int | None = None
        """The number of the render that ended a program."""

    def add(self, request: Request) -> None:
        """Add the renders of a request."""
        self.requests.append(request)
        if not request.renders:
            return
        self.guests.append(marshal.dumps(request.guest))
        self.size += len(self.guests[-1])
        for render in request.renders:
            source = self.sources.get(render[:2])
            if source is None:
                source = self.sources[render[:2]] = len(self.sources)
                self.size += len(render.source)
            number = self._numbers.get(id(render.variables))  # they are alive: the request has them
            if number is None:
                number = self._numbers[id(render.variables)] = len(self.variables)
                self.variables.append(marshal.dumps(render.variables))
                self.size += len(self.variables[-1])
            self.renders.append((len(self.guests) - 1, source, number))

    def answered(self) -> Sequence[bytes | Mistake]:
        """What the next renders come to; at least one."""
        with _lock:
            while self._answered != self._crash:
                if _has_crashed and self._crash is None:
                    return self._not_tried()
                try:
                    found = _current().ask(self, self._answered, self._crash)
                except _CrashError as crash:
                    self._crash = crash.number
                    continue
                if found:
                    self._answered += len(found)
                    return found
            _has_crashed.append(True)
            return [Mistake(1, _ENDED), *self._not_tried()[1:]]

    def _not_tried(self) -> list[Mistake]:
        return [NOT_TRIED] * (len(self.renders) - self._answered)


def _batches(requests: Iterable[Request]) -> Iterator[_Batch]:
    batch = _Batch()
    for request in requests:
        batch.add(request)
        if batch.size >= _LARGEST_BATCH:
            yield batch
            batch = _Batch()
    if batch.requests:
        yield batch


class _CrashError(Exception):
    """A program has ended by itself. It never leaves this module."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        """Of the render that it was at."""


class _Program:
    """A running jinja.py."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.ended = False
        self._is_new = True
        self._numbers: dict[tuple[str, str], int] = {}
        self._characters = 0
        self._stack = ExitStack()
        (reading, its_output), (its_input, writing) = os.pipe(), os.pipe()
        self._answers: IO[bytes] = self._stack.enter_context(os.fdopen(reading, "rb", buffering=1 << 16))
        self._questions: IO[bytes] = self._stack.enter_context(os.fdopen(writing, "wb"))
        shared = os.memfd_create("render")
        try:
            os.ftruncate(shared, _LENGTH.size)
            self._current = self._stack.enter_context(mmap.mmap(shared, _LENGTH.size))
            argv = [sys.executable, "-I", str(_PROGRAM), str(its_input), str(shared)]
            self._running = self._stack.enter_context(
                process.started(argv, descriptors=[its_input, shared], stdout=its_output, limits=_LIMITS)
            )
        except BaseException:
            self.end()
            raise
        finally:
            os.close(its_input)
            os.close(its_output)
            os.close(shared)

    def ask(self, batch: _Batch, first: int, end: int | None) -> Sequence[bytes | Mistake]:
        """What renders of a batch come to, from the `first` on, and before `end`: as many as one answer has.

        There are none if the program has to be started again. Raises _CrashError.
        """
        _LENGTH.pack_into(self._current, 0, 0)
        try:
            found = self._answered(self._question(batch, first, end))
        except BaseException:  # the rest of an answer may still be on its way
            self.end()
            raise
        if found:
            self._is_new = False
            if self._characters > _MOST_SOURCES:
                self.end()
            return found
        code = self._running.wait()
        (number,) = _LENGTH.unpack_from(self._current)
        self.end()
        if code == -signal.SIGKILL and not self._is_new:  # the thread that had started it has ended
            return ()
        raise _CrashError(first + int(number))

    def end(self) -> None:
        """Have it end. What is logged of it belongs to no task."""
        self.ended = True
        with suppress(BrokenPipeError):
            Context().run(self._stack.close)

    def _question(self, batch: _Batch, first: int, end: int | None) -> bytes:
        sources, numbers = {}, []
        for key in batch.sources:
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = len(self._numbers)
                sources[number] = key
                self._characters += len(key[1])
            numbers.append(number)
        renders = [(guest, numbers[source], variables) for guest, source, variables in batch.renders[first:end]]
        return marshal.dumps((sources, batch.variables, batch.guests, renders))

    def _answered(self, question: bytes) -> list[bytes | Mistake]:
        """What the first renders come to; nothing where the program has ended."""
        try:
            self._questions.write(_LENGTH.pack(len(question)))
            self._questions.write(question)
            self._questions.flush()
        except BrokenPipeError:
            return []
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            return []
        answers: list[Any] = json.loads(line)
        found: list[bytes | Mistake] = []
        for answer in answers:
            if isinstance(answer, int):
                text = self._answers.read(answer)
                if len(text) < answer:
                    return []
                found.append(text)
            else:
                found.append(Mistake(*answer))
        return found


_lock = Lock()
_has_crashed: list[bool] = []
"""Whether a template has made a program end."""
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
