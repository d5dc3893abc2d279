"""A JSON Schema of the guest list, made from the same tables that the list is read by, for editors.

It follows the draft 2020-12 of JSON Schema, and describes values as YAML 1.2 has them. Every good list is valid; what a
schema cannot see, as two guests with one address, is left to the reading of the list.
"""

from collections.abc import Callable
from typing import Any, Final

from pipeline.guestlist.keys import guest as guest_keys
from pipeline.guestlist.keys import master as master_keys
from pipeline.guestlist.keys import network as network_keys
from pipeline.guestlist.keys import role as role_keys
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.keys.names import HOST_NAME, MAX_HOST_NAME, NAME, NETWORK
from pipeline.guestlist.keys.nic import FIRST, Asked
from pipeline.guestlist.resolve import draft as schema
from pipeline.guestlist.schema.readers import Choice, Many, Schema
from pipeline.guestlist.syntax.ranges import RANGE

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NESTED: Final = ("anyOf", "properties", "patternProperties", "additionalProperties", "items")


def json_schema(hypervisors: Hypervisors) -> Schema:
    """The schema. `hypervisors` are those that guests can be configured for; without any, any name is one."""
    known = tuple(hypervisors)
    guest = _partial(guest_keys.guest_table(tuple(each.options for each in hypervisors.values())).schema)
    if known:
        guest["properties"][guest_keys.HYPERVISORS.name] |= Many(Choice(known), minimum=1).schema
    shared = {name: key for name, key in guest["properties"].items() if name != FIRST.mac.name}
    shared["address"] = {"description": FIRST.address.doc, "enum": [str(word) for word in Asked]}
    whole = schema.LIST.schema
    whole["properties"][schema.MASTERS.name] |= {
        "type": ["object", "null"],
        "patternProperties": {NAME.schema["pattern"]: {"$ref": "#/$defs/master"}},
        "additionalProperties": False,
    }
    whole["properties"][schema.NETWORKS.name] |= {
        "type": ["object", "null"],
        "patternProperties": {NETWORK.schema["pattern"]: {"$ref": "#/$defs/network"}},
        "additionalProperties": False,
    }
    whole["properties"][schema.ROLES.name] |= {
        "type": ["object", "null"],
        "patternProperties": {NAME.schema["pattern"]: {"$ref": "#/$defs/role"}},
        "additionalProperties": False,
    }
    whole["properties"][schema.DEFAULTS.name] |= {**_or_nothing(guest), "properties": shared}
    whole["properties"][schema.GUESTS.name] |= {
        "type": "object",
        "minProperties": 1,
        "patternProperties": {
            f"^(?![0-9]+$)(?=.{{1,{MAX_HOST_NAME}}}$)(?:{HOST_NAME})$": {"$ref": "#/$defs/guest"},
            f"^(?:{RANGE})$": {"$ref": "#/$defs/guests"},
        },
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": "Guestfarm's guest list",
        **whole,
        "$defs": {
            "master": {
                **master_keys.MASTER.schema,
                "oneOf": [{"required": [kind.name]} for kind in master_keys.SOURCES],
            },
            "role": {**role_keys.ROLE.schema, "type": ["object", "null"]},
            "network": network_keys.KEYS.table.schema,
            "guest": _or_nothing(guest),
            "guests": _or_nothing(_ranged(guest)),
            "range": {"description": "a range, with a value for each guest", "type": "string", "pattern": f"^{RANGE}$"},
        },
    }


def _or_nothing(mapping: Schema) -> Schema:
    return {**mapping, "type": ["object", "null"]}


def _partial(schema: Schema) -> Schema:
    """`schema` for a mapping to which another one adds what is missing."""
    return {key: _inside(key, value, _partial) for key, value in schema.items() if key != "required"}


def _ranged(schema: Schema) -> Schema:
    """`schema` with a range allowed in place of every single value."""
    if any(key in schema for key in _NESTED):
        return {key: _inside(key, value, _ranged) for key, value in schema.items()}
    about: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    value = {key: value for key, value in schema.items() if key not in about}
    return schema if "const" in schema else {**about, "anyOf": [{"$ref": "#/$defs/range"}, value]}


def _inside(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:  # noqa: ANN401  # as JSON has it
    """The value of a schema's `key`, with `change` made to the schemas in it."""
    match key, value:
        case "anyOf", list():
            return [change(each) for each in value]
        case "properties" | "patternProperties", dict():
            return {name: change(each) for name, each in value.items()}
        case "items" | "additionalProperties", dict():
            return change(value)
    return value
