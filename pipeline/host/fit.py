"""Whether configurations fit the disks that are there: what would not boot, or not be reached, and what is only stale.

The disks of a deployed guest stay as they are, and the list goes on. A configuration of today's list can name a root
file system, a disk or a network card that the disks know nothing of. Three sources tell: the receipt, what is on the
disks, and the configurations that are there.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from pipeline.errors import command
from pipeline.host.built import Built
from pipeline.host.disk_uuid import uuid_of
from pipeline.host.receipt import Card, Inside, Receipt, contents, sha256_now
from pipeline.host.store import Deployed, host_errors
from pipeline.image.boot import header
from pipeline.model.sizes import format_size

ROOT, SWAP, BOOT = "root.img", "swap.img", "boot.img"

SIZE = "size"
"""What the change of a disk begins with that `doit resize` can make up for."""

_WORDS = {"swap UUID": "swap in fstab", "mounts": "disks in fstab", "root UUID": "UUID", "master": "master's files"}
"""What inputs are called where their own names tell nothing to who reads the list."""

_ROOT_UUID = re.compile(r"root=UUID=([0-9A-Fa-f-]{36})")
"""What configurations tell the kernel of where its root file system is."""
_MAC = re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")


def inside_now(there: Deployed, known: Receipt, built: Built) -> Inside:
    """What is known of the disks that are there; for receipts of earlier versions, as far as it can be told.

    These have digests, and so tell what is the same as in the list. Raises HostError.
    """
    if known.inside is not None:
        return known.inside
    recorded, now = known.disks.get(ROOT, {}), _made_from(built, ROOT)
    same_mounts = bool(recorded) and all(recorded.get(name) == now.get(name) for name in ("swap UUID", "mounts"))
    digest = _network_digest(known.disks)
    same_network = digest is not None and digest == _network_digest(_all(built))
    return Inside(
        uuids={path.name: uuid for path in there.disks.values() if (uuid := uuid_of(path))},
        mounts=built.inside.mounts if same_mounts else None,
        network=built.inside.network if same_network else None,
    )


def faults(there: Deployed, known: Receipt, built: Built, *, believed: bool) -> Iterator[str]:
    """Why a guest would not boot, or not be reached, with what the build has; a line for each, with the way out.

    `believed`: the user has said that what is inside was changed by hand to what the list says. Raises HostError.
    """
    yield from _of_root(there, built)
    if not believed:
        inside = inside_now(there, known, built)
        yield from _of_mounts(there, known, inside, built)
        yield from _of_network(there, known, inside, built)


def size_faults(there: Deployed, built: Built) -> Iterator[str]:
    """Why configurations that name sizes of disks cannot be used. Raises OSError."""
    if not built.sized:
        return
    for name, size in built.sizes.items():
        path = there.folder / name
        if path.is_file() and path.stat().st_size != size:
            has = format_size(path.stat().st_size)
            yield f"{name} has {has}, and they would say {format_size(size)}; {command('resize', there.name, '--yes')}"


def is_replaced(there: Deployed, known: Receipt) -> bool:
    """Whether the root disk is another one than was deployed, which somebody put there. Raises HostError."""
    recorded = known.inside.uuids.get(ROOT) if known.inside is not None else None
    found = uuid_of(there.disks["root"]) if "root" in there.disks else None
    return recorded is not None and found is not None and recorded != found


def mixed(there: Deployed, known: Receipt) -> Mapping[str, str]:
    """The kernel and initrd that are there, if a run that was killed replaced one of them only: the SHA-256 by name.

    Empty where they belong together, or one of them is neither the old nor the new one. Raises HostError.
    """
    begun = known.begun
    if begun is None:
        return {}
    with host_errors(there.folder):
        now = {
            name: digest
            for name in {**begun.boot, **begun.mixed}
            if (digest := sha256_now(there.folder / name, known.boot.get(name)))
        }
    if begun.mixed and begun.mixed.items() <= now.items():
        return begun.mixed
    new = {name: digest for name, digest in now.items() if begun.boot.get(name) == digest}
    old = {name: of.sha256 for name, of in known.boot.items() if name in begun.boot and now.get(name) == of.sha256}
    return {**old, **new} if new and old.keys() - new.keys() else {}


def stale(there: Deployed, known: Receipt, built: Built) -> Iterator[tuple[str, list[str]]]:
    """The deployed disks that the list would have otherwise now, each by its name, and in what. Raises HostError."""
    for path, made_from in built.disks.items():
        target = there.folder / path.name
        changed = []
        if path.name in known.disks:
            recorded = known.disks[path.name]
            recorded = {name: of for name, of in recorded.items() if name != "master" or built.modules}
            for name in {**recorded, **made_from}:
                if recorded.get(name) != made_from.get(name):
                    changed.append(_in_words(name, known, built))
            if path.name == ROOT and is_replaced(there, known):
                changed.append("not the disk that was deployed")
        elif not target.exists():
            changed.append("new")
        size = built.sizes.get(path.name)
        if path.name in known.disks and size and target.is_file() and target.stat().st_size != size:
            changed.append(f"{SIZE} {format_size(target.stat().st_size)}, the list has {format_size(size)}")
        if changed:
            yield path.stem, changed
    names = {path.name for path in built.disks}
    for name in known.disks:
        if name not in names and (there.folder / name).exists():
            yield Path(name).stem, ["not in the list any more"]


def start_faults(there: Deployed, config: Path) -> Iterator[str]:
    """Why the guest would not boot, or not be reached, if it was started by `config`, whatever the list says.

    A line for each, with the way out. Raises HostError.
    """
    known, name = there.receipt, there.name
    text = _text(config)
    disks = there.disks
    uuid = uuid_of(disks["root"]) if "root" in disks else None
    wanted = {found.lower() for found in _ROOT_UUID.findall(text)}
    anew = f"put back the disk that was deployed, or start anew: {command('redeploy', name)}"
    if uuid and wanted and uuid not in wanted:
        yield f"{config.name} looks for a root file system {', '.join(wanted)}, and {ROOT} has {uuid}; {anew}"
    boot = there.folder / BOOT
    if uuid and str(boot) in text and boot.is_file() and not header.is_for(boot, UUID(uuid)):
        yield f"{BOOT} looks for another root file system than {uuid}, which {ROOT} has; {anew}"
    if known is not None and (names := mixed(there, known)) and any(str(there.folder / each) in text for each in names):
        yield (
            f"{' and '.join(sorted(names))} are of two builds, since a deploy was interrupted; "
            f"finish that first: {command('deploy', name)}"
        )
    inside = known.inside if known is not None else None
    if inside is None:
        return
    for file, expected in (inside.mounts or {}).items():
        if file == SWAP:  # without it, a guest boots
            continue
        if f"/{file}" not in text:
            yield f"{config.name} does not have {file}, which its fstab mounts; {command('deploy', name)} tells more"
        if not (there.folder / file).exists():
            yield f"{file} is not there, and its fstab mounts it; {anew}"
        elif (found := uuid_of(there.folder / file)) and found != expected:
            yield f"{file} has the UUID {found}, and its fstab mounts {expected}; {anew}"
    known_cards = {card.mac for card in inside.network or ()}
    given = {mac.lower() for mac in _MAC.findall(text)}
    if given - known_cards and known_cards - given:
        yield (
            f"{config.name} has a network card {', '.join(sorted(given - known_cards))}, and the guest has "
            f"settings for {', '.join(sorted(known_cards - given))}; {command('deploy', name)} tells more"
        )


def _of_root(there: Deployed, built: Built) -> Iterator[str]:
    found = uuid_of(there.disks["root"]) if "root" in there.disks else None
    if built.looks_for and found and found != built.looks_for:
        yield (
            f"{ROOT} has the UUID {found}, and the list's configuration looks for {built.looks_for}: it would not "
            f"boot; put back the disk that was deployed, or start anew: {command('redeploy', there.name)}"
        )


def _of_mounts(there: Deployed, known: Receipt, inside: Inside, built: Built) -> Iterator[str]:
    names = {path.name for path in built.disks}
    out = f"put it back in the list; or, if the guest mounts it no more: {command('deploy', '--adopt', there.name)}"
    mounts: Mapping[str, str | None] = inside.mounts or {}
    if inside.mounts is None and "mounts" in known.disks.get(ROOT, {}):
        # An earlier version's: which disks are mounted is not on record, but that some are.
        mounts = dict.fromkeys(known.disks)
    for name, expected in mounts.items():
        if name in (ROOT, SWAP):  # without swap, a guest boots
            continue
        found = uuid_of(there.folder / name)
        if name not in names:
            yield f"{name} is not in the list any more, and its fstab may mount it: it would not boot; {out}"
        elif expected and found and found != expected:
            yield (
                f"{name} has the UUID {found}, and its fstab mounts {expected}: it would not boot; put back the disk "
                f"that was deployed, or start anew: {command('redeploy', there.name)}"
            )


def _of_network(there: Deployed, known: Receipt, inside: Inside, built: Built) -> Iterator[str]:
    wanted = built.inside.network
    if wanted is None:
        return
    out = (
        f"put the network back in the list; or {command('redeploy', there.name)} gives it new disks; or, if the guest "
        f"was changed inside: {command('deploy', '--adopt', there.name)}"
    )
    if inside.network is None:
        recorded = _network_digest(known.disks)
        unlike = [mac for mac, bridge in built.bridges.items() if not _has(there, known, mac, bridge)]
        if recorded and unlike:
            yield f"the network on its disks is not the list's, nor is that of its configurations; {out}"
        return
    cards = {card.mac: card for card in inside.network}
    macs = {card.mac for card in wanted}
    if macs - cards.keys() and cards.keys() - macs:
        yield (
            f"its disks have settings for the network card {', '.join(sorted(cards.keys() - macs))}, and the list has "
            f"{', '.join(sorted(macs - cards.keys()))}: it would not be reached; {out}"
        )
    for card in wanted:
        mine, bridge = cards.get(card.mac), built.bridges.get(card.mac, "")
        if mine is None or _place(mine) == _place(card) or _has(there, known, card.mac, bridge):
            continue
        yield (
            f"its disks have {_shown(mine)}, and the list has {_shown(card)} on the bridge {bridge}, which it was not "
            f"on: it would not be reached; {out}"
        )


def _has(there: Deployed, known: Receipt, mac: str, bridge: str) -> bool:
    """Whether a configuration that is there has this card on this bridge, as far as a look at the text tells."""
    word = re.compile(rf"(?<![\w.-]){re.escape(bridge)}(?![\w.-])")
    texts = [_text(there.folder / name) for name in known.configs if (there.folder / name).is_file()]
    return any(mac in text.lower() and word.search(text) for text in texts)


def _place(card: Card) -> tuple[object, ...]:
    """What decides on which network a card belongs to."""
    return card.addresses, card.gateways, card.vlan


def _shown(card: Card) -> str:
    addresses = ", ".join(card.addresses) or "no address"
    gateway = f" by {', '.join(card.gateways)}" if card.gateways else ""
    return f"{addresses}{gateway}" + (f" in VLAN {card.vlan}" if card.vlan is not None else "")


def _in_words(name: str, known: Receipt, built: Built) -> str:
    """An input that changed; of a network, in what as far as that is known."""
    inside = known.inside.network if known.inside is not None else None
    now = built.inside.network
    if name != "network" or inside is None or now is None:
        return _WORDS.get(name, name)
    pairs = [(one, other) for one, other in zip(inside, now, strict=False) if one != other]
    told = [
        f"{label} {old}, the list has {new}"
        for one, other in pairs
        for label, old, new in (
            ("MAC", one.mac, other.mac),
            ("address", *(", ".join(card.addresses) or "none" for card in (one, other))),
            ("gateway", *(", ".join(card.gateways) or "none" for card in (one, other))),
            ("VLAN", *(card.vlan or "none" for card in (one, other))),
        )
        if old != new
    ]
    if len(inside) != len(now):
        told.append(f"{len(inside)} cards, the list has {len(now)}")
    return f"network ({', '.join(told)})" if told else name


def _made_from(built: Built, name: str) -> Mapping[str, str]:
    return next((made_from for path, made_from in built.disks.items() if path.name == name), {})


def _all(built: Built) -> Mapping[str, Mapping[str, str]]:
    return {path.name: made_from for path, made_from in built.disks.items()}


def _network_digest(disks: Mapping[str, Mapping[str, str]]) -> str | None:
    """That of the network which is on one of the disks: root's, or the seed's."""
    return next((made_from["network"] for made_from in disks.values() if "network" in made_from), None)


def _text(path: Path) -> str:
    try:
        return contents(path).decode(errors="replace")
    except (OSError, ValueError):
        return ""
