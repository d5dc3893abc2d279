"""Builds what another command needs, as plain doit would."""

import sys
from collections.abc import Iterable
from inspect import Parameter, signature
from typing import Any

from pipeline.commands.base_command import MOST_PROCESSES, WholeNumber
from pipeline.commands.run import Run
from pipeline.commands.site_command import SiteCommand
from pipeline.engine.artifact.targets import compared, explanation
from pipeline.engine.run.guard import Kept

PROCESS = {
    "name": "processes",
    "short": "n",
    "long": "process",
    "type": WholeNumber(0, MOST_PROCESSES),
    "default": 0,
    "help": "number of subprocesses to build by",
}


def build(command: SiteCommand, names: Iterable[str], processes: int) -> int:
    """Run the tasks `names` and what they depend on, as far as that is stale; one that fails does not stop the others.

    From then on the build folder is locked, as long as `command` is at work. Returns the exit code of `doit run`.
    """
    run: Any = Run(task_loader=command.loader, config=command.config, bin_name=command.bin_name)
    run.dep_manager = Kept(command.dep_manager)
    run.task_list = command.task_list
    run.sel_tasks = list(names)
    defaults = {
        name: parameter.default
        for name, parameter in signature(run._execute).parameters.items()
        if parameter.default is not Parameter.empty
    }
    options = {**defaults, "continue_": True, "reporter": "executed-only", "num_process": processes, "verbosity": 2}
    return int(run._execute(sys.stdout, **options)) if run.sel_tasks else 0


def unfinished(command: SiteCommand, names: Iterable[str]) -> list[str]:
    """Why artifacts of these tasks are not to be used, one line for each task of which that is so."""
    tasks = command.tasks
    found = []
    for name in names:
        targets = compared(tasks[name], command.dep_manager)
        if targets.touched:
            found.append(explanation(tasks[name], targets))
        elif targets.unfinished or command.dep_manager.get_status(tasks[name], tasks).status != "up-to-date":
            found.append(f"{name} could not be built")
    return found
