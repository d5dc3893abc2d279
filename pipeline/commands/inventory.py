"""`doit inventory`: the farm as Ansible, /etc/hosts and DHCP servers want to know it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import doit

from pipeline import guestlist, hypervisors
from pipeline.commands.base_command import BaseCommand
from pipeline.commands.output import OUTPUT, put
from pipeline.commands.site_command import chosen
from pipeline.engine import may_end_early, user_errors
from pipeline.guestlist.export.inventory import FORMATS


class Inventory(BaseCommand):
    """Prints names and addresses of guests in the format of another program."""

    name = "inventory"
    doc_purpose = "print names and addresses of guests for Ansible, /etc/hosts, dnsmasq or ISC dhcpd"
    doc_usage = "[--format FORMAT] [-o FILE] [GUEST ...]"
    doc_description = "Reads guests.yaml, or FILE with doit guests=FILE inventory; nothing needs to be built."
    cmd_options = (
        {
            "name": "format",
            "long": "format",
            "type": str,
            "default": "ansible",
            "choices": [(name, "") for name in FORMATS],
            "help": f"one of {', '.join(FORMATS)} [default: %(default)s]",
        },
        OUTPUT,
    )

    def execute(self, opt_values: dict[str, Any], pos_args: Sequence[str]) -> int:
        """Print it, or write it to a file."""
        with may_end_early(), user_errors():
            loaded = guestlist.load(Path(doit.get_var("guests") or "guests.yaml"), hypervisors=hypervisors.BY_NAME)
            text = FORMATS[opt_values["format"]](loaded, chosen(loaded, pos_args))
            put(text, Path(opt_values["output"] or "-"))
        return 0
