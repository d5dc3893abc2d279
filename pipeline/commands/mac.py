"""`doit mac`: MAC addresses to pin, random and unused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import doit

from pipeline import guestlist, hypervisors
from pipeline.commands.base_command import BaseCommand, WholeNumber
from pipeline.engine import may_end_early, user_errors
from pipeline.errors import GuestfarmError
from pipeline.model.mac import random_mac

_DEFAULT_LIST = "guests.yaml"
_MOST = 1000


class Mac(BaseCommand):
    """Prints random MAC addresses that no guest of the list has."""

    name = "mac"
    doc_purpose = "print random MAC addresses of Xen's that no guest has"
    doc_usage = "[-n NUMBER]"
    doc_description = "Leaves out the addresses of the guests in guests.yaml, or in FILE with doit guests=FILE mac."
    cmd_options = (
        {
            "name": "number",
            "short": "n",
            "long": "number",
            "type": WholeNumber(1, _MOST),
            "default": 1,
            "help": f"how many, 1 to {_MOST} [default: %(default)s]",
        },
    )

    def execute(self, opt_values: dict[str, Any], pos_args: Sequence[str]) -> int:
        """Print as many addresses as asked for, one a line."""
        with may_end_early(), user_errors():
            if pos_args:
                raise GuestfarmError(f"unknown argument '{pos_args[0]}'", "for five addresses, use doit mac -n 5")
            taken = _taken()
            for _ in range(opt_values["number"]):
                mac = random_mac(taken)
                taken.add(mac)
                print(mac)
        return 0


def _taken() -> set[str]:
    """The MAC addresses of the list that the user named, or of the usual one where there is one."""
    named = doit.get_var("guests")
    path = Path(named or _DEFAULT_LIST)
    if named is None and not path.exists():
        return set()
    return {
        nic.mac for guest in guestlist.load(path, hypervisors=hypervisors.BY_NAME).guests.values() for nic in guest.nics
    }
