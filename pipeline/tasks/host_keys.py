"""keys:G and known_hosts:FORMAT: guests' SSH host keys, and what lets administrators trust the first connection.

Private keys are no targets of a task, and so nothing that `doit clean` would remove: what was trusted once is worth
more than any artifact, which can be made again. They are in keys/ beside the guest list. What a task makes of them is
the public keys, in build/.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from pipeline import input_file
from pipeline.engine import Json, Tasks, artifact
from pipeline.engine.artifact.targets import stamps
from pipeline.guestos import known_hosts
from pipeline.image.files.publish import publish_text
from pipeline.inputs import host_keys
from pipeline.model.guest import Guest
from pipeline.tasks import list_keys, ownership
from pipeline.tasks.site import Site

_PUBLIC = "ssh_host_keys.pub"
_LONGEST = 1 << 16
"""Bytes of a file of public keys; one has some hundred."""

_FORMATS: tuple[tuple[str, str, str, Callable[..., str]], ...] = (
    ("openssh", "known_hosts", "the host keys of all guests, as ssh's known_hosts", known_hosts.known_hosts),
    ("dns", "sshfp", "the host keys of all guests, as SSHFP records for a DNS zone", known_hosts.sshfp),
)


def public(site: Site, guest: Guest) -> str | None:
    """Where the public keys of a guest are; None if it has none before it boots."""
    return site.file_of(guest.name, _PUBLIC) if guest.host_keys else None


def private(site: Site, guest: Guest) -> dict[str, bytes]:
    """The files of a guest's keys by their names, for its root disk."""
    return host_keys.read(site.keys, guest.name, guest.host_keys or ())


def tasks(site: Site) -> Tasks:
    """A task for each guest whose host keys are made before it boots."""
    for guest in site.guests:
        target = public(site, guest)
        if target is not None:
            kinds = [str(kind) for kind in guest.host_keys or ()]
            yield artifact(
                guest.name,
                f"{guest.name}'s SSH host keys: {', '.join(kinds)}",
                partial(_make, site, guest.name, kinds, target),
                guest=guest.name,
                targets=[target],
                inputs={
                    "recipe": host_keys.RECIPE,
                    "kinds": [*kinds],
                    "files": partial(_stamps, site.keys, guest.name, kinds),
                },
                keys=list_keys.of_host_keys(guest),
            )


def trust(site: Site) -> Tasks:
    """A task for each format in which all guests' keys are told."""
    guests = [known_hosts.names(guest) for guest in site.guests if guest.host_keys]
    found = {name: site.file_of(name, _PUBLIC) for name, *_ in guests}
    for name, file, doc, render in _FORMATS if found else ():
        yield artifact(
            name,
            doc,
            partial(_publish, site.build / file, guests, found, render),
            targets=[site.build / file],
            # Not files: so many dependencies of one task would take doit a time that grows with their square.
            tasks=["keys"],
            inputs={
                "recipe": known_hosts.RECIPE,
                # Ten thousand of them are too many to be put on record.
                "names and addresses": _short(repr([[*known] for known in guests])),
                "public keys": partial(_written, tuple(found.values())),
            },
        )


def _make(site: Site, guest: str, kinds: Sequence[str], target: str) -> None:
    ownership.claim_keys(site)
    publish_text(Path(target), "".join(f"{key}\n" for key in host_keys.make(site.keys, guest, kinds)))


def _stamps(keys: Path, guest: str, kinds: Sequence[str]) -> list[Json]:
    return [[*stamp] if stamp else None for stamp in host_keys.stamps(keys, guest, kinds)]


def _written(files: Iterable[str]) -> str:
    """Changes whenever public keys are written."""
    return _short(repr([stamp[1] for stamp in stamps(files).values()]))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _publish(
    target: Path, guests: Sequence[Sequence[str]], files: Mapping[str, str], render: Callable[..., str]
) -> None:
    keys = {name: input_file.read(Path(path), _LONGEST).decode().splitlines() for name, path in files.items()}
    publish_text(target, render(guests, keys))
