"""The reference of the guest list for people, made from the same tables that the list is read by."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from pipeline.guestlist.keys import guest as guest_keys
from pipeline.guestlist.keys import master as master_keys
from pipeline.guestlist.keys import network as network_keys
from pipeline.guestlist.keys import role as role_keys
from pipeline.guestlist.keys.hypervisor import Hypervisors
from pipeline.guestlist.resolve import draft as schema
from pipeline.guestlist.schema.readers import Or
from pipeline.guestlist.schema.table import REQUIRED, Item, Key, Shorthand, Table

_HEAD: Final = """\
# guests.yaml

The list is YAML: mappings, lists and texts, without anchors, aliases and tags. Nothing but the keys below may stand in
it. Sizes are a whole number and `B`, `K`, `M`, `G` or `T`, in powers of 1024. Paths of files are relative to the folder
of the list. A list of one value may be written as the value alone.

This page is made by `make docs`, from the tables that the list is read by. For completion and checks while you type,
have `doit schema -o build/guests.schema.json` write a JSON Schema, and put this line at the top of the list; editors
with the YAML language server know what to do with it:

```yaml fragment
# yaml-language-server: $schema=build/guests.schema.json
guests:
  deb01: {address: 10.0.0.11/24}
```
"""
_GUEST: Final = """\
`guests:` is a mapping of names to these keys. A name is a host name. With a range in it, as `web[01:20]`, it stands for
many guests; a value with a range that is as long then has one for each of them:

```yaml fragment
guests:
  web[01:20]: {address: "10.0.0.[21:40]/24", mac: {web07: 00:16:3e:00:00:07}}
  db: {address: 10.0.0.9/24, memory: 2G, root: {size: 20G, allocate: full}}
```

Brackets in the text of a file are no range, nor are those in `vars:`, in descriptions and the like that do not look so.

What a guest leaves open is what `defaults:` says, key by key, in mappings within it, too; what that leaves open is the
default below.
"""
_DEFAULTS: Final = (
    "`defaults:` may have every key of a guest but what two guests cannot share: MAC addresses and fixed\naddresses."
)
_MASTER: Final = "`masters:` is a mapping of names to these keys. Each is made from exactly one of\n{sources}."

_ROLE: Final = "`roles:` is a mapping of names to these keys, for guests to have: see [files and roles](roles.md)."
_NETWORK: Final = "`networks:` is a mapping of names to these keys, for guests to `use`: see [networks](networks.md)."


def reference(hypervisors: Hypervisors) -> str:
    """The page, in Markdown, with the options of `hypervisors`."""
    sources = _words(f"`{source.name}`" for source in master_keys.SOURCES)
    lines = chain(
        [_HEAD, "## The list", ""],
        _tables(schema.LIST),
        ["## Masters", "", _MASTER.format(sources=sources), ""],
        _tables(master_keys.MASTER),
        ["## Networks", "", _NETWORK, ""],
        _tables(network_keys.KEYS.table),
        ["## Roles", "", _ROLE, ""],
        _tables(role_keys.ROLE),
        ["## Guests", "", _GUEST, _DEFAULTS, ""],
        _tables(guest_keys.guest_table(tuple(each.options for each in hypervisors.values()))),
    )
    return "\n".join(lines).rstrip("\n") + "\n"


def _tables(table: Table, path: str = "") -> Iterator[str]:
    """The lines of `table`, and under headings of their own those of the mappings in it."""
    yield "| key | what it is | value | default |"
    yield "| --- | --- | --- | --- |"
    for name, item in table.items.items():
        yield f"| `{name}` | {_cell(item.doc)} | {_cell(_form(item))} | {_default(item)} |"
    yield ""
    for name, item in table.items.items():
        if inside := _inside(item):
            yield f"### `{path}{name}`"
            yield ""
            yield from _tables(inside, f"{path}{name}.")


def _inside(item: Item) -> Table | None:
    reader = item.reader if isinstance(item, Key) else None
    inside = getattr(reader.reader if isinstance(reader, Or) else reader or item, "table", None)
    return inside if isinstance(inside, Table) else None


def _form(item: Item) -> str:
    """What a value looks like."""
    match item:
        case Key():
            return item.reader.form
        case Shorthand():
            return item.key.reader.form
    short = getattr(item, "short", None)
    forms = item.schema.get("anyOf", ())
    return ", or ".join(
        [
            "a mapping, see below",
            *(["a list of such"] if any(form.get("type") == "array" for form in forms) else []),
            *([short.reader.form] if isinstance(short, Key) else []),
            *(str(form["const"]) for form in forms if "const" in form),
        ]
    )


def _default(item: Item) -> str:
    if isinstance(item, Key) and item.default is REQUIRED:
        return "must be given"
    default = item.schema.get("default")
    if isinstance(default, list):
        default = f"[{', '.join(map(str, default))}]"
    return "" if default is None else f"`{default}`"


def _cell(text: str) -> str:
    """`text` as Markdown in a table."""
    return "".join(f"\\{character}" if character in "|*_<>`[]\\" else character for character in text)


def _words(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
