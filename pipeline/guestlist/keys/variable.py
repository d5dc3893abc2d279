"""Variables of templates: what the list says of them, for guests, for roles and for all."""

from collections.abc import Mapping
from typing import Final

from pipeline.guestlist.schema.readers import Matching, Or, Schema
from pipeline.guestlist.schema.table import Fields, Key
from pipeline.guestlist.syntax.nodes import Fault, Node, ReadingError, Scalar, Sequence, entries_of, unexpected
from pipeline.model.role import Variables

# Jinja2's names are Python's. `guest` is what Guestfarm knows of the guest.
_NAME = Matching(
    "the name of a variable like port",
    r"(?!guest\Z)[A-Za-z_][A-Za-z0-9_]{0,63}",
    "letters, digits and '_', no digit first; guest is taken",
)


class VariablesReader:
    """Texts, and lists of texts, by name: {port: 80, aliases: [www, ftp]}."""

    form = "a mapping of names to texts, or to lists of texts, like {port: 80}"

    @property
    def schema(self) -> Schema:
        """The names, and the texts as YAML has them."""
        scalar = {"type": ["string", "number", "boolean"]}
        return {
            "type": ["object", "null"],
            "patternProperties": {_NAME.schema["pattern"]: {"anyOf": [scalar, {"type": "array", "items": scalar}]}},
            "additionalProperties": False,
        }

    def read(self, node: Node) -> Mapping[str, str | tuple[str, ...]]:
        """The values by name. Raises ReadingError with all that is wrong with them."""
        faults: list[Fault] = []
        values: dict[str, str | tuple[str, ...]] = {}
        for name, (key, value) in entries_of(node, self.form).items():
            try:
                _NAME.read(key)
                values[name] = _value(value)
            except ReadingError as error:
                faults += [each.under(name) for each in error.faults]
        if faults:
            raise ReadingError(*faults)
        return values


VARS: Final[Key[Mapping[str, str | tuple[str, ...]] | None]] = Key(
    "vars",
    Or("none", VariablesReader()),
    "what templates are filled with; a guest's win over those of roles, and these over those of the defaults",
    None,
)


def variables(fields: Fields) -> Variables:
    """The variables that `fields` have. Raises BrokenError."""
    return tuple((fields[VARS] or {}).items())


def _value(node: Node) -> str | tuple[str, ...]:
    return tuple(_text(item) for item in node.items) if isinstance(node, Sequence) else _text(node)


def _text(node: Node) -> str:
    if not isinstance(node, Scalar) or node.is_null:
        raise unexpected(node, "a text, or a list of texts", "an empty text is ''")
    return node.text
