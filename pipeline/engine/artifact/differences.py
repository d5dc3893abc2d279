"""How what an artifact was made from differs from what it would be made from now, in words."""

import difflib
import re
from collections.abc import Iterator, Mapping

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What can be put on record."""

_MOST_LINES = 6
"""How many changed lines of a text are told; a person wants the reason, not the patch."""


_NAMED = {"users": "user", "files": "file", "tree": "file", "units": "unit", "roles": "role"}
"""What is told of by its name: the names of what is on record in mappings of that name."""

_KEYS = {
    "time zone": "timezone",
    "host keys": "host_keys",
    "kinds": "host_keys",
    "MTU": "mtu",
    "VLAN": "vlan",
    "accept RA": "accept_ra",
    "order of roles": "roles",
    "Xen types": "xen",
}
"""What is on record under names that are not those of the guest list, and what these are there."""

_ORDERS = ("order of roles",)
"""What is on record only where there are several: it tells nothing where there were, or are, fewer."""

_AFTER_KINDS = tuple(f"{kind} " for kind in {*_NAMED.values()})

_DIGEST = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}")
"""What stands for contents of which nobody is told more than that they are others."""

_WORDS = ("enabled", "disabled", "masked")
"""States, of which sentences are made."""


def differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """What changed, one thing a line; names are those of the innermost values, with what tells them from others."""
    return list(_of_mappings("", before, after))


def _of_mappings(where: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[str]:
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old != new and not (name in _ORDERS and (old is None or new is None)):
            yield from _of_values(where, _KEYS.get(name, name), old, new)


def _of_values(where: str, name: str, before: Json, after: Json) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_mappings(f"{where}{_NAMED[name]} " if name in _NAMED else f"{where}{name}: ", before, after)
    elif before in _WORDS or after in _WORDS:
        yield f"{where}{name} {after}" if after in _WORDS else f"{where}{name} is not {before} any more"
    elif _is_digest(before) and _is_digest(after):
        yield f"{where}{name} changed"
    elif (before is None or after is None) and where.endswith(_AFTER_KINDS):
        yield f"{where}{name} is {'new' if before is None else 'gone'}"
    elif name in _NAMED and (before or after) and isinstance(before or {}, dict) and isinstance(after or {}, dict):
        yield from _of_values(where, name, before or {}, after or {})
    elif isinstance(before, list) and isinstance(after, list):
        yield from _of_lists(where, name, before, after)
    elif isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield from _of_texts(f"{where}{name}", before, after)
    elif before is None:
        yield f"{where}{name}: {_shown(after)} is new"
    elif after is None:
        yield f"{where}{name}: {_shown(before)} is gone"
    else:
        yield f"{where}{name} changed from {_shown(before)} to {_shown(after)}"


def _of_lists(where: str, name: str, before: list[Json], after: list[Json]) -> Iterator[str]:
    pairs = [(a, b) for a, b in zip(before, after, strict=False) if isinstance(a, dict) and isinstance(b, dict)]
    if len(pairs) == len(before) == len(after):
        for number, (former, later) in enumerate(pairs, 1):
            # The only network card, say, needs no number; nor does anybody need to hear that it is the network's.
            yield from _of_mappings(f"{where}{name} {number}: " if len(before) > 1 else where, former, later)
        return
    if any(isinstance(each, list) and all(isinstance(part, int) for part in each) for each in (*before, *after)):
        yield f"{where}{name} changed"  # sizes and times of files
        return
    if len(before) == len(after) == 1:
        yield f"{where}{name} changed from {_shown(before)} to {_shown(after)}"
        return
    gone = [each for each in before if each not in after]
    new = [each for each in after if each not in before]
    for each in gone:
        yield f"{where}{name}: {_shown(each)} is gone"
    for each in new:
        yield f"{where}{name}: {_shown(each)} is new"
    if not gone and not new:
        yield f"{where}{name}: the {'order' if len(before) == len(after) else 'number'} changed"


def _of_texts(where: str, before: str, after: str) -> Iterator[str]:
    old, new = before.splitlines(), after.splitlines()
    told = []
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        gone, come = old[start:end], new[new_start:new_end]
        paired = min(len(gone), len(come))
        told += [f"{a.strip()} became {b.strip()}" for a, b in zip(gone, come, strict=False)]
        told += [f"{line.strip()} is gone" for line in gone[paired:]]
        told += [f"{line.strip()} is new" for line in come[paired:]]
    yield from (f"{where}: {line}" for line in told[:_MOST_LINES])
    if len(told) > _MOST_LINES:
        yield f"{where}: and {len(told) - _MOST_LINES} lines more"


def _is_digest(value: Json) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _shown(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
