"""Fills in templates: a program of its own that renderer.py starts, with limits, since a template is a program, too.

It imports nothing of Guestfarm's. Its arguments are two descriptors: of a pipe to read from, and of memory that it
shares with the one who asks. It is asked in batches. Each is its length in 8 bytes, little-endian, and a tuple in the
format of marshal: new templates by number, each with its name and text; variables; what is known of guests; and
renders, each the numbers of a guest, a template and variables. The items of the second and the third are marshalled
on their own.

An answer on the standard output is a line with a JSON list, and the texts after it, one after the other. In the list,
a number is the length in bytes of a render's text, and a pair is a mistake: its line and what it is. Line 0 says that
the time was over before. Once texts come to MOST_ANSWERED bytes the answer ends, and is of the first renders alone.

The number of the render that is being filled in is in the shared memory. So it is known which has ended the program.
"""

import json
import marshal
import math
import mmap
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import IO, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST: Final = 1 << 24
"""Characters that a template may come to."""
MOST_ANSWERED: Final = 1 << 20
"""Bytes of texts after which an answer ends: both sides have it in memory, with the text that goes beyond."""
LENGTH: Final = struct.Struct("<Q")
"""The length of a batch, and the number of a render."""
_SECONDS: Final = 2.0
"""Of processor time that all templates may take together: to compile one of 100 KB takes about half a second."""
_SECONDS_PER_RENDER: Final = 0.005
"""What each adds to that, up to the same again: most take less than one thousandth."""
_GRACE: Final = 1
"""Seconds after which one that does not listen is ended: when it is in the midst of a long calculation of Python's."""
_BY_CHANCE: Final = (("filters", "random"), ("globals", "lipsum"))
"""What would make another file of the same template in each run."""
_LONGEST_ERROR: Final = 1 << 16
"""Bytes that may be written to a file, which is our standard error."""


class _TooLong(Exception):  # noqa: N818  # the user's, too
    """The time is over."""


class _Mistake(Exception):  # noqa: N818  # the user's
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Clock:
    """The processor time that is left."""

    is_over = False

    def __init__(self) -> None:
        self._saved = _SECONDS
        self._runs = False
        signal.signal(signal.SIGPROF, self._ring)

    def __enter__(self) -> None:
        self._saved = min(_SECONDS, self._saved + _SECONDS_PER_RENDER)
        now = _processor_time()
        self._begun = now
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(now + self._saved) + _GRACE, hard))
        self._runs = True
        signal.setitimer(signal.ITIMER_PROF, self._saved, _GRACE / 4)

    def __exit__(self, *_: object) -> None:
        self._runs = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._saved = max(0.0, self._saved - (_processor_time() - self._begun))

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        self.is_over = True
        if self._runs:
            raise _TooLong


def environment() -> ImmutableSandboxedEnvironment:
    """The environment of all templates.

    Nothing is escaped: what is made are configurations, not HTML, each with rules of its own for quoting.
    """
    made = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined, keep_trailing_newline=True)
    for table, name in _BY_CHANCE:
        del getattr(made, table)[name]
    return made


class _Templates:
    """Templates by number, compiled when they are first filled in."""

    def __init__(self) -> None:
        self._environment = environment()
        self._sources: dict[int, tuple[str, str]] = {}
        self._compiled: dict[int, Template | _Mistake] = {}

    def add(self, sources: dict[int, tuple[str, str]]) -> None:
        """Learn templates: for each number its name and text."""
        self._sources |= sources

    def text(self, number: int, values: dict[str, object]) -> bytes:
        """What a template comes to. Raises _Mistake for whatever goes wrong."""
        name, source = self._sources[number]
        try:
            if number not in self._compiled:
                self._compiled[number] = self._compile(name, source)
            template = self._compiled[number]
            if isinstance(template, _Mistake):
                raise _Mistake(template.line, str(template))
            return _joined(template, values)
        except _Mistake:
            raise
        except Exception as error:  # a template is a program of the user's, and may fail in every way
            line = _line(error.__traceback__, name) or 1
            raise _Mistake(line, _message(error)) from error

    def _compile(self, name: str, source: str) -> "Template | _Mistake":
        made = self._environment
        try:
            code = made.compile(source, name=name, filename=name)
            return made.template_class.from_code(made, code, made.make_globals(None))
        except TemplateSyntaxError as error:
            return _Mistake(error.lineno, _one_line(error.message or "it cannot be read"))
        except RecursionError:
            return _Mistake(1, "it is nested too deeply")


def _joined(template: Template, values: dict[str, object]) -> bytes:
    parts: list[str] = []
    room = LARGEST
    for part in template.generate(values):
        parts.append(part)
        room -= len(part)
        if room < 0:
            raise ValueError(f"it comes to more than {LARGEST:,} characters")
    return "".join(parts).encode()


def _message(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it calls itself without end"
    if isinstance(error, MemoryError):
        return "it takes more memory than templates have"
    if isinstance(error, _TooLong):
        return "it takes more time than templates have"
    return _one_line(str(error)) or type(error).__name__


def _one_line(message: str) -> str:
    return " ".join(message[:10_000].split())[:300]


def _line(traceback: TracebackType | None, filename: str) -> int | None:
    """The line of the template where it went wrong: Jinja2 puts the template's own lines into tracebacks."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _batches(questions: IO[bytes]) -> Iterator[bytes]:
    while length := questions.read(LENGTH.size):
        yield questions.read(*LENGTH.unpack(length))


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LONGEST_ERROR, _LONGEST_ERROR))
    questions, shared = map(int, sys.argv[1:])
    templates, clock, current = _Templates(), _Clock(), mmap.mmap(shared, LENGTH.size)
    for batch in _batches(os.fdopen(questions, "rb")):
        sources, variables, guests, renders = marshal.loads(batch)  # noqa: S302  # from who started us
        templates.add(sources)
        variables, guests = (list(map(marshal.loads, each)) for each in (variables, guests))
        answers: list[int | tuple[int, str]] = []
        texts: list[bytes] = []
        room = MOST_ANSWERED
        for number, (guest, template, own) in enumerate(renders):
            LENGTH.pack_into(current, 0, number)
            try:
                if clock.is_over:
                    raise _Mistake(0, "")
                with clock:
                    text = templates.text(template, {**variables[own], "guest": guests[guest]})
                answers.append(len(text))
                texts.append(text)
                room -= len(text)
            except _Mistake as mistake:
                answers.append((mistake.line, str(mistake)))
            except _TooLong:  # at the very end
                answers.append((1, _message(_TooLong())))
            if room <= 0:
                break
        sys.stdout.buffer.write(json.dumps(answers).encode() + b"\n")
        sys.stdout.buffer.writelines(texts)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
