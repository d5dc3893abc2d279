"""The guest list as a whole: its keys, and what it says before rules that concern several parts are applied."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.guestlist.keys import names
from pipeline.guestlist.keys.guest import guest_table
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.keys.master import Masters, read_masters
from pipeline.guestlist.keys.network import Networks, read_networks
from pipeline.guestlist.keys.role import Roles, read_roles
from pipeline.guestlist.resolve.address_pool import assign
from pipeline.guestlist.resolve.entries import Entry, read_defaults, read_entries
from pipeline.guestlist.schema.readers import Part
from pipeline.guestlist.schema.table import BrokenError, Fields, Key, Table
from pipeline.guestlist.syntax.nodes import Fault, Node, Scalar, fault, size

_NOTHING: Final[Node] = Scalar("", plain=True, line=1, column=1)

FARM: Final = Key("farm", names.NAME, "seeds every derived MAC address, UUID and machine ID: choose once")
IMAGES: Final = Key(
    "images",
    names.ABSOLUTE_PATH,
    "where the host keeps guests' disks",
    PurePosixPath("/opt/xen/images"),
)
MASTERS: Final = Key("masters", Part("a mapping of names to masters"), "what root disks start from", _NOTHING)
NETWORKS: Final = Key(
    "networks",
    Part("a mapping of names to networks"),
    "what guests' networks have in common, by names to use",
    _NOTHING,
)
ROLES: Final = Key(
    "roles",
    Part("a mapping of names to roles"),
    "bundles of files, users and units that guests have in common",
    _NOTHING,
)
DEFAULTS: Final = Key("defaults", Part("a mapping of a guest's keys"), "what guests share", _NOTHING)
GUESTS: Final = Key("guests", Part("a mapping of names to guests"), "the virtual machines")
LIST: Final = Table(FARM, IMAGES, MASTERS, NETWORKS, ROLES, DEFAULTS, GUESTS)


@dataclass(frozen=True, slots=True)
class Draft:
    """What the list says, with the places where it says so."""

    fields: Fields
    masters: Masters | None
    """None where there is no telling which there are."""
    networks: Networks | None
    """The same of networks."""
    roles: Roles | None
    """The same of roles."""
    defaults: Fields
    entries: list[Entry]
    folder: Path
    """What the paths of files are relative to."""


def read(root: Node | None, folder: Path, hypervisors: Hypervisors) -> tuple[Draft, list[Fault]]:
    """What the list with the node `root` says, and all that is wrong with its parts. Paths are relative to `folder`.

    Guests have keys for the options of `hypervisors`.
    """
    keys = guest_table(tuple(each.options for each in hypervisors.values()))
    top = root or _NOTHING
    fields, faults = LIST.read(top)
    faults.extend(fault(top, f"{key.name} is missing", f"give {key.reader.form}") for key in LIST.missing(fields))
    masters: Masters | None = None
    networks: Networks | None = None
    roles: Roles | None = None
    defaults = Fields({})
    entries: list[Entry] = []
    with suppress(BrokenError):
        masters, found = read_masters(fields[MASTERS], folder)
        faults.extend(each.under(MASTERS.name) for each in found)
    with suppress(BrokenError):
        networks, found = read_networks(fields[NETWORKS])
        faults.extend(each.under(NETWORKS.name) for each in found)
    with suppress(BrokenError):
        roles, found = read_roles(fields[ROLES])
        faults.extend(each.under(ROLES.name) for each in found)
    with suppress(BrokenError):
        defaults, found = read_defaults(fields[DEFAULTS], keys)
        faults.extend(each.under(DEFAULTS.name) for each in found)
    with suppress(BrokenError):
        entries, found = read_entries(fields[GUESTS], keys, defaults, networks, size(fields[DEFAULTS]))
        faults.extend(each.under(GUESTS.name) for each in found)
    if networks:
        with suppress(BrokenError):
            assign((card for entry in entries for guest in entry for card in guest.cards), fields[FARM])
    return Draft(fields, masters, networks, roles, defaults, entries, folder), faults
