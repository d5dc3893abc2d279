"""What our commands that look at a farm's artifacts have in common."""

from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.control import TaskControl
from doit.exceptions import InvalidCommand
from doit.task import Task

from pipeline.doit_glue import user_errors
from pipeline.farm.model import Guest
from pipeline.tasks import Site


class SiteCommand(DoitCmdBase):  # type: ignore[misc]  # doit has no types
    """A doit command for dodo.py's site, its tasks and what is on record of them."""

    def execute(self, params: Any, args: list[str]) -> int:  # noqa: ANN401  # doit's
        """Do what the user asked for; problems that he can mend are shown as one line each."""
        with user_errors():
            try:
                return int(super().execute(params, args))
            finally:
                if self.dep_manager is not None:
                    self.dep_manager.close()

    @property
    def site(self) -> Site:
        """The site of dodo.py."""
        site = self.loader.namespace.get("site")
        if not isinstance(site, Site):
            raise InvalidCommand("this dodo.py is not Guestfarm's: it has no `site`")
        return site

    @property
    def tasks(self) -> dict[str, Task]:
        """All tasks by name, with what they depend on."""
        tasks: dict[str, Task] = TaskControl(self.task_list).tasks
        return tasks

    def guests(self, names: list[str]) -> list[Guest]:
        """The guests with these names, or all."""
        guests = self.site.farm.guests
        unknown = [name for name in names if name not in guests]
        if unknown:
            raise InvalidCommand(f"no such guest in the list: {', '.join(unknown)}")
        return [guests[name] for name in names] if names else list(guests.values())
