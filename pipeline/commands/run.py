"""`doit run`, which is also plain `doit`: doit's own, with promises about what happens when something goes wrong."""

import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doit.cmd_run import Run as DoitRun
from doit.exceptions import InvalidCommand, InvalidTask
from doit.task import Task

from pipeline import project
from pipeline.commands.base_command import BaseCommand, unknown_task
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


class Run(BaseCommand, DoitRun):  # type: ignore[misc]  # doit has no types
    """Runs tasks: one run at a time in a build folder, and what it finished stays finished however it ends."""

    name = "run"

    def __init__(self, cmds: Any = None, **options: Any) -> None:  # noqa: ANN401  # whatever doit's own takes
        super().__init__(cmds=cmds, **options)
        self._beginnings = {"cmds": cmds, **options}
        self._commands: Any = cmds or {}
        self.task_list: list[Task]
        self.sel_tasks: list[str] | None

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for options that mean nothing together."""
        super().check(params, words)
        if params["single"] and not words:
            raise GuestfarmError("doit -s leaves out what tasks depend on, and so wants tasks", "as in: doit -s NAME")

    def parse_execute(self, in_args: list[str]) -> int:
        """Run tasks; for VERB:GUEST, where VERB is a command of ours for guests, do that command for these guests.

        There is no task of such a name: doit refuses a task creator that is called like a command.
        """
        verb = (
            ""
            if not project.is_farm(in_args)
            else next(
                filter(self._is_for_guests, (argument.partition(":")[0] for argument in in_args if ":" in argument)), ""
            )
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
            control = self._control(options["auto_delayed_regex"])
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
            if not options["always"]:
                control.fresh = fresh(control.chosen(), state, self.dep_manager.checker.digest)
            stale = [task for task in control.chosen() if task.name not in control.fresh]
            if stale and isinstance(site, Site):
                ownership.sweep_guests(site.build)
            space.check(stale, Path(state.name).parent)
            self.dep_manager = Guard(self.dep_manager, control.fresh, always=bool(options["always"]))
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
                if isinstance(error, InvalidCommand) and error.not_found:
                    raise self._unknown(error.not_found) from error
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

    def _unknown(self, word: str) -> GuestfarmError:
        """The error for a word that is no task: it may be one that only some guests have."""
        site = self.loader.namespace.get("site")
        guests = site.farm.guests if isinstance(site, Site) else {}
        for guest in guests.values():
            if word in single_file.names(guest):
                return GuestfarmError(single_file.absence(guest, word))
        return unknown_task(word, {task.name: task for task in self.task_list}, guests, self._commands)

    # doit passes the options that the signature names.
    _execute.__signature__ = inspect.signature(DoitRun._execute)  # type: ignore[attr-defined]  # mypy knows it on classes only
