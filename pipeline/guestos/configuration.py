"""Configuration files that a master has already: read, changed, and written where they really are."""

import re
from collections.abc import Iterator, Mapping, Sequence

from pipeline.image.layer.entries import Entry, Removal, text
from pipeline.image.layer.tree import Tree, resolve

_MADE_AT_BOOT = ("dev", "proc", "run", "sys", "tmp")
"""Where nothing is that a file system keeps: hier(7)."""


def there(tree: Tree, path: str) -> str:
    """What is in the file at `path`; nothing where there is none."""
    return tree.read(path).decode(errors="surrogateescape") if tree.exists(path) else ""


def place(tree: Tree, path: str) -> str | None:
    """Where what is written to `path` belongs: where a symlink there leads, inside of the image.

    None where that is made at boot: then a service of the guest looks after it.
    """
    if tree.readlink(path) is None:
        return path
    real = resolve(tree, path)
    made_at_boot = real.partition("/")[0] in _MADE_AT_BOOT or real.startswith("var/run/")
    return None if made_at_boot else real


def written(tree: Tree, path: str, contents: str) -> Iterator[Entry]:
    """The file at `path` with these contents, unless a service of the guest looks after it."""
    real = place(tree, path)
    if real is not None:
        yield text(real, contents)


def changed(tree: Tree, path: str, settings: Mapping[str, str]) -> Iterator[Entry]:
    """The file of variables at `path` with these settings instead of its own, and all else as it is."""
    yield from written(tree, path, assigned(there(tree, path), settings))


def assigned(before: str, settings: Mapping[str, str]) -> str:
    """Variables as a shell reads them, with these `settings` where the same were set before, or else at the end."""
    lines: list[str] = []
    missing = dict(settings)
    for line in before.splitlines():
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=", line)
        if match is None or match[1] not in settings:
            lines.append(line)
        elif match[1] in missing:
            lines.append(_assignment(match[1], missing.pop(match[1])))
    return "\n".join([*lines, *(_assignment(name, value) for name, value in missing.items()), ""])


def _assignment(name: str, value: str) -> str:
    return f"{name}={value if re.fullmatch('[A-Za-z0-9_.,:@/+-]+', value) else quoted(value)}"


def quoted(value: str) -> str:
    """`value` in double quotes, for a shell and for systemd's environment files alike."""
    return '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'


def replaced(tree: Tree, folder: str, own: re.Pattern[str], files: Mapping[str, Sequence[str]]) -> Iterator[Entry]:
    """The `files` of `folder`, by name, each with its lines, and no others there whose names `own` matches."""
    for name in tree.names(folder):
        if own.fullmatch(name) and name not in files:
            yield Removal(f"{folder}/{name}")
    for name, lines in files.items():
        yield text(f"{folder}/{name}", "\n".join([*lines, ""]))
