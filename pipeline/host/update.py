"""A guest that is deployed already: what may change without its disks does, and all of those stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.host import staging
from pipeline.host.built import Built
from pipeline.host.receipt import Known, Receipt, sha256
from pipeline.host.staging import Owner
from pipeline.host.store import Deployed
from pipeline.image.files import sparse
from pipeline.image.files.clone import clone
from pipeline.image.files.publish import publish


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to a guest's files, in words; what was not, because of what is there; and what failed."""

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def update(there: Deployed, known: Receipt, built: Built, owner: Owner | None) -> Outcome:
    """Give a guest what the build has and what may change, and take that down in its receipt. Nobody else may be at it.

    New disks belong to `owner`, or else to whom the root disk that is there does. Raises OSError and ImageError.
    """
    outcome = Outcome()
    current = replace(
        known,
        deployed=known.deployed or now(),
        disks=_add_disks(there, known, built, owner, outcome),
        boot=_replace_boot(there, known, built, outcome),
        configs=_replace_configs(there, known, built, outcome),
    )
    if current != known:
        current.write(there.folder)
    return outcome


def _add_disks(
    there: Deployed, known: Receipt, built: Built, owner: Owner | None, outcome: Outcome
) -> Mapping[str, Mapping[str, str]]:
    """Install disks that the guest never had, and return what is on record of all that it has."""
    disks = dict(known.disks)
    for source, made_from in built.disks.items():
        target = there.folder / source.name
        if _is_there(target):
            continue
        if source.name in known.disks:
            hint = f"put it back, or start anew: doit redeploy {there.name}"
            outcome.failed.append(f"{source.name} was deployed and is gone; {hint}")
            continue
        with publish(target, mode=staging.DISK, room=sparse.space(source)) as path:
            staging.copy_disk(source, path, owner or owner_of(there))
        disks[source.name] = made_from
        outcome.done.append(f"{source.name} added")
    return disks


def _replace_boot(there: Deployed, known: Receipt, built: Built, outcome: Outcome) -> Mapping[str, Known]:
    boot = dict(known.boot)
    now = {source.name: _sha256_there(there.folder / source.name, boot.get(source.name)) for source in built.boot}
    different = [source for source in built.boot if now[source.name] != sha256(source)]
    names = ", ".join(source.name for source in different)
    touched = [
        source.name
        for source in different
        if now[source.name] and (source.name not in boot or now[source.name] != boot[source.name].sha256)
    ]
    if not different:
        return boot
    if known.modules is None:
        outcome.kept.append(f"{names} kept: which modules the root disk has is not known")
    elif known.modules != built.modules:
        outcome.kept.append(f"{names} kept: the root disk has other modules than the new ones need")
    elif touched:
        outcome.kept.append(f"{names} kept: {', '.join(touched)} changed since it was deployed")
    else:
        for source in different:
            boot[source.name] = _replace(source, there.folder / source.name)
        outcome.done.append(f"{names} installed")
    return boot


def _replace_configs(there: Deployed, known: Receipt, built: Built, outcome: Outcome) -> Mapping[str, Known]:
    configs = dict(known.configs)
    missing = [path.name for path in (*built.disks, *built.boot) if not _is_there(there.folder / path.name)]
    for source in built.configs:
        target = there.folder / source.name
        now = _sha256_there(target, configs.get(source.name))
        if now == sha256(source):
            continue
        if missing:
            outcome.failed.append(f"{source.name} kept: a new one would need {', '.join(missing)}")
            continue
        backup = _back_up(target) if now else None
        configs[source.name] = _replace(source, target)
        outcome.done.append(f"{source.name} replaced, the old one is {backup}" if backup else f"{source.name} added")
    for name in known.configs.keys() - {source.name for source in built.configs}:
        if _is_there(there.folder / name):  # somebody might start the guest by it
            outcome.done.append(f"{name} is not made any more, the old one is {_back_up(there.folder / name)}")
            (there.folder / name).unlink()
        del configs[name]
    return configs


def _replace(source: Path, target: Path) -> Known:
    with publish(target, mode=staging.mode(source), room=sparse.space(source)) as path:
        clone(source, path)
    return Known.of(target, sha256(source))


def _back_up(target: Path) -> str:
    backup = target.with_name(f"{target.name}.bak")
    with publish(backup, mode=staging.mode(target)) as path:
        clone(target, path)
    return backup.name


def owner_of(there: Deployed) -> Owner | None:
    """Whom the disks of a guest belong to, if it has any. Raises OSError."""
    root = there.disks.get("root")
    return Owner.of(root) if root else None


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _sha256_there(path: Path, known: Known | None) -> str | None:
    if not path.exists():
        return None
    return known.now(path) if known else sha256(path)


def now() -> str:
    """The time, as receipts have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
