"""Command lines that can be pasted into a shell, for the list and the build folder that were given."""

import shlex

import doit

_VARIABLES = ("guests", "build")


def command_line(*words: str) -> str:
    """`doit WORD ...` as a shell takes it, with the variables that this command line has."""
    given = {name: doit.get_var(name, None) for name in _VARIABLES}
    variables = [f"{name}={value}" for name, value in given.items() if value is not None]
    return shlex.join(["doit", *variables, *words])
