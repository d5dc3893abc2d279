"""What every command does with the words it is given: unknown or senseless ones are errors, one line each."""

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import filter as filter_names
from getopt import GetoptError, getopt, gnu_getopt
from itertools import chain
from typing import Any, ClassVar

from doit.cmd_base import Command
from doit.cmdparse import CmdOption, CmdParseError, DefaultUpdate
from doit.task import Task

from pipeline import project, signals
from pipeline.engine import may_end_early
from pipeline.engine.run import descriptors, variables
from pipeline.engine.run.user_errors import one_line_errors
from pipeline.engine.state import looking
from pipeline.engine.state.state import State
from pipeline.errors import GuestfarmError, did_you_mean, quoted

_VARIABLES = ("guests", "build", "keys")
"""What commands that need no dodo.py take, whether they ask for it or not: a user may always give the same."""

MOST_PROCESSES = 1000
"""Workers that may be asked for. Each is a process with some 10 MiB of its own: more is a slip of the finger."""

_OWN_RECORDS = {
    "backend": "--backend",
    "dep_file": "--db-file",
    "check_file_uptodate": "--check_file_uptodate",
}
"""doit's options that would have runs keep their records elsewhere, or otherwise, than Guestfarm does."""


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A type of options: a whole number within bounds. `most` None stands for nine digits."""

    least: int = 0
    most: int | None = None

    @property
    def form(self) -> str:
        """What is expected, for messages."""
        bounds = f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
        return f"a whole number, {bounds}"

    def __str__(self) -> str:
        return f"as {self.form}"  # doit says: Error parsing parameter NAME TYPE

    def __call__(self, text: str) -> int:
        """The number that `text` stands for. Raises ValueError."""
        if not (text.isascii() and text.isdigit()) or len(text) > 9:
            raise ValueError(f"got {quoted(text)}")
        return self.checked(int(text))

    def checked(self, number: int) -> int:
        """`number`, if it is within the bounds. Raises ValueError."""
        if number < self.least or (self.most is not None and number > self.most):
            raise ValueError(f"got {number}")
        return number


_BOUNDS = {
    "verbosity": WholeNumber(0, 2),
    "failure_verbosity": WholeNumber(0, 2),
    "num_process": WholeNumber(0, MOST_PROCESSES),
}
"""The bounds of doit's own options, from their help texts."""

_CHOICES = {"par_type": ("process", "thread")}
"""What doit's own options may be, where doit does not look until there is work."""


class BaseCommand(Command):  # type: ignore[misc]  # doit has no types
    """A command of doit's that refuses what it does not understand, and never shows a traceback but for a bug.

    Exit codes: 2 for what the user can mend, 3 for a bug, 130 after Ctrl-C.
    """

    takes_words: ClassVar[bool] = True
    """Whether anything may follow besides options."""
    only_looks: ClassVar[bool] = False
    """Whether nothing is changed, whatever the options are: see looking.py."""
    options_anywhere: ClassVar[bool] = False
    """Whether options may follow the other arguments, too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # whatever doit's own takes
        super().__init__(*arguments, **options)
        self._given = arguments, options
        self.bin_name = "doit"  # also by python -m doit
        loader = getattr(self, "loader", None)
        if loader is not None:
            self.loader: Any = _Loader(loader, self)

    def get_options(self) -> list[CmdOption]:
        """The options, each with a type that refuses what is out of bounds."""
        options: list[CmdOption] = super().get_options()
        if _of_doit(type(self)) is not None and not project.is_farm(sys.argv[1:]):
            return options  # asked for by doit's own help
        for option in options:
            if option.type is int:
                option.type = _BOUNDS.get(option.name, WholeNumber())
            if option.name in _CHOICES:
                option.choices = dict.fromkeys(_CHOICES[option.name], "")
        return options

    def parse_execute(self, in_args: list[str]) -> int:
        """Do what the arguments say. Raises SystemExit with the exit code where that cannot be done.

        In another project than a farm, doit's own command does it, where it has one of that name.
        """
        if (own := _of_doit(type(self))) is not None and not project.is_farm(in_args):
            arguments, options = self._given
            return int(own(*arguments, **options).parse_execute(in_args) or 0)
        variables.watch()
        with one_line_errors(f"{self.bin_name} {self.name}", is_debugged=lambda: bool(self.pdb)):
            descriptors.prepare()
            signals.end_at_once()
            try:
                params, words = self._parsed(in_args)
                if params is None:
                    with may_end_early():
                        print(self.help())
                    return 0
                self.check(params, words)
                with looking.only() if self.looks(params) else nullcontext():
                    return int(self.execute(params, words) or 0)
            finally:
                signals.raise_interrupts()
                self._close()

    def _close(self) -> None:
        """Close the state where that was not done, as where a word turned out to be no task."""
        manager = getattr(self, "dep_manager", None)
        if manager is not None and isinstance(manager.backend, State):
            manager.close()

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for arguments that contradict each other, or are none of this command's."""
        if not hasattr(self, "loader"):
            variables.check(_VARIABLES)
        if words and not self.takes_words:
            raise GuestfarmError(
                f"{self.bin_name} {self.name} takes no arguments: {quoted(words[0])}", self._hint_of_help()
            )

    def looks(self, _params: Any) -> bool:  # noqa: ANN401  # doit's
        """Whether nothing is changed with these options."""
        return self.only_looks

    def check_loaded(self, tasks: Sequence[Task], words: list[str]) -> None:
        """Raise GuestfarmError for words that are no tasks, where they are meant to be; they may be replaced."""

    def _parsed(self, in_args: Sequence[str]) -> tuple[Any, list[str]]:
        """The values of all options, and the other arguments. None instead of values where help is asked for."""
        parser = self.cmdparser
        split = gnu_getopt if self.options_anywhere else getopt
        asks_help = "h" not in parser.get_short() and "help" not in parser.get_long()
        try:
            given, words = split(
                [*in_args], parser.get_short() + "h" * asks_help, parser.get_long() + ["help"] * asks_help
            )
        except GetoptError as error:
            raise self._not_understood(error) from None
        if asks_help and any(name in ("-h", "--help") for name, _ in given):
            return None, []
        params, _ = parser.parse([])  # defaults, and the environment
        self._note(params, given)
        for option in parser.options:
            if isinstance(option.type, WholeNumber) and isinstance(params[option.name], int):
                try:
                    option.type.checked(params[option.name])
                except ValueError:
                    raise GuestfarmError(
                        f"{option.name} {params[option.name]}: expected {option.type.form}",
                        "it is set in doit.cfg or pyproject.toml",
                    ) from None
        self.pdb = params.get("pdb", False)
        params.update(self.opt_vals)
        return params, words

    def _note(self, params: DefaultUpdate, given: Iterable[tuple[str, str]]) -> None:
        """Put the options that were `given` among `params`. Raises GuestfarmError."""
        before: dict[str, str] = {}
        for name, text in given:
            option, inverse = self.cmdparser.get_option(name)
            shown = f"{name} {text}" if option.type is not bool else name
            if option.type is list:
                params[option.name] = [*params[option.name], text]
                continue
            value = not inverse if option.type is bool else self._value(name, option, text)
            if option.name in before and params[option.name] != value:
                raise GuestfarmError(f"{before[option.name]} and {shown} contradict each other", "give one of them")
            params[option.name] = value
            before[option.name] = shown

    def _value(self, name: str, option: CmdOption, text: str) -> Any:  # noqa: ANN401  # whatever an option can be
        if not text:
            raise GuestfarmError(f"{name} needs a value", self._hint_of_help())
        try:
            return option.str2type(text)
        except CmdParseError:
            if isinstance(option.type, WholeNumber):
                raise GuestfarmError(f"{name} {text}: expected {option.type.form}") from None
            known = [*map(str, option.choices)]
            hint = did_you_mean(text, known) or f"known: {', '.join(known)}"
            raise GuestfarmError(f"{name} {quoted(text)} is unknown", hint) from None

    def _not_understood(self, error: GetoptError) -> GuestfarmError:
        known = [option.long for option in self.cmdparser.options if option.long]
        known += [option.inverse for option in self.cmdparser.options if option.inverse]
        guess = did_you_mean(f"--{error.opt}", [f"--{each}" for each in known]) if len(error.opt) > 1 else ""
        message = error.msg.replace("not recognized", "is unknown").replace("requires argument", "needs a value")
        return GuestfarmError(f"{self.bin_name} {self.name}: {message}", guess or self._hint_of_help())

    def _hint_of_help(self) -> str:
        return f"{self.bin_name} help {self.name} lists what it takes"


def _of_doit(command: type) -> type | None:
    """The command of doit's own that `command` takes the place of, if there is one."""
    return getattr(command, "of_doit", None) or next(
        (
            each
            for each in command.__mro__
            if each.__module__.startswith("doit.") and each.__module__ != "doit.cmd_base"
        ),
        None,
    )


class _Loader:
    """doit's loader of tasks, and the checks that can be made as soon as it has loaded them."""

    def __init__(self, loader: Any, command: BaseCommand) -> None:  # noqa: ANN401  # doit's
        self._loader = loader
        self._command = command
        self._params: Any = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever doit's loader has
        return getattr(self._loader, name)

    def setup(self, params: Any) -> None:  # noqa: ANN401  # doit's
        """Load dodo.py."""
        self._params = params
        self._loader.setup(params)

    def load_doit_config(self) -> Any:  # noqa: ANN401  # doit's
        """The DOIT_CONFIG of dodo.py. Raises GuestfarmError if options would have it overridden where it must not."""
        config = self._loader.load_doit_config()
        if config.get("backend") == "guestfarm":
            given = self._params._non_default_keys  # as doit's commands do
            for name, option in _OWN_RECORDS.items():
                if name in given and self._params[name] != config.get(name):
                    raise GuestfarmError(
                        f"{option} {self._params[name]}: Guestfarm keeps its records in its own way, in state.db",
                        f"leave out {option}; doit build=FOLDER builds elsewhere",
                    )
        return config

    def load_tasks(self, cmd: Any, pos_args: list[str]) -> list[Task]:  # noqa: ANN401  # doit's
        """The tasks. Raises GuestfarmError for words of the command line that nothing knows."""
        tasks: list[Task] = self._loader.load_tasks(cmd=cmd, pos_args=pos_args)
        variables.check()
        self._command.check_loaded(tasks, pos_args)
        signals.raise_interrupts()
        return tasks


def expanded(words: Iterable[str], tasks: Collection[str], guests: Callable[[], Collection[str]]) -> list[str]:
    """The names of tasks that `words` stand for, which are names or patterns. Raises GuestfarmError for others.

    Only then it asks for the names of the `guests`, for which the list may have to be read.
    """
    found = {word: [word] if word in tasks else filter_names(tasks, word) for word in words}
    unknown = [word for word, names in found.items() if not names]
    if unknown:
        known = guests()
        raise GuestfarmError("\n".join(str(unknown_task(word, tasks, known)) for word in unknown))
    return list(dict.fromkeys(chain(*found.values())))


def unknown_task(
    word: str, tasks: Collection[str], guests: Collection[str], others: Iterable[str] = ()
) -> GuestfarmError:
    """The error for a `word` that is no task, and none of `others` that it may be instead."""
    if word in guests:
        own = [name for name in tasks if word in name.split(":")[1:]]
        return GuestfarmError(f"{quoted(word)} is a guest, and no task", f"its tasks: {', '.join(own)}")
    kind, colon, _ = word.partition(":")
    kin = [name for name in tasks if name.startswith(f"{kind}:")] if colon else []
    groups = [name for name in tasks if ":" not in name]
    hint = did_you_mean(word, [*others, *groups]) if not colon else did_you_mean(word, kin or tasks)
    return GuestfarmError(f"no such task: {quoted(word)}", hint or "doit list --all shows all tasks")
