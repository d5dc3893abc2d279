"""What our commands that look at a farm's artifacts have in common."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, ClassVar

from doit.cmd_base import DoitCmdBase
from doit.control import TaskControl
from doit.exceptions import InvalidCommand
from doit.task import Task

from pipeline.commands.base_command import BaseCommand
from pipeline.engine import may_end_early, user_errors
from pipeline.errors import GuestfarmError, did_you_mean, quoted
from pipeline.model.farm import Farm
from pipeline.model.guest import Guest
from pipeline.tasks import Site


class SiteCommand(BaseCommand, DoitCmdBase):  # type: ignore[misc]  # doit has no types
    """A doit command for dodo.py's site, its tasks and what is on record of them."""

    takes_guests: ClassVar[bool] = False
    """Whether its arguments are guests: then `doit VERB:GUEST` is another way to say `doit VERB GUEST`."""

    options_anywhere = True

    def execute(self, params: Any, args: list[str]) -> int:  # noqa: ANN401  # doit's
        """Do what the user asked for; problems that he can mend are shown as one line each."""
        with may_end_early(), user_errors():
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
        """The guests that `names` stand for, as `chosen` says."""
        return chosen(self.site.farm, names)


def chosen(farm: Farm, names: Sequence[str]) -> list[Guest]:
    """The guests with these names, each once, or all; in a name, * and ? are what they are to shells.

    Raises GuestfarmError for names that no guest has.
    """
    guests = farm.guests
    found = {name: [known for known in guests if fnmatchcase(known, name)] for name in names}
    unknown = [name for name, matches in found.items() if not matches]
    if unknown:
        raise GuestfarmError(
            f"no such guest in the list: {', '.join(map(quoted, unknown))}", did_you_mean(unknown[0], guests)
        )
    return [guests[name] for name in (dict.fromkeys(chain(*found.values())) if names else guests)]
