"""doit's own commands besides `run`: they end quietly when nobody reads on, and know what is special about ours."""

import inspect
from pprint import pformat
from typing import Any

from doit.cmd_base import Command, DoitCmdBase
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

from pipeline.engine import ArtifactTask, may_end_early
from pipeline.engine.state.freshness import with_dependencies
from pipeline.engine.state.state import State


class _Own(Command):  # type: ignore[misc]  # doit has no types
    def execute(self, params: Any, args: list[str]) -> int | None:  # noqa: ANN401  # doit's
        """Do what doit does."""
        with may_end_early():
            code: int | None = super().execute(params, args)
            return code


class Clean(_Own, DoitClean):  # type: ignore[misc]  # as above
    """Removes what tasks made."""

    name = "clean"


class DumpDB(_Own, DoitCmdBase):  # type: ignore[misc]  # as above
    """Prints what is on record of tasks."""

    name = "dumpdb"
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


class Forget(_Own, DoitForget):  # type: ignore[misc]  # as above
    """Forgets that tasks were run."""

    name = "forget"
    sel_tasks: list[str] | None
    task_list: list[Task]

    def _execute(self, **options: Any) -> None:  # noqa: ANN401  # whatever doit's own takes
        if self.sel_tasks is None:
            # doit forgets the default tasks where none is named, and stumbles when dodo.py does not say which these
            # are. Then they are all, as they are to `doit run`.
            self.sel_tasks = [task.name for task in self.task_list if not task.subtask_of]
        super()._execute(**options)

    # doit passes the options that the signature names.
    _execute.__signature__ = inspect.signature(DoitForget._execute)  # type: ignore[attr-defined]  # mypy knows it on classes only


class Help(_Own, DoitHelp):  # type: ignore[misc]  # as above
    """Explains commands and tasks."""

    name = "help"


class Ignore(_Own, DoitIgnore):  # type: ignore[misc]  # as above
    """Has runs leave tasks out."""

    name = "ignore"


class Info(_Own, DoitInfo):  # type: ignore[misc]  # as above
    """Shows a task."""

    name = "info"


class List(_Own, DoitList):  # type: ignore[misc]  # as above
    """Lists tasks."""

    name = "list"


class ResetDep(_Own, DoitResetDep):  # type: ignore[misc]  # as above
    """Takes what there is for what tasks made."""

    name = "reset-dep"


class Strace(_Own, DoitStrace):  # type: ignore[misc]  # as above
    """Shows what files the shell commands of a task open; tasks of ours have no such."""

    name = "strace"
    sel_tasks: list[str]
    task_list: list[Task]

    def _execute(self, show_all: bool) -> int:
        # doit would run what comes before it as well, by a runner that knows nothing of our promises.
        for task in with_dependencies(TaskControl(self.task_list).tasks, self.sel_tasks):
            if isinstance(task, ArtifactTask):
                raise InvalidCommand(f"{task.name} has no shell commands to trace; its log has what it runs")
        return int(super()._execute(show_all))


class TabCompletion(_Own, DoitTabCompletion):  # type: ignore[misc]  # as above
    """Prints doit's own script for the Tab key; `doit completion` knows more."""

    name = "tabcompletion"
