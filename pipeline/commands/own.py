"""doit's own commands besides `run`: they end quietly when nobody reads on, and `forget` knows what it may forget."""

import inspect
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_clean import Clean as DoitClean
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.cmd_resetdep import ResetDep as DoitResetDep
from doit.task import Task

from pipeline.doit_glue import read_to_its_end


class _Own(DoitCmdBase):  # type: ignore[misc]  # doit has no types
    def execute(self, params: Any, args: list[str]) -> int | None:  # noqa: ANN401  # doit's
        """Do what doit does."""
        with read_to_its_end():
            code: int | None = super().execute(params, args)
            return code


class Clean(_Own, DoitClean):  # type: ignore[misc]  # as above
    """Removes what tasks made."""

    name = "clean"


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
