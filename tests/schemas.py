"""Guest lists as editors see them: read as YAML 1.2, and checked by the JSON Schema."""

import re
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from pipeline.guestlist.export.json_schema import json_schema
from pipeline.hypervisors import BY_NAME


class _Core(yaml.SafeLoader):
    """YAML 1.2's core schema (10.3.2), which editors read by; PyYAML's own is 1.1's."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # as PyYAML has it


_Core.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:[tT]rue|TRUE|[fF]alse|FALSE)$"), list("tTfF"))
_Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[-+]?[0-9]+$"), list("-+0123456789"))
_Core.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
_Core.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


@cache
def validator() -> Draft202012Validator:
    """What checks lists."""
    schema = json_schema(BY_NAME)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def errors(text: str) -> list[str]:
    """What an editor underlines in the list `text`, as paths of keys."""
    document: Any = yaml.load(text, _Core)
    found = validator().iter_errors(document)
    return sorted("/".join(map(str, error.absolute_path)) for error in found)


def check(text: str) -> None:
    """See that an editor underlines nothing in the good list `text`."""
    document: Any = yaml.load(text, _Core)
    assert not [f"{error.json_path}: {error.message}" for error in validator().iter_errors(document)], text
