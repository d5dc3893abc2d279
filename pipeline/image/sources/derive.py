"""Masters derived from others: the parent's files, more packages, commands; by mmdebstrap, around apt in the parent."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.layer import tar
from pipeline.image.layer.entries import EPOCH, Contents, Digest, Directory, Entry, Layer, Metadata
from pipeline.image.sources.mmdebstrap import ENVIRONMENT

RECIPE = 1
"""Raise it when the same parent and changes give another master: what was made by an older recipe is stale."""

_KEPT = ".guestfarm-parent"
_KEPT_FILES = ("etc/hostname", "etc/resolv.conf")
"""What mmdebstrap has from the host for as long as it works, and the parent perhaps otherwise."""

_APT = 'chroot "$1" apt-get -o Acquire::Languages=none -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold'
_LAST_HOOKS = (
    *(
        f'rm -f "$1/{name}"; if test -e "$1/{_KEPT}/{name}" || test -L "$1/{_KEPT}/{name}"; '
        f'then mv "$1/{_KEPT}/{name}" "$1/{name}"; fi'
        for name in _KEPT_FILES
    ),
    f'rm -rf "$1/{_KEPT}"',
    # Keys that guests must not share, and that would be others each time.
    'rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub',
    'if test -s "$1/etc/machine-id"; then : > "$1/etc/machine-id"; fi',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is done to the parent: packages installed by its own apt, from its own sources; then shell commands."""

    packages: Sequence[str]
    run: Sequence[str]


def build(parent: Layer, contents: Contents, changes: Changes, target: Path) -> None:
    """Make `target`, an empty file, of `parent`, which must have these `contents`: the same tar for the same packages.

    Programs of the parent run, in a chroot, in a user namespace unless we are root. Raises ProcessError, and ImageError
    when the parent is no longer what it was.
    """
    # Named like the target, so that what a killed run leaves is found by publish.sweep().
    with NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}-parent-") as plain:
        seen = Digest()
        tar.write(_prepared(seen.watch(parent)), plain)
        plain.flush()
        if seen.contents() != contents:
            raise ImageError("the parent changed while it was read", "run doit again")
        process.run(
            [
                *("mmdebstrap", "--variant=custom", "--format=tar", "--skip=update"),
                f"--setup-hook=tar-in {shlex.quote(plain.name)} /",
                *(f"--customize-hook={hook}" for hook in _hooks(changes)),
                *("", target, ""),
            ],
            environment={
                "SOURCE_DATE_EPOCH": str(EPOCH),
                "DEBIAN_FRONTEND": "noninteractive",
                **process.inherited(*ENVIRONMENT),
            },
        )


def _prepared(parent: Layer) -> Iterator[Entry]:
    """The parent without /dev, which mmdebstrap makes, and with what it has from the host out of its way."""
    yield Directory(_KEPT, Metadata(mode=0o700))
    yield Directory(f"{_KEPT}/etc", Metadata(mode=0o700))
    for entry in parent:
        if entry.path in _KEPT_FILES:
            yield replace(entry, path=f"{_KEPT}/{entry.path}")
        elif not entry.path.startswith("dev/"):
            yield entry


def _hooks(changes: Changes) -> Iterator[str]:
    if changes.packages:
        yield f"{_APT} update --error-on=any"
        yield f"{_APT} install --yes --no-install-recommends {shlex.join(changes.packages)}"
        yield f"{_APT} clean"
    yield from changes.run
    yield from _LAST_HOOKS
