"""Paths on record: relative to the folders that they are in, so that a farm may be moved, copied and restored.

Below the folder to build in, and below that of the guest list, a path stands on record with a name for that folder.
What is elsewhere stands as it is.
"""

from pathlib import Path
from typing import Any

_BUILD = "{build}/"
_LIST = "{list}/"
_TEXT = "{text}"
"""Before text that begins with a brace and is no path."""


class Located(str):
    """A path among what an artifact is made from: where it is does not matter, as long as it moves with the farm."""

    __slots__ = ()


class Anchors:
    """The folder `build` that artifacts are built in, and the folder `of_list`, where the guest list is; absolute."""

    __slots__ = ("_build", "_list")

    def __init__(self, build: Path, of_list: Path) -> None:
        self._build = f"{build}/"
        self._list = f"{of_list}/"

    def on_record(self, path: str) -> str:
        """What stands on record for `path`."""
        if path.startswith(self._build):
            return _BUILD + path[len(self._build) :]
        return _LIST + path[len(self._list) :] if path.startswith(self._list) else path

    def path(self, on_record: str) -> str:
        """The path that stands on record as `on_record`."""
        if on_record.startswith(_BUILD):
            return self._build + on_record[len(_BUILD) :]
        return self._list + on_record[len(_LIST) :] if on_record.startswith(_LIST) else on_record

    def values_on_record(self, value: Any) -> Any:  # noqa: ANN401  # whatever JSON can
        """What stands on record for `value`, in which paths are Located; as JSON has it."""
        match value:
            case Located():
                return self.on_record(value)
            case str():
                return _TEXT + value if value.startswith("{") else value
            case dict():
                return {name: self.values_on_record(each) for name, each in value.items()}
            case list() | tuple():
                return [self.values_on_record(each) for each in value]
        return value

    def values(self, on_record: Any) -> Any:  # noqa: ANN401  # as above
        """The value that stands on record as `on_record`."""
        match on_record:
            case str():
                if not on_record.startswith("{"):
                    return on_record
                if on_record.startswith(_TEXT):
                    return on_record[len(_TEXT) :]
                return Located(self.path(on_record))
            case dict():
                return {name: self.values(each) for name, each in on_record.items()}
            case list():
                return [self.values(each) for each in on_record]
        return on_record
