"""The seam to doit: everything that knows how doit works inside."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import doit
from doit.dependency import Dependency

from pipeline.engine.artifact.artifact import EVERYTHING, FILES, Artifact, Inputs, Keys, Tasks, artifact
from pipeline.engine.artifact.differences import Json
from pipeline.engine.artifact.loading import artifacts, artifacts_on_request, use
from pipeline.engine.artifact.space import Space
from pipeline.engine.artifact.targets import RECORD
from pipeline.engine.artifact.task import ArtifactTask
from pipeline.engine.run.output import may_end_early
from pipeline.engine.run.user_errors import USER_ERROR, show_warnings, user_errors
from pipeline.engine.run.variables import check_misspelt
from pipeline.engine.state.anchors import Located
from pipeline.engine.state.catalogue import Catalogue
from pipeline.engine.state.digests import Digests, checker
from pipeline.engine.state.state import State
from pipeline.errors import GuestfarmError, note_variable


def path_variable(name: str, default: str) -> Path:
    """A variable that is a path: if given, relative to where the user is; if not, to dodo.py, which is where doit is.

    It is as the user wrote it as long as that is the same.
    """
    given = doit.get_var(name, None)
    if given == "":
        raise GuestfarmError(f"{name}= names nothing", f"as in: doit {name}={default}")
    user = doit.get_initial_workdir()
    if given is not None:
        note_variable(name, given)
    return Path(default) if given is None else Path(given if Path.cwd() == Path(user) else Path(user, given))


def located(list_folder: Path) -> None:
    """Have paths on record be relative to `list_folder`, where the guest list is, if they are below it."""
    State.list_folder = list_folder


def is_up_to_date(group: str, artifact: Artifact, build: Path) -> bool:
    """Whether the task that makes `artifact`, one of `group`, has nothing to do."""
    database = build / "state.db"
    dependency = Dependency(State, str(database), checker_cls=checker(Digests(database)))
    try:
        return bool(dependency.get_status(ArtifactTask.of(group, artifact), {}).status == "up-to-date")
    finally:
        dependency.close()


def recorded_inputs(build: Path, groups: Collection[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """What is on record that artifacts of these groups were made from, by their tasks. Raises GuestfarmError."""
    database = build / "state.db"
    dependency = Dependency(State, str(database), checker_cls=checker(Digests(database)))
    try:
        records = {task: dependency.get_values(task).get(RECORD) for task in _tasks_of(groups, dependency.backend)}
        return [(task, record["inputs"]) for task, record in records.items() if record is not None]
    finally:
        dependency.close()


def _tasks_of(groups: Collection[str], state: State) -> list[str]:
    return [task for task in state.tasks() if task.partition(":")[0] in groups]


def configuration(build: Path) -> dict[str, Any]:
    """The DOIT_CONFIG of a dodo.py whose artifacts are in the folder `build`."""
    database = build / "state.db"
    return {
        "backend": "guestfarm",
        "dep_file": str(database),
        "check_file_uptodate": checker(Digests(database)),
        "verbosity": 2,
        "reporter": "guestfarm",
    }


__all__ = [
    "EVERYTHING",
    "FILES",
    "USER_ERROR",
    "Artifact",
    "ArtifactTask",
    "Catalogue",
    "Inputs",
    "Json",
    "Keys",
    "Located",
    "Space",
    "Tasks",
    "artifact",
    "artifacts",
    "artifacts_on_request",
    "check_misspelt",
    "configuration",
    "is_up_to_date",
    "located",
    "may_end_early",
    "path_variable",
    "recorded_inputs",
    "show_warnings",
    "use",
    "user_errors",
]
