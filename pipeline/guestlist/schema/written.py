"""Values as the list has them: the way back from what a reader made."""

from enum import StrEnum
from pathlib import PurePath
from typing import Any

from pipeline.guestlist.schema.combined_readers import Many, Or
from pipeline.guestlist.schema.readers import Reader, Size, Switch
from pipeline.model.sizes import format_size


def as_written(value: object, reader: Reader[Any]) -> Any:  # noqa: ANN401  # whatever JSON has
    """How the list has a `value` of `reader`; None for what no short text stands for."""
    written: Any = None
    match reader, value:
        case Or(word=word), None:
            written = word
        case Or(reader=inner), _:
            written = as_written(value, inner)
        case Many(reader=inner), tuple():
            written = [as_written(each, inner) for each in value]
        case Size(), int():
            written = format_size(value)
        case Switch(), bool():
            written = "true" if value else "false"
        case _, StrEnum() | PurePath():
            written = str(value)
        case _, bool() | int() | str():
            written = value
    return written
