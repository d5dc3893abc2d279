"""systemd's units that guests enable, disable or mask: their keys in the list, and what they mean."""

from typing import Final

from pipeline.errors import GuestfarmError, quoted
from pipeline.guestlist.schema.readers import Many, Parsed
from pipeline.guestlist.schema.table import BrokenError, Fields, Key, Section, Table
from pipeline.guestlist.syntax.nodes import Fault, fault
from pipeline.model.role import Units
from pipeline.model.unit_names import is_valid

_FORM = "the name of a unit like nginx.service"


def _parse_unit(text: str) -> str:
    name = text if is_valid(text) else f"{text}.service"  # as systemctl(1) has it
    if not is_valid(name):
        raise GuestfarmError(f"expected {_FORM}, found {quoted(text)}", "see systemd.unit(5)")
    return name


_UNITS: Final = Many(Parsed(_FORM, _parse_unit, r"[A-Za-z0-9:_.\\@-]{1,255}"))
ENABLE: Final[Key[tuple[str, ...]]] = Key("units.enable", _UNITS, "units to be started as they ask for", ())
DISABLE: Final[Key[tuple[str, ...]]] = Key("units.disable", _UNITS, "units not to be started of themselves", ())
MASK: Final[Key[tuple[str, ...]]] = Key("units.mask", _UNITS, "units that nothing shall be able to start", ())
UNITS: Final = Section("units", Table(ENABLE, DISABLE, MASK), "systemd's units, as systemctl would set them up")


def units(fields: Fields) -> Units:
    """The units that `fields` have. Raises BrokenError."""
    return Units(enable=fields[ENABLE], disable=fields[DISABLE], mask=fields[MASK])


def check(fields: Fields) -> list[Fault]:
    """What does not go together: a unit is enabled, disabled or masked."""
    found: list[Fault] = []
    seen: dict[str, str] = {}
    for key in (ENABLE, DISABLE, MASK):
        verb = key.name.rpartition(".")[2]
        try:
            for name in fields[key]:
                if seen.setdefault(name, verb) != verb:
                    message = f"{quoted(name)} is under {seen[name]}: as well"
                    found.append(fault(fields.node(key), message, "a unit is in one of them", (UNITS.name, verb)))
        except BrokenError:
            continue
    return found
