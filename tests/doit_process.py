"""doit runs, each in its own process.

A new interpreter takes 0.4 s of CPU to load doit and Guestfarm, most of what a run of a tiny farm takes. So runs are
forked from a process that has loaded both. Each is a real process: it has its own exit code, signals and workers.
"""

import multiprocessing
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pipeline

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        *("__main__", __name__, "doit.doit_cmd", "jinja2", "rich.progress"),
        *(module.name for module in pkgutil.walk_packages(pipeline.__path__, "pipeline.")),
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    """Its exit code, or minus the number of the signal that killed it."""
    output: str
    """Its standard output and standard error."""


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None = None,
) -> Ended:
    """Run `doit ARGUMENTS` in `folder`, in a fork of a process that has loaded Guestfarm.

    `prepare`, a function of a module, runs in the fork first.
    """
    ours, its = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_doit, args=([*arguments], folder, dict(environment), its, prepare))
    process.start()
    its.close()
    try:
        with os.fdopen(os.dup(ours.fileno()), encoding="utf-8") as output:
            text = output.read()  # ends when the last process that may write has ended
        process.join()
    finally:
        process.kill()
        ours.close()
    assert process.exitcode is not None
    return Ended(process.exitcode, text)


def run_afresh(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run `doit ARGUMENTS` in `folder`, in a new interpreter: needed where variables decide what is loaded."""
    completed = subprocess.run(
        [sys.executable, "-m", "doit", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ended(completed.returncode, completed.stdout)


def _doit(
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    output: Connection,
    prepare: Callable[[], None] | None,
) -> None:
    os.dup2(output.fileno(), sys.stdout.fileno())
    os.dup2(output.fileno(), sys.stderr.fileno())
    output.close()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = str(folder)  # as `python -m` has it
    sys.argv = ["doit", *arguments]
    if prepare is not None:
        prepare()

    from doit.__main__ import main

    main()
