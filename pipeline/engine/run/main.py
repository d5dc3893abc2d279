"""doit's main: its configuration files and the variables of the command line are checked before a command is chosen."""

import signal
import sys
from collections.abc import Sequence
from configparser import Error as ConfigError
from importlib.metadata import entry_points, version
from pathlib import Path

from doit import doit_cmd
from doit.doit_cmd import DoitConfig, DoitMain

from pipeline import signals
from pipeline.engine.run import descriptors
from pipeline.engine.run.output import may_end_early
from pipeline.engine.run.user_errors import one_line_errors
from pipeline.errors import GuestfarmError, did_you_mean, quoted

_CONFIGURATION = ("pyproject.toml", "doit.cfg")
"""The files that doit reads its configuration from, in its order."""


def run() -> int:
    """Do what the command line says, and return the exit code. Afterwards, Ctrl-C ends the process silently."""
    try:
        return carry_out(sys.argv[1:])
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def carry_out(arguments: Sequence[str]) -> int:
    """Do what `arguments` say, and return the exit code. Raises SystemExit, too, with it."""
    with one_line_errors("doit"), may_end_early():
        descriptors.prepare()
        signals.end_at_once()
        checked = _checked(arguments)
        for file in _CONFIGURATION:
            _check_configuration(file)
        return int(_Main(config_filenames=_CONFIGURATION).run(checked) or 0)


class _Main(DoitMain):  # type: ignore[misc]  # doit has no types
    BIN_NAME = "doit"

    @staticmethod
    def print_version() -> None:
        """Print the versions of doit and of Guestfarm."""
        DoitMain.print_version()
        print("guestfarm", version("guestfarm"))

    def process_args(self, cmd_args: Sequence[str]) -> list[str]:
        """Keep variables, NAME=VALUE, and return all else. A path with an equals sign in it is no variable."""
        doit_cmd.reset_vars()
        rest: list[str] = []
        given: dict[str, str] = {}
        for argument in cmd_args:
            name, equals, value = argument.partition("=")
            if not equals or not name.isidentifier():
                rest.append(argument)
                continue
            if given.setdefault(name, value) != value:
                raise GuestfarmError(f"{name} is given twice: {quoted(given[name])} and {quoted(value)}", "give one")
            doit_cmd.set_var(name, value)
        return rest


def _checked(arguments: Sequence[str]) -> list[str]:
    """The arguments, with -h for --help where it comes first, as is done everywhere. Raises GuestfarmError."""
    if "" in arguments:
        raise GuestfarmError("doit: an empty argument means nothing", "is a variable of the shell empty?")
    return ["--help", *arguments[1:]] if arguments[:1] == ["-h"] else [*arguments]


def _check_configuration(name: str) -> None:
    """Raise GuestfarmError if doit cannot read its configuration from the file `name`; it may be absent."""
    if not Path(name).exists():
        return
    read = DoitConfig()
    try:
        read.loads([name])
        config = {section: dict(options) for section, options in read.as_dict().items()}
    except OSError as error:
        raise GuestfarmError(f"{name}: cannot be read: {error.strerror}") from error
    except (ConfigError, ValueError) as error:  # a TOMLDecodeError and a UnicodeDecodeError are ValueErrors
        raise GuestfarmError(f"{name}: not understood: {' '.join(str(error).split())}") from error
    except (AttributeError, AssertionError, TypeError) as error:  # doit takes for granted that there are tables
        raise GuestfarmError(f"{name}: not what doit expects in [tool.doit]: a table of options", _MANUAL) from error

    for kind in ("COMMAND", "LOADER", "BACKEND", "REPORTER"):
        for plugin, location in config.get(kind, {}).items():
            if str(location).count(":") != 1:
                raise GuestfarmError(f"{name}: {plugin} in [{kind}]: expected MODULE:NAME, got {quoted(str(location))}")
    loader = config.get("GLOBAL", {}).get("loader")
    plugins = [*config.get("LOADER", {}), *(each.name for each in entry_points(group="doit.LOADER"))]
    if loader is not None and loader not in plugins:
        raise GuestfarmError(f"{name}: no such loader: {quoted(str(loader))}", did_you_mean(str(loader), plugins))


_MANUAL = "see https://pydoit.org/configuration.html"
