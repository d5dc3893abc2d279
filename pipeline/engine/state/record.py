"""Records of tasks: what doit keeps of a task, our own values among it, and the form in which that is in the state."""

from collections.abc import Callable
from typing import Any

from pipeline.engine.state.anchors import Anchors, Located

RECORD = "artifact"
"""The name of our record among the values that doit keeps for a task: the inputs, and stamps of the targets."""

DIGESTS = "digests"
"""The name, among these, of the digests of the targets' contents."""

Stamp = list[int]
"""Size, mtime in nanoseconds, inode and write permissions of a file."""

_STAMP = 4
_VALUES = "_values_:"
_FILES = "deps:"
_OWN = (_VALUES, _FILES, "checker:", "result:", "ignore:")
"""The keys in which doit keeps something else than the digest of a file that the task depends on."""


def on_record(record: dict[str, Any], anchors: Anchors) -> dict[str, Any]:
    """A record as it is in the state."""
    return _renamed(record, anchors.on_record, anchors.values_on_record)


def read(record: Any, anchors: Anchors) -> dict[str, Any]:  # noqa: ANN401  # whatever JSON can
    """The record that is in the state as `record`. Raises ValueError if that is none."""
    _check(isinstance(record, dict))
    _check(all(isinstance(digest, str) for key, digest in record.items() if key not in _OWN))
    _check(_is_list_of(str, record.get(_FILES, [])))
    values = record.get(_VALUES, {})
    _check(values is None or isinstance(values, dict))
    if values and RECORD in values:
        ours = values[RECORD]
        _check(isinstance(ours, dict) and isinstance(ours.get("inputs"), dict))
        _check(are_stamps(ours.get("targets")))
    if values and DIGESTS in values:
        digests = values[DIGESTS]
        _check(isinstance(digests, dict) and all(isinstance(digest, str) for digest in digests.values()))
    return _renamed(record, anchors.path, anchors.values)


def are_stamps(stamps: Any) -> bool:  # noqa: ANN401  # as above
    """Whether `stamps` are stamps of files by their paths."""
    return isinstance(stamps, dict) and all(_is_list_of(int, each) and len(each) == _STAMP for each in stamps.values())


def values_of(record: dict[str, Any]) -> dict[str, Any]:
    """The values that a task has saved in its record."""
    return record.get(_VALUES) or {}


def with_values(record: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The record with other values."""
    return {**record, _VALUES: values}


def upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record of a time when paths among what an artifact is made from were no more than text."""
    values = values_of(record)
    if RECORD not in values:
        return record
    inputs = dict(values[RECORD]["inputs"])
    for name in ("tar", "directory", "image", "layout", "disk"):
        if isinstance(inputs.get(name), str):
            inputs[name] = Located(inputs[name])
    packages = inputs.get("packages")
    if isinstance(packages, dict) and isinstance(packages.get("keyring"), str):
        inputs["packages"] = {**packages, "keyring": Located(packages["keyring"])}
    return with_values(record, {**values, RECORD: {**values[RECORD], "inputs": inputs}})


def _renamed(record: dict[str, Any], path: Callable[[str], str], value: Callable[[Any], Any]) -> dict[str, Any]:
    renamed: dict[str, Any] = {key if key in _OWN else path(key): each for key, each in record.items()}
    if _FILES in renamed:
        renamed[_FILES] = [path(each) for each in renamed[_FILES]]
    values = renamed.get(_VALUES)
    if values and RECORD in values:
        ours = values[RECORD]
        targets = {path(target): stamp for target, stamp in ours["targets"].items()}
        values = {**values, RECORD: {**ours, "inputs": value(ours["inputs"]), "targets": targets}}
        if DIGESTS in values:
            values[DIGESTS] = {path(target): digest for target, digest in values[DIGESTS].items()}
        renamed[_VALUES] = values
    return renamed


def _is_list_of(kind: type, value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError("a record of a task has other parts")
