"""`doit schema`: what may stand in the guest list, for editors and for people."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import hypervisors
from pipeline.commands.base_command import BaseCommand
from pipeline.commands.output import OUTPUT, put
from pipeline.engine import may_end_early, user_errors
from pipeline.errors import GuestfarmError
from pipeline.guestlist.export.json_schema import json_schema
from pipeline.guestlist.export.reference import reference


class Schema(BaseCommand):
    """Prints a JSON Schema of the guest list, or its reference."""

    name = "schema"
    doc_purpose = "print a JSON Schema of guests.yaml, for editors"
    doc_usage = "[-o FILE] [--markdown]"
    doc_description = "Editors find it by a first line of the list: # yaml-language-server: $schema=FILE"
    cmd_options = (
        OUTPUT,
        {
            "name": "markdown",
            "long": "markdown",
            "type": bool,
            "default": False,
            "help": "print the reference of the list instead, as it is in docs/guests.yaml.md",
        },
    )

    def execute(self, opt_values: dict[str, Any], pos_args: Sequence[str]) -> int:
        """Print it, or write it to a file."""
        with may_end_early(), user_errors():
            if pos_args:
                raise GuestfarmError(f"unknown argument '{pos_args[0]}'", "to write a file, use doit schema -o FILE")
            schema = json.dumps(json_schema(hypervisors.BY_NAME), indent=2, ensure_ascii=False) + "\n"
            put(reference(hypervisors.BY_NAME) if opt_values["markdown"] else schema, Path(opt_values["output"] or "-"))
        return 0
