"""A guest that is deployed already: what may change without its disks does, and all of those stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import command
from pipeline.host import fit, staging
from pipeline.host.built import Built
from pipeline.host.disk_uuid import uuid_of
from pipeline.host.receipt import Begun, Inside, Known, Receipt, sha256, sha256_now
from pipeline.host.staging import Owner
from pipeline.host.store import Deployed
from pipeline.image.files import sparse
from pipeline.image.files.clone import clone
from pipeline.image.files.publish import publish

_VOUCHED = ("network", "swap UUID", "mounts")
"""Inputs of root disks and seeds that a guest may have been changed to by hand."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to a guest's files, in words; what was not, because of what is there; and what failed."""

    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def update(there: Deployed, known: Receipt, built: Built, owner: Owner | None, *, believed: bool = False) -> Outcome:
    """Give a guest what the build has and what may change, and take that down in its receipt. Nobody else may be at it.

    Nothing changes where that would not boot, or not be reached: see fit.py. With `believed`, what is inside was
    changed by hand to what the list says. New disks belong to `owner`, or else to whom the root disk does.

    What is about to change is in the receipt beforehand: killed at any point, the next run knows what is its own, and
    the receipt becomes the same. A kernel and an initrd of two builds are on record until they are replaced.
    Raises OSError, HostError and ImageError.
    """
    outcome = Outcome()
    mixed = fit.mixed(there, known)
    settled = _settled(there, known)
    faults = list(fit.faults(there, settled, built, believed=believed))
    outcome.failed.extend(f"left as it is: {fault}" for fault in faults)
    inside = fit.inside_now(there, settled, built)
    if believed and known.deployed:
        settled, inside = _believed(there, settled, inside, built)
    current = settled
    if not faults:
        plan = _plan(there, settled, built, outcome)
        if plan.disks or plan.boot or plan.configs:
            begun = replace(plan.begun, mixed=mixed)
            replace(settled, farm=built.farm, guest=built.guest, inside=inside, begun=begun).write(there.folder)
        for source in plan.disks:
            with publish(there.folder / source.name, mode=staging.DISK, room=sparse.space(source)) as path:
                staging.copy_disk(source, path, owner or owner_of(there))
        boot = {source.name: _replace(source, there.folder / source.name) for source in plan.boot}
        for name in (*plan.replaced, *plan.gone):
            _back_up(there.folder / name)
        configs = {source.name: _replace(source, there.folder / source.name) for source in plan.configs}
        for name in plan.gone:
            (there.folder / name).unlink()
        left = {name: known for name, known in settled.configs.items() if name not in plan.forgotten}
        current = replace(
            settled,
            disks={**settled.disks, **plan.begun.disks},
            boot={**settled.boot, **boot},
            configs={**left, **configs},
        )
        inside = replace(inside, uuids={**inside.uuids, **(plan.begun.uuids or {})})
    if mixed and _is_built(there, current, built):
        mixed = {}
    if mixed and built.boot:
        outcome.failed.append(
            f"{' and '.join(sorted(mixed))} are of two builds, since a deploy was interrupted: it may not boot; "
            f"put back those of one build, or start anew: {command('redeploy', there.name)}"
        )
    current = replace(
        current,
        farm=built.farm,
        guest=built.guest,
        inside=inside,
        deployed=settled.deployed or now(),
        begun=Begun(mixed=mixed) if mixed else None,
    )
    if current != known:
        current.write(there.folder)
    return outcome


def _believed(there: Deployed, known: Receipt, inside: Inside, built: Built) -> tuple[Receipt, Inside]:
    """The receipt, and what is inside, if that is what the list says, but for what the disks say themselves."""
    mounts = {
        name: uuid for name, uuid in (built.inside.mounts or {}).items() if uuid_of(there.folder / name) in (None, uuid)
    }
    if fit.is_replaced(there, known):  # then nothing is known of what the root disk was made from
        disks = {name: made_from for name, made_from in known.disks.items() if name != fit.ROOT}
        known = replace(known, modules=None, disks=disks)
        inside = replace(inside, uuids={**inside.uuids, fit.ROOT: uuid_of(there.folder / fit.ROOT) or ""})
    made_from = {path.name: inputs for path, inputs in built.disks.items()}
    disks = {name: _with(inputs, made_from.get(name, {})) for name, inputs in known.disks.items()}
    return replace(known, disks=disks), replace(inside, mounts=mounts, network=built.inside.network)


def _with(recorded: Mapping[str, str], now: Mapping[str, str]) -> Mapping[str, str]:
    """What is on record of a disk, with those inputs as they are `now` which the user vouches for."""
    others = {name: of for name, of in recorded.items() if name not in _VOUCHED}
    return {**others, **{name: of for name, of in now.items() if name in _VOUCHED}}


@dataclass(slots=True)
class _Plan:
    """What is to be done with a guest's files."""

    disks: list[Path] = field(default_factory=list)
    """Those of the build that the guest never had."""
    boot: list[Path] = field(default_factory=list)
    """Those of the build that take the places of others."""
    configs: list[Path] = field(default_factory=list)
    """Those of the build that are new, or take the places of others."""
    replaced: list[str] = field(default_factory=list)
    """Those of the configurations in whose places others come."""
    gone: list[str] = field(default_factory=list)
    """Configurations that are not made any more."""
    forgotten: list[str] = field(default_factory=list)
    """Configurations on record that are not made any more, there or not."""
    begun: Begun = field(default_factory=Begun)


def _plan(there: Deployed, known: Receipt, built: Built, outcome: Outcome) -> _Plan:
    """What is to be done; what is done by it, what is kept and what cannot be done goes to `outcome`."""
    plan = _Plan()
    _plan_disks(there, known, built, outcome, plan)
    _plan_boot(there, known, built, outcome, plan)
    _plan_configs(there, known, built, outcome, plan)
    plan.begun = Begun(
        disks={source.name: built.disks[source] for source in plan.disks},
        boot={source.name: sha256(source) for source in plan.boot},
        configs={source.name: sha256(source) for source in plan.configs},
        uuids={path.name: uuid for path in plan.disks if (uuid := built.inside.uuids.get(path.name))},
    )
    return plan


def _settled(there: Deployed, known: Receipt) -> Receipt:
    """The receipt with what a run that was killed had put into the folder by then. Raises OSError."""
    if known.begun is None:
        return known
    begun, folder, inside = known.begun, there.folder, known.inside
    disks = {name: of for name, of in begun.disks.items() if _is_there(folder / name)}
    if inside is not None:
        recorded = begun.uuids
        uuids = {name: uuid_of(folder / name) if recorded is None else recorded.get(name) for name in disks}
        inside = replace(inside, uuids={**inside.uuids, **{name: uuid for name, uuid in uuids.items() if uuid}})
    return replace(
        known,
        inside=inside,
        disks={**known.disks, **disks},
        boot={**known.boot, **_arrived(folder, begun.boot)},
        configs={**known.configs, **_arrived(folder, begun.configs)},
    )


def _arrived(folder: Path, begun: Mapping[str, str]) -> dict[str, Known]:
    return {
        name: Known.of(folder / name, digest)
        for name, digest in begun.items()
        if sha256_now(folder / name, None) == digest
    }


def _is_built(there: Deployed, known: Receipt, built: Built) -> bool:
    """Whether the kernel and initrd that are there are those of the build, which belong together. Raises OSError."""
    return bool(built.boot) and all(
        sha256_now(there.folder / source.name, known.boot.get(source.name)) == sha256(source) for source in built.boot
    )


def _plan_disks(there: Deployed, known: Receipt, built: Built, outcome: Outcome, plan: _Plan) -> None:
    """Install disks that the guest never had."""
    for source in built.disks:
        if _is_there(there.folder / source.name):
            continue
        if source.name in known.disks:
            hint = f"put it back, or start anew: {command('redeploy', there.name)}"
            outcome.failed.append(f"{source.name} was deployed and is gone; {hint}")
            continue
        plan.disks.append(source)
        outcome.done.append(f"{source.name} added")


def _plan_boot(there: Deployed, known: Receipt, built: Built, outcome: Outcome, plan: _Plan) -> None:
    boot = known.boot
    now = {source.name: sha256_now(there.folder / source.name, boot.get(source.name)) for source in built.boot}
    different = [source for source in built.boot if now[source.name] != sha256(source)]
    names = ", ".join(source.name for source in different)
    touched = [
        source.name
        for source in different
        if now[source.name] and (source.name not in boot or now[source.name] != boot[source.name].sha256)
    ]
    if not different:
        return
    if known.modules is None or fit.is_replaced(there, known):
        outcome.kept.append(f"{names} kept: which modules the root disk has is not known")
    elif known.modules != built.modules:
        outcome.kept.append(f"{names} kept: the root disk has other modules than the new ones need")
    elif touched:
        outcome.kept.append(f"{names} kept: {', '.join(touched)} changed since it was deployed")
    else:
        plan.boot.extend(different)
        outcome.done.append(f"{names} installed")


def _plan_configs(there: Deployed, known: Receipt, built: Built, outcome: Outcome, plan: _Plan) -> None:
    coming = {path.name for path in (*plan.disks, *plan.boot)}
    missing = [
        path.name
        for path in (*built.disks, *built.boot)
        if path.name not in coming and not _is_there(there.folder / path.name)
    ]
    kept = []
    sizes = list(fit.size_faults(there, built))
    for source in built.configs:
        target = there.folder / source.name
        now = sha256_now(target, known.configs.get(source.name))
        if now == sha256(source):
            continue
        if missing:
            outcome.failed.append(f"{source.name} kept: a new one would need {', '.join(missing)}")
            continue
        if sizes and source.name in built.sized:
            kept.append(source.name)
            continue
        plan.configs.append(source)
        if now:
            plan.replaced.append(source.name)
            outcome.done.append(f"{source.name} replaced, the old one is {_backup(target).name}")
        else:
            outcome.done.append(f"{source.name} added")
    if kept:
        outcome.failed.extend(f"{', '.join(kept)} kept: {fault}" for fault in sizes)
    for name in known.configs.keys() - {source.name for source in built.configs}:
        plan.forgotten.append(name)
        if _is_there(there.folder / name):  # somebody might start the guest by it
            plan.gone.append(name)
            outcome.done.append(f"{name} is not made any more, the old one is {_backup(there.folder / name).name}")


def _replace(source: Path, target: Path) -> Known:
    with publish(target, mode=staging.mode(source), room=sparse.space(source)) as path:
        clone(source, path)
    return Known.of(target, sha256(source))


def _back_up(target: Path) -> None:
    with publish(_backup(target), mode=staging.mode(target)) as path:
        clone(target, path)


def _backup(target: Path) -> Path:
    return target.with_name(f"{target.name}.bak")


def owner_of(there: Deployed) -> Owner | None:
    """Whom the disks of a guest belong to, if it has any. Raises OSError."""
    root = there.disks.get("root")
    return Owner.of(root) if root else None


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def now() -> str:
    """The time, as receipts have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
