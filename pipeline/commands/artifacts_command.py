"""What our commands that tell the condition of artifacts have in common."""

from collections.abc import Collection
from fnmatch import filter as filter_names
from functools import cached_property
from itertools import chain

from pipeline.commands.site_command import SiteCommand, chosen
from pipeline.engine import ArtifactTask
from pipeline.engine.state.condition import Condition, conditions
from pipeline.engine.state.freshness import is_on_request
from pipeline.errors import GuestfarmError, did_you_mean, quoted
from pipeline.model.guest import Guest
from pipeline.tasks import single_file
from pipeline.tasks.guest import names


class ArtifactsCommand(SiteCommand):
    """A command whose arguments are tasks or guests."""

    only_looks = True
    _asked: Collection[str] = ()
    """Tasks that the arguments name of those that run only when they are asked for."""

    @cached_property
    def artifacts(self) -> dict[str, ArtifactTask]:
        """The tasks that make artifacts, by name, each after those that it depends on.

        Of artifacts that are made on request, these are those that were made, or that the arguments name.
        """
        known = {*self.dep_manager.backend.tasks(), *self._asked}
        tasks = (task for task in self.task_list if isinstance(task, ArtifactTask))
        return {task.name: task for task in tasks if not task.on_request or task.name in known}

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The condition of every artifact, by the name of its task."""
        return conditions(self.artifacts.values(), self.dep_manager)

    def named(self, arguments: list[str]) -> list[str]:
        """The tasks that `arguments` stand for: tasks, groups of tasks, guests, or patterns of one of them.

        Without any they are those of plain doit. Raises GuestfarmError for what is none of these.
        """
        if not arguments:
            return [name for name, task in self.artifacts.items() if not task.on_request]
        self._asked = {name for argument in arguments for name in self._on_request(argument)}
        return list(dict.fromkeys(chain(*map(self._tasks_of, arguments))))

    def names_of(self, guest: Guest) -> list[str]:
        """The names of the tasks that make a guest's files, with those of files that were made on request."""
        return [*names(guest), *(name for name in single_file.names(guest) if name in self.artifacts)]

    def _on_request(self, argument: str) -> list[str]:
        if argument in {task.name for task in self.task_list if is_on_request(task)}:
            return [task.name for task in self.task_list if argument in (task.name, task.subtask_of)]
        on_request = (task.name for task in self.task_list if is_on_request(task))
        return filter_names(on_request, argument) if ":" in argument else []

    def _tasks_of(self, argument: str) -> list[str]:
        farm = self.site.farm
        if ":" not in argument:
            group = [name for name in self.artifacts if name.startswith(f"{argument}:")]
            if group:
                return group
            if not filter_names(farm.guests, argument):
                groups = dict.fromkeys(name.partition(":")[0] for name in self.artifacts)
                hint = did_you_mean(argument, [*groups, *farm.guests])
                raise GuestfarmError(f"no such task or guest: {quoted(argument)}", hint)
            return [name for guest in chosen(farm, [argument]) for name in self.names_of(guest)]
        found = filter_names(self.artifacts, argument)
        if not found:
            raise GuestfarmError(f"no such task: {quoted(argument)}", did_you_mean(argument, self.artifacts))
        return found
