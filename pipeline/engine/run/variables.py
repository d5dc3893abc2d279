"""Variables of the command line, NAME=VALUE: one that nothing asks for is a mistake."""

from collections.abc import Iterable
from typing import Any

from doit import doit_cmd

from pipeline.errors import GuestfarmError, did_you_mean, quoted


class _Asked(dict[str, str]):
    """What doit keeps variables in, with a note of those that somebody has asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401  # as of any dict
        """The value of the variable `name`, or the default."""
        self.names.add(name)
        return super().get(name, default)


def watch() -> None:
    """Note from now on which variables are asked for: by Guestfarm, or by a dodo.py that has its own."""
    known = doit_cmd._CMDLINE_VARS  # doit has no other place for them
    if not isinstance(known, _Asked):
        doit_cmd._CMDLINE_VARS = _Asked(known or {})


def check(known: Iterable[str] = ()) -> None:
    """Raise GuestfarmError for a variable that nothing has asked for, but for the names that are `known` anyway."""
    given = doit_cmd._CMDLINE_VARS
    if isinstance(given, _Asked):
        names = given.names.union(known)
        for name in given:
            if name not in names:
                hint = did_you_mean(name, names) or f"known: {', '.join(sorted(names))}"
                raise GuestfarmError(f"unknown variable {quoted(name)} in {quoted(f'{name}={given[name]}')}", hint)


def check_misspelt() -> None:
    """Raise GuestfarmError for a variable that is like one that was asked for: a farm is about to be read without."""
    given = doit_cmd._CMDLINE_VARS
    if isinstance(given, _Asked):
        check(name for name in given if not did_you_mean(name, given.names))
