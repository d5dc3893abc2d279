"""What our commands that tell the condition of artifacts have in common."""

from fnmatch import filter as filter_names
from functools import cached_property
from itertools import chain

from pipeline.commands.site_command import SiteCommand, chosen
from pipeline.doit_glue import ArtifactTask
from pipeline.doit_glue.condition import Condition, conditions
from pipeline.errors import GuestfarmError, quoted
from pipeline.farm.readers import did_you_mean
from pipeline.tasks.guest import names


class ArtifactsCommand(SiteCommand):
    """A command whose arguments are tasks or guests."""

    @cached_property
    def artifacts(self) -> dict[str, ArtifactTask]:
        """The tasks that make artifacts, by name, each after those that it depends on."""
        return {task.name: task for task in self.task_list if isinstance(task, ArtifactTask)}

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The condition of every artifact, by the name of its task."""
        return conditions(self.artifacts.values(), self.dep_manager)

    def named(self, arguments: list[str]) -> list[str]:
        """The tasks that `arguments` stand for: tasks, groups of tasks, guests, or patterns of one of them; or all.

        Raises GuestfarmError for what is none of these.
        """
        return list(dict.fromkeys(chain(*map(self._tasks_of, arguments)))) if arguments else list(self.artifacts)

    def _tasks_of(self, argument: str) -> list[str]:
        farm = self.site.farm
        if ":" not in argument:
            group = [name for name in self.artifacts if name.startswith(f"{argument}:")]
            if group:
                return group
            return [name for guest in chosen(farm, [argument]) for name in names(guest)]
        found = filter_names(self.artifacts, argument)
        if not found:
            raise GuestfarmError(f"no such task: {quoted(argument)}", did_you_mean(argument, self.artifacts))
        return found
