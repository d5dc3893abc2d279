"""Commands of doit's that need no dodo.py, in this process."""

from doit.cmd_base import Command
from doit.doit_cmd import DoitMain


def run(command: type[Command], *arguments: str) -> int:
    """The exit code of doit with these arguments, when `command` is one of its commands."""

    class Doit(DoitMain):  # type: ignore[misc]  # doit has no types
        DOIT_CMDS = (*DoitMain.DOIT_CMDS, command)

    try:
        return int(Doit().run(list(arguments)))
    except SystemExit as end:
        return int(str(end.code))
