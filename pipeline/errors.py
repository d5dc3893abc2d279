"""The errors a user may see: what is wrong, where, and what to do about it."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

_variables: dict[str, str] = {}
"""What this command line says of the list and the build folder, by name."""


def quoted(text: str) -> str:
    """`text` in quotes and on one line, for a message: unprintable characters as escapes, a long text cut short."""
    limit = 80  # a host name that is one character too long is still shown whole
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def counted(count: int, noun: str) -> str:
    """`count` things called `noun`, as in "1 guest" and "2 guests"."""
    return f"{count:,} {noun}" + "s" * (count != 1)


def note_variable(name: str, value: str) -> None:
    """Have the commands in hints say NAME=VALUE, as the user's command line does."""
    _variables[name] = value


def command(*words: str) -> str:
    """`doit WORD ...` to be pasted into a shell: quoted, and for the same list and build folder."""
    return shlex.join(["doit", *(f"{name}={value}" for name, value in _variables.items()), *words])


class GuestfarmError(Exception):
    """Something the user can act on: a message, and a hint that says how. Shown without a traceback."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message = message
        self.hint = hint


class ImageError(GuestfarmError):
    """An image, or a file system in it, could not be made, read or changed."""


class ProcessError(GuestfarmError):
    """A program is missing, or said that it failed."""


class HostError(GuestfarmError):
    """What the host has of a guest cannot be looked at, or must not be changed now."""


class MasterError(GuestfarmError):
    """A master cannot be what the guests' root file systems start from."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a text file. Lines and columns count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with the guest list, as one line for the user."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class ListError(GuestfarmError):
    """Everything that is wrong with the guest list, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint to the one among `known` that `word` may be a misspelling of; empty where none comes close."""
    close = get_close_matches(word.lower(), islice(known, 100), 1)  # to compare with more takes long
    return f"did you mean {quoted(str(close[0]))}?" if close else ""
