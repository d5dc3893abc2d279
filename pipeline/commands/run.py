"""`doit run`, which is also plain `doit`: doit's own, with promises about what happens when something goes wrong."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doit.cmd_run import Run as DoitRun
from doit.exceptions import InvalidCommand, InvalidTask
from doit.task import Task

from pipeline.commands.site_command import SiteCommand
from pipeline.engine import may_end_early, show_warnings, user_errors
from pipeline.engine.artifact import loading, space
from pipeline.engine.run import failures, logs, processes
from pipeline.engine.run.guard import Guard
from pipeline.engine.state.freshness import Control, fresh
from pipeline.engine.state.state import State
from pipeline.errors import GuestfarmError
from pipeline.image.files.publish import sweep
from pipeline.signals import INTERRUPTED
from pipeline.tasks import Site, master, ownership, single_file

_ALL = 2
"""The verbosity in which doit shows all that tasks print."""


class Run(DoitRun):  # type: ignore[misc]  # doit has no types
    """Runs tasks: one run at a time in a build folder, and what it finished stays finished however it ends."""

    name = "run"

    def __init__(self, cmds: Any = None, **options: Any) -> None:  # noqa: ANN401  # whatever doit's own takes
        super().__init__(cmds=cmds, **options)
        self._beginnings = {"cmds": cmds, **options}
        self._commands: Any = cmds or {}
        self.task_list: list[Task]

    def parse_execute(self, in_args: list[str]) -> int:
        """Run tasks; for VERB:GUEST, where VERB is a command of ours for guests, do that command for these guests.

        There is no task of such a name: doit refuses a task creator that is called like a command.
        """
        verb = next(
            filter(self._is_for_guests, (argument.partition(":")[0] for argument in in_args if ":" in argument)), ""
        )
        if not verb:
            return int(super().parse_execute(in_args))
        command = self._commands.get_plugin(verb)(**self._beginnings)
        return int(command.parse_execute([argument.removeprefix(f"{verb}:") for argument in in_args]))

    def _is_for_guests(self, verb: str) -> bool:
        if verb not in self._commands:
            return False
        command = self._commands.get_plugin(verb)
        return isinstance(command, type) and issubclass(command, SiteCommand) and command.takes_guests

    def execute(self, params: Any, args: list[str]) -> int:  # noqa: ANN401  # doit's
        """Load tasks, but no more than are needed, and run them."""
        with may_end_early(), loading.only(args):
            return int(super().execute(params, args))

    def _execute(self, *arguments: Any, **options: Any) -> int:  # noqa: ANN401  # whatever doit's own takes
        self.dep_manager: Any
        state = self.dep_manager.backend
        if not isinstance(state, State):  # somebody else's dodo.py
            return int(super()._execute(*arguments, **options))
        processes.prepare()
        failures.distinguish()
        with user_errors():
            site = self.loader.namespace.get("site")
            if isinstance(site, Site):
                ownership.check_users(site.build)
            state.lock.acquire()
            loading.keep()
            if isinstance(site, Site):
                ownership.claim(site)
                ownership.sweep(site, state.drafts())
            else:
                for folder in state.drafts():
                    sweep(folder)
            control = self._control(options["auto_delayed_regex"])
            if not options["always"]:
                control.fresh = fresh(control.chosen(), state, self.dep_manager.checker.digest)
            stale = [task for task in control.chosen() if task.name not in control.fresh]
            if stale and isinstance(site, Site):
                ownership.sweep_guests(site.build)
            space.check(stale, Path(state.name).parent)
            self.dep_manager = Guard(self.dep_manager, control.fresh)
            if options.get("force_verbosity") and options["verbosity"] == _ALL:
                logs.echo()
            try:
                with processes.together(), control.in_charge(), self._news_of_masters():
                    return int(super()._execute(*arguments, **options))
            except KeyboardInterrupt:
                print("interrupted; what was finished stays finished, and doit goes on from there", file=sys.stderr)
                return INTERRUPTED

    def _control(self, auto_delayed_regex: bool) -> Control:
        try:
            control = Control(self.task_list, auto_delayed_regex=auto_delayed_regex)
            control.process(self.sel_tasks)
        except (InvalidTask, InvalidCommand) as error:
            if not loading.everything():
                self._explain(getattr(error, "not_found", None))
                raise
            # A task of the user's own may depend on some that were left out.
            self.task_list = self.loader.load_tasks(cmd=self, pos_args=self.sel_tasks or [])
            return self._control(auto_delayed_regex)
        return control

    @contextmanager
    def _news_of_masters(self) -> Iterator[None]:
        """Show, after the block, what was not known before it: that masters which it made lack something."""
        site = self.loader.namespace.get("site")
        before = list(master.warnings(site, loading.notes())) if isinstance(site, Site) else []
        yield
        if isinstance(site, Site):
            show_warnings(each for each in master.warnings(site, loading.notes()) if each not in before)

    def _explain(self, task: str | None) -> None:
        """Raise GuestfarmError if `task` is one that only some guests have."""
        site = self.loader.namespace.get("site")
        for guest in site.farm.guests.values() if isinstance(site, Site) and task else ():
            if task in single_file.names(guest):
                raise GuestfarmError(single_file.absence(guest, task))

    # doit passes the options that the signature names.
    _execute.__signature__ = inspect.signature(DoitRun._execute)  # type: ignore[attr-defined]  # mypy knows it on classes only
