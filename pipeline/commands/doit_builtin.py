"""doit's own commands besides `run`: they end quietly when nobody reads on, and know what is special about ours."""

import inspect
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pprint import pformat
from typing import Any

from doit.cmd_base import DoitCmdBase, check_tasks_exist, subtasks_iter
from doit.cmd_clean import Clean as DoitClean
from doit.cmd_completion import TabCompletion as DoitTabCompletion
from doit.cmd_dumpdb import DumpDB as DoitDumpDB
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_help import Help as DoitHelp
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.cmd_resetdep import ResetDep as DoitResetDep
from doit.cmd_strace import Strace as DoitStrace
from doit.control import TaskControl
from doit.exceptions import InvalidCommand
from doit.task import Task

from pipeline.commands.base_command import BaseCommand, expanded, unknown_task
from pipeline.engine import USER_ERROR, ArtifactTask, may_end_early, user_errors
from pipeline.engine.artifact.targets import Targets, compared, explanation, stamps
from pipeline.engine.state.freshness import with_dependencies
from pipeline.engine.state.record import DIGESTS, RECORD
from pipeline.engine.state.record import values_of as record_values
from pipeline.engine.state.state import State
from pipeline.errors import GuestfarmError, quoted
from pipeline.tasks import Site


class _Own(BaseCommand):
    def execute(self, params: Any, args: list[str]) -> int | None:  # noqa: ANN401  # doit's
        """Do what doit does."""
        with may_end_early():
            code: int | None = super().execute(params, args)
            return code


class _OfTasks(_Own):
    """A command of doit's whose arguments are tasks; with patterns, too, which doit has for `run` and `clean` alone."""

    def check_loaded(self, tasks: Sequence[Task], words: list[str]) -> None:
        """Have `words` be the tasks that they stand for. Raises GuestfarmError for one that stands for none."""
        site = self.loader.namespace.get("site")
        words[:] = expanded(
            words, {task.name: task for task in tasks}, lambda: site.farm.guests if isinstance(site, Site) else {}
        )


class Clean(_OfTasks, DoitClean):  # type: ignore[misc]  # doit has no types
    """Removes what tasks made; what is left alone is not forgotten either, and is a failure."""

    name = "clean"

    def looks(self, params: Any) -> bool:  # noqa: ANN401  # doit's
        """Whether nothing is removed."""
        return bool(params["dryrun"])

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for options that mean nothing together."""
        super().check(params, words)
        if params["cleanall"] and words:
            raise GuestfarmError("--clean-all and names contradict each other", "give one of them")

    def execute(self, params: Any, args: list[str]) -> int:  # noqa: ANN401  # doit's
        """Do what doit does."""
        self._is_refused = False
        super().execute(params, args)
        return int(self._is_refused)

    def clean_tasks(self, tasks: Iterable[Task], dryrun: bool, cleanforget: bool) -> None:
        """Clean each task once."""
        state = self.dep_manager.backend
        with user_errors():
            if not dryrun and isinstance(state, State):
                state.lock.acquire()  # a run may be making what is to be removed
            for task in {task.name: task for task in tasks}.values():
                is_refused = isinstance(task, ArtifactTask) and not task.remove(self.outstream, dryrun)
                if not isinstance(task, ArtifactTask):
                    task.clean(self.outstream, dryrun)
                self._is_refused = self._is_refused or is_refused
                if cleanforget and not dryrun and not is_refused:
                    self.dep_manager.remove(task.name)
        self.dep_manager.close()


class DumpDB(_Own, DoitCmdBase):  # type: ignore[misc]  # as above
    """Prints what is on record of tasks."""

    name = "dumpdb"
    of_doit = DoitDumpDB
    only_looks = True
    takes_words = False
    doc_purpose = DoitDumpDB.doc_purpose
    doc_usage = DoitDumpDB.doc_usage
    doc_description = DoitDumpDB.doc_description

    def _execute(self) -> int:
        state = self.dep_manager.backend
        if not isinstance(state, State):  # somebody else's dodo.py
            return int(DoitDumpDB().execute({"dep_file": self.dep_manager.name}, []) or 0)
        for name in state.tasks():
            self.outstream.write(f"{name} -> {pformat(state.record(name), indent=4, width=100)}\n")
        return 0


class Forget(_OfTasks, DoitForget):  # type: ignore[misc]  # as above
    """Forgets that tasks were run."""

    name = "forget"
    sel_tasks: list[str] | None
    sel_default_tasks: bool
    task_list: list[Task]

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for options that mean nothing together."""
        super().check(params, words)
        if params["forget_all"] and words:
            raise GuestfarmError("--all and names contradict each other", "give one of them")
        if params["forget_disable_default"] and not words and not params["forget_all"]:
            raise GuestfarmError("no tasks specified", "pass the name of a task, --enable-default or --all")

    def _execute(self, **options: Any) -> None:  # noqa: ANN401  # whatever doit's own takes
        named = set() if self.sel_default_tasks else set(self.sel_tasks or ())
        if self.sel_tasks is None:
            # doit forgets the default tasks where none is named, and stumbles when dodo.py does not say which these
            # are. Then they are all, as they are to `doit run`.
            self.sel_tasks = [task.name for task in self.task_list if not task.subtask_of]
        state = self.dep_manager.backend
        if isinstance(state, State):
            own = {task.name: task for task in self.task_list if isinstance(task, ArtifactTask)}
            self.dep_manager.remove = partial(self._forget, state, own, named)
        super()._execute(**options)

    def _forget(self, state: State, own: Mapping[str, ArtifactTask], named: Collection[str], name: str) -> None:
        """Forget a task. What is not as it was made may be overwritten only if the user has named the task by itself.

        So may what is as it is now; if it changes until then, it is left alone after all.
        """
        task = own.get(name)
        with user_errors():
            targets = Targets() if task is None else compared(task, self.dep_manager)
        if task is not None and name in named:
            state.forget(name, stamps(task.targets))
            for target in targets.touched:
                self.outstream.write(f"{target} was modified since it was made: the next run overwrites it\n")
        else:
            state.forget(name, {})
            if task is not None and targets.touched:
                self.outstream.write(f"{name}: {explanation(task, targets)}\n")

    # doit passes the options that the signature names.
    _execute.__signature__ = inspect.signature(DoitForget._execute)  # type: ignore[attr-defined]  # mypy knows it on classes only


class Help(_Own, DoitHelp):  # type: ignore[misc]  # as above
    """Explains commands and tasks."""

    name = "help"
    only_looks = True

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for more than one word."""
        super().check(params, words)
        if len(words) > 1:
            raise GuestfarmError(f"help takes one name, and not {quoted(' '.join(words))}", "as in: doit help list")

    def check_loaded(self, tasks: Sequence[Task], words: list[str]) -> None:
        """Raise GuestfarmError for a word that is neither a command nor a task."""
        known = {task.name: task for task in tasks}
        if words[0] not in known:
            raise unknown_task(words[0], known, {}, [*self.cmds, "task"])


class Ignore(_OfTasks, DoitIgnore):  # type: ignore[misc]  # as above
    """Has runs leave tasks out."""

    name = "ignore"

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError where no task is named."""
        super().check(params, words)
        if not words:
            raise GuestfarmError("which tasks are to be ignored?", "as in: doit ignore root:deb01")


class Info(_OfTasks, DoitInfo):  # type: ignore[misc]  # as above
    """Shows a task."""

    name = "info"
    only_looks = True

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError unless one task is named."""
        super().check(params, words)
        if len(words) != 1:
            raise GuestfarmError(f"doit info takes one task, and not {len(words)}", "as in: doit info root:deb01")

    def check_loaded(self, tasks: Sequence[Task], words: list[str]) -> None:
        """Raise GuestfarmError unless the word stands for one task."""
        word = words[0]
        super().check_loaded(tasks, words)
        if len(words) != 1:
            raise GuestfarmError(f"{quoted(word)} stands for {len(words)} tasks, and doit info takes one", "name one")


class List(_OfTasks, DoitList):  # type: ignore[misc]  # as above
    """Lists tasks."""

    name = "list"
    only_looks = True

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError for a template that cannot be filled in."""
        super().check(params, words)
        try:
            (params["template"] or "").format(name="", doc="", status="")
        except (LookupError, ValueError, AttributeError) as error:
            known = "as in '{name} {doc}'; {status}, too, with --status"
            raise GuestfarmError(f"--template {quoted(params['template'])}: not understood", known) from error
        if params["template"] and "{status" in params["template"] and not params["status"]:
            raise GuestfarmError("{status} in --template needs --status", "add it")

    def _print_task(self, template: str, task: Task, status: bool, list_deps: bool, tasks: dict[str, Task]) -> None:
        try:
            super()._print_task(template, task, status, list_deps, tasks)
        except PermissionError:  # another user's: whether it is fresh cannot be told
            self.outstream.write(template.format(name=task.name, doc=task.doc, status=self.STATUS_MAP["error"]))


class ResetDep(_OfTasks, DoitResetDep):  # type: ignore[misc]  # as above
    """Takes what there is for what tasks made, where it is as they made it."""

    name = "reset-dep"
    doc_purpose = "take artifacts that are as they were made for fresh, wherever they have been moved or copied"
    doc_description = """
Compares artifacts with what is on record of them, by their contents where they have been copied or restored, and puts
on record that they are as they were made, from the files that are there now. What was modified since it was made is
left alone, and so is what nothing is on record of. What is missing is left to doit.
"""
    task_list: list[Task]

    def _execute(self, pos_args: list[str] | None = None) -> int:
        state = self.dep_manager.backend
        if not isinstance(state, State):  # somebody else's dodo.py
            return int(super()._execute(pos_args) or 0)
        tasks = {task.name: task for task in self.task_list}
        check_tasks_exist(tasks, pos_args)
        selected = [tasks[name] for name in pos_args] if pos_args else self.task_list
        chosen = {task.name: task for each in selected for task in (each, *subtasks_iter(tasks, each))}
        with user_errors():
            state.lock.acquire()
            refused = [task.name for task in chosen.values() if not self._reset(state, task, tasks)]
        self.dep_manager.close()
        return USER_ERROR if refused else 0

    def _reset(self, state: State, task: Task, tasks: dict[str, Task]) -> bool:
        """Put on record what there is of one task; whether nothing is wrong with it."""
        if not isinstance(task, ArtifactTask):
            return True
        outcome, is_well = self._outcome(state, task, tasks)
        if outcome:
            self.outstream.write(f"{outcome}\n")
        return is_well

    def _outcome(self, state: State, task: ArtifactTask, tasks: dict[str, Task]) -> tuple[str, bool]:
        missing = [path for path in (*task.file_dep, *task.targets) if not os.path.exists(path)]  # noqa: PTH110  # text
        if missing:
            is_wanted = not task.on_request or any(map(os.path.exists, task.targets))
            return f"skip {task.name} ({', '.join(missing)} is missing)" if is_wanted else "", True
        targets = compared(task, self.dep_manager)
        if targets.touched:
            return f"failed {task.name} ({explanation(task, targets)})", False
        if targets.unfinished:
            return f"skip {task.name} (interrupted, or to be overwritten: doit makes it)", True
        values = record_values(state.record(task.name))
        if RECORD not in values:
            values = record_values(state.record_before(task.name))
        digests = values.get(DIGESTS, {})
        now = stamps(task.targets)
        has_all = set(task.targets) <= digests.keys() and values[RECORD]["targets"] == now
        if has_all and self.dep_manager.get_status(task, tasks).status == "up-to-date":
            return f"skip {task.name}", True
        content = self.dep_manager.checker.content
        task.values = {
            **values,
            RECORD: {**values[RECORD], "targets": now},
            DIGESTS: {path: digests[path] if path in digests else content(path) for path in task.targets},
        }
        self.dep_manager.save_success(task, result_hash=self.dep_manager.get_result(task.name))
        return f"processed {task.name}", True


class Strace(_OfTasks, DoitStrace):  # type: ignore[misc]  # as above
    """Shows what files the shell commands of a task open; tasks of ours have no such."""

    name = "strace"
    sel_tasks: list[str]
    task_list: list[Task]

    def check(self, params: Any, words: Sequence[str]) -> None:  # noqa: ANN401  # doit's
        """Raise GuestfarmError unless one task is named."""
        super().check(params, words)
        if len(words) != 1:
            raise GuestfarmError(f"doit strace takes one task, and not {len(words)}", "as in: doit strace mytask")

    def _execute(self, show_all: bool) -> int:
        # doit would run what comes before it as well, by a runner that knows nothing of our promises.
        for task in with_dependencies(TaskControl(self.task_list).tasks, self.sel_tasks):
            if isinstance(task, ArtifactTask):
                raise InvalidCommand(f"{task.name} has no shell commands to trace; its log has what it runs")
        return int(super()._execute(show_all))


class TabCompletion(_Own, DoitTabCompletion):  # type: ignore[misc]  # as above
    """Prints doit's own script for the Tab key; `doit completion` knows more."""

    name = "tabcompletion"
    only_looks = True
    takes_words = False
