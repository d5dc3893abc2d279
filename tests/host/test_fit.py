"""Today's configurations fit the disks of another day, or stay away; and the folders of other farms are left alone."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest

from pipeline.errors import HostError
from pipeline.host import fit, lifecycle, receipt, retired
from pipeline.host.built import Built
from pipeline.host.deploy import deploy, redeploy
from pipeline.host.disk_uuid import uuid_of
from pipeline.host.receipt import Card, Inside
from pipeline.host.store import RETIRED, Aside, Store
from pipeline.image.disk import swap
from pipeline.model.identity import disk_uuid, root_uuid, swap_uuid
from tests.image import images
from tests.toolstacks import Toolstacks

MAC, OTHER_MAC = "00:16:3e:00:00:01", "00:16:3e:00:00:02"
CARD = Card(mac=MAC, addresses=("10.0.0.11/24",), gateways=("10.0.0.1",), vlan=None)
SIZE = 1 << 20


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """That of the farm `tiny`, on a host that has xl and virsh."""
    toolstacks = Toolstacks(tmp_path / "bin")
    toolstacks.install("xl", "virsh")
    toolstacks.use(monkeypatch)
    store = Store(tmp_path / "images", "tiny")
    store.prepare()
    return store


@pytest.fixture
def built(tmp_path: Path, store: Store) -> Built:
    """deb01 of `tiny`: root, swap, and a disk that is mounted; for libvirt."""
    return make(tmp_path / "build", store)


@cache
def formatted(uuid: str) -> bytes:
    """An empty file system."""
    with TemporaryDirectory() as folder:
        return images.handmade(Path(folder, "image"), "-U", uuid, size=SIZE).read_bytes()


def make(folder: Path, store: Store, *, farm: str = "tiny", card: Card = CARD, bridge: str = "xenbr0") -> Built:
    """The build of a list."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    uuids = {
        "root.img": root_uuid(farm, "deb01"),
        "swap.img": swap_uuid(farm, "deb01"),
        "data.img": disk_uuid(farm, "deb01", "data"),
    }
    for name, uuid in uuids.items():
        if name == "swap.img":
            swap.build(folder / name, SIZE, uuid)
        else:
            (folder / name).write_bytes(formatted(str(uuid)))
            (folder / name).chmod(0o400)
    place = store.place("deb01")
    disks = "".join(f"<source file='{place / name}'/>\n" for name in uuids)
    config = f"<cmdline>root=UUID={uuids['root.img']} ro</cmdline>\n{disks}{card.mac} bridge='{bridge}'\n"
    (folder / "deb01.xml").write_text(f"  <name>deb01</name>\n{config}")
    return Built(
        farm=farm,
        guest="deb01",
        disks={
            folder / "root.img": {
                "root UUID": receipt.digest(str(uuids["root.img"])),
                "network": receipt.digest(repr(card)),
                "mounts": "data",
                "swap UUID": "swap",
            },
            folder / "swap.img": {"UUID": "swap"},
            folder / "data.img": {"UUID": "data"},
        },
        boot=(),
        configs=(folder / "deb01.xml",),
        modules="master 1",
        inside=Inside(
            uuids={name: str(uuid) for name, uuid in uuids.items()},
            mounts={name: str(uuids[name]) for name in ("swap.img", "data.img")},
            network=(card,),
        ),
        bridges={card.mac: bridge},
        looks_for=str(uuids["root.img"]),
        sizes=dict.fromkeys(uuids, SIZE),
    )


def without(built: Built, name: str) -> Built:
    """The build of a list that has this disk no more."""
    (config,) = built.configs
    config.write_text("".join(line for line in config.read_text().splitlines(keepends=True) if name not in line))
    mounts = {disk: uuid for disk, uuid in (built.inside.mounts or {}).items() if disk != name}
    disks = {path: dict(made_from) for path, made_from in built.disks.items() if path.name != name}
    disks[next(iter(disks))]["mounts"] = "no data"
    return replace(built, disks=disks, inside=replace(built.inside, mounts=mounts))


def put(path: Path, uuid: str) -> None:
    """Put another file system in the place of a disk."""
    path.with_name("other").write_bytes(formatted(uuid))
    path.with_name("other").rename(path)


def as_by_an_earlier_version(store: Store) -> None:
    """Make the receipt one as it was before it named the farm."""
    path = store.place("deb01") / receipt.NAME
    fields = json.loads(path.read_text())
    for name in ("farm", "guest", "inside", "begun"):
        del fields[name]
    path.unlink()
    path.write_text(json.dumps(fields))


def start(store: Store) -> list[str]:
    said: list[str] = []
    lifecycle.start(store, "deb01", ["libvirt"], said.append)
    return said


ANOTHER = str(UUID(int=7))


def test_uuids_of_what_is_on_disks(built: Built, tmp_path: Path) -> None:
    assert {path.name: uuid_of(path) for path in built.disks} == built.inside.uuids
    (tmp_path / "zeros").write_bytes(bytes(SIZE))
    os.mkfifo(tmp_path / "fifo")
    assert [uuid_of(tmp_path / name) for name in ("zeros", "fifo", "nothing")] == [None, None, None]


# --- Whose folder it is ---


@pytest.mark.parametrize("version", ["now", "before"])
@pytest.mark.parametrize("farm", ["tiny", "other"])
def test_a_folder_of_another_farm(farm: str, version: str, store: Store, built: Built) -> None:
    deploy(store, built, None)
    if version == "before":
        as_by_an_earlier_version(store)
    theirs = Store(store.folder, farm)
    before = {path.name: path.read_bytes() for path in store.place("deb01").iterdir()}
    now = make(next(iter(built.disks)).parent, store, farm=farm)
    acts: list[Callable[[], object]] = [
        lambda: deploy(theirs, now, None),
        lambda: deploy(theirs, now, None, adopt=True),
        lambda: redeploy(theirs, now, None),
        lambda: start(theirs),
        lambda: retired.retire(theirs, "deb01"),
    ]
    if farm == "tiny":
        assert deploy(theirs, now, None).failed == []
        assert start(theirs)
        known = store.get("deb01").receipt
        assert known is not None
        assert (known.farm, known.guest, known.inside) == ("tiny", "deb01", built.inside), "what is proved is on record"
        return
    whose = "farm 'tiny'" if version == "now" else "another farm or guest"
    for act in acts:
        with pytest.raises(HostError, match=f"deb01 belongs to {whose}, not to guest 'deb01' of farm 'other'"):
            act()
    assert {path.name: path.read_bytes() for path in store.place("deb01").iterdir()} == before
    (kept,) = [redeploy(theirs, now, None, foreign=True)]
    assert kept is not None
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    with pytest.raises(HostError, match=f"belongs to {whose}"):
        retired.remove(theirs, theirs.aside()[0])
    retired.remove(store, store.aside()[0])


def test_a_folder_that_somebody_gave_the_name_of_another_guest(store: Store, built: Built) -> None:
    deploy(store, built, None)
    store.place("deb01").rename(store.place("deb09"))
    with pytest.raises(HostError, match=r"deb09 belongs to guest 'deb01', not to guest 'deb09' of farm 'tiny'"):
        deploy(store, replace(built, guest="deb09"), None)


def test_what_was_retired_by_another_farm(store: Store, built: Built) -> None:
    deploy(store, built, None)
    folder = retired.retire(store, "deb01")
    found = Aside("deb01", RETIRED, folder.name.rpartition("-")[2], folder)
    with pytest.raises(HostError, match="belongs to farm 'tiny'"):
        retired.remove(Store(store.folder, "other"), found)
    assert (folder / "root.img").exists()


# --- Whether it boots ---


@pytest.mark.parametrize("version", ["now", "before"])
def test_a_root_disk_that_the_configuration_does_not_find(version: str, store: Store, built: Built) -> None:
    deploy(store, built, None)
    if version == "before":
        as_by_an_earlier_version(store)
    put(store.place("deb01") / "root.img", ANOTHER)
    outcome = deploy(store, built, None)
    assert outcome.done == []
    (failed,) = outcome.failed
    assert re.search(
        rf"root.img has the UUID {ANOTHER}, and the list's .* looks for {built.looks_for}: it would not boot; "
        r"put back .*doit redeploy deb01$",
        failed,
    )
    with pytest.raises(HostError, match=f"deb01.xml looks for a root file system .* and root.img has {ANOTHER}"):
        start(store)


def test_a_root_disk_that_is_found_by_its_device(store: Store, built: Built) -> None:
    """Then it boots, but what it was made from, and which modules it has, is not known any more."""
    (config,) = built.configs
    config.write_text(config.read_text().replace("root=UUID=", "root="))
    built = replace(built, looks_for=None)
    deploy(store, built, None)
    put(store.place("deb01") / "root.img", ANOTHER)
    there = store.get("deb01")
    assert there.receipt is not None
    assert dict(fit.stale(there, there.receipt, built)) == {"root": ["not the disk that was deployed"]}
    kernel = config.with_name("vmlinuz")
    kernel.write_bytes(b"kernel")
    outcome = deploy(store, replace(built, boot=(kernel,)), None)
    assert outcome.kept == ["vmlinuz kept: which modules the root disk has is not known"]
    assert start(store)


@pytest.mark.parametrize("version", ["now", "before"])
def test_a_disk_that_fstab_mounts_and_the_list_has_no_more(version: str, store: Store, built: Built) -> None:
    deploy(store, built, None)
    if version == "before":
        as_by_an_earlier_version(store)
    config = store.place("deb01") / "deb01.xml"
    before = config.read_text()
    changed = without(built, "data.img")
    (failed,) = deploy(store, changed, None).failed
    assert "data.img is not in the list any more, and its fstab may mount it: it would not boot" in failed
    assert config.read_text() == before
    assert failed.endswith("doit deploy --adopt deb01")
    assert deploy(store, changed, None, adopt=True).done == ["deb01.xml replaced, the old one is deb01.xml.bak"]
    assert deploy(store, changed, None).failed == []


def test_swap_that_the_list_has_no_more(store: Store, built: Built) -> None:
    """A guest boots without it."""
    deploy(store, built, None)
    assert deploy(store, without(built, "swap.img"), None).failed == []
    assert start(store)


@pytest.mark.parametrize("what", ["gone", "another", "not in the configuration"])
def test_a_mounted_disk_that_is_another(what: str, store: Store, built: Built) -> None:
    deploy(store, built, None)
    place = store.place("deb01")
    if what == "gone":
        (place / "data.img").unlink()
        match = "data.img is not there, and its fstab mounts it"
    elif what == "another":
        put(place / "data.img", ANOTHER)
        match = f"data.img has the UUID {ANOTHER}, and its fstab mounts {built.inside.uuids['data.img']}"
        assert match in str(deploy(store, built, None).failed)
    else:
        config = place / "deb01.xml"
        text = re.sub(r".*data\.img.*\n", "", config.read_text())
        config.unlink()
        config.write_text(text)
        match = "deb01.xml does not have data.img, which its fstab mounts"
    with pytest.raises(HostError, match=match):
        start(store)


def test_configurations_that_name_sizes(store: Store, built: Built) -> None:
    descriptor = next(iter(built.disks)).with_name("deb01.vmdk")
    descriptor.write_text("1 MiB")
    built = replace(built, configs=(*built.configs, descriptor), sized=["deb01.vmdk"])
    deploy(store, built, None)
    (config, _) = built.configs
    config.write_text(f"{config.read_text()}more memory\n")
    descriptor.write_text("2 MiB")
    outcome = deploy(store, replace(built, sizes={**built.sizes, "root.img": 2 * SIZE}), None)
    assert outcome.done == ["deb01.xml replaced, the old one is deb01.xml.bak"]
    assert outcome.failed == [
        "deb01.vmdk kept: root.img has 1M, and they would say 2M; doit resize deb01 --yes",
    ]
    assert (store.place("deb01") / "deb01.vmdk").read_text() == "1 MiB"


# --- Whether it is reached ---

ADDRESS = replace(CARD, addresses=("10.7.0.11/24",))
GATEWAY = replace(CARD, gateways=("10.0.0.2",))
VLAN = replace(CARD, vlan=7)
NEW_MAC = replace(CARD, mac=OTHER_MAC)


@pytest.mark.parametrize("version", ["now", "before"])
@pytest.mark.parametrize(
    "case",
    [
        (CARD, "xenbr0", True),
        (CARD, "br7", True),
        (ADDRESS, "xenbr0", True),
        (GATEWAY, "xenbr0", True),
        (VLAN, "xenbr0", True),
        (ADDRESS, "br7", False),
        (ADDRESS, "br0", False),
        (VLAN, "br7", False),
        (NEW_MAC, "xenbr0", False),
    ],
)
def test_another_network(case: tuple[Card, str, bool], version: str, store: Store, built: Built) -> None:
    card, bridge, fits = case
    deploy(store, built, None)
    if version == "before":
        as_by_an_earlier_version(store)
    config = store.place("deb01") / "deb01.xml"
    before = config.read_text()
    changed = make(next(iter(built.disks)).parent, store, card=card, bridge=bridge)
    outcome = deploy(store, changed, None)
    there = store.get("deb01")
    assert there.receipt is not None
    assert bool(dict(fit.stale(there, there.receipt, changed))) == (card != CARD)
    assert (outcome.failed == []) == fits, outcome
    assert start(store)
    if fits:
        return
    (failed,) = outcome.failed
    assert failed.startswith("left as it is: ")
    assert "doit redeploy deb01" in failed
    assert config.read_text() == before
    assert deploy(store, changed, None, adopt=True).done == ["deb01.xml replaced, the old one is deb01.xml.bak"]
    assert dict(fit.stale(there, store.get("deb01").receipt or there.receipt, changed)) == {}
    assert deploy(store, changed, None).failed == []


def test_what_of_the_network_is_stale(store: Store, built: Built) -> None:
    deploy(store, built, None)
    there = store.get("deb01")
    assert there.receipt is not None
    changed = make(next(iter(built.disks)).parent, store, card=replace(VLAN, addresses=("dhcp",)))
    assert dict(fit.stale(there, there.receipt, changed)) == {
        "root": ["network (address 10.0.0.11/24, the list has dhcp, VLAN none, the list has 7)"]
    }


def test_a_configuration_with_another_card(store: Store, built: Built) -> None:
    """Somebody put it there: perhaps an earlier version did."""
    deploy(store, built, None)
    config = store.place("deb01") / "deb01.xml"
    text = config.read_text().replace(MAC, OTHER_MAC.upper())
    config.unlink()
    config.write_text(text)
    with pytest.raises(HostError, match=f"a network card {OTHER_MAC}, and the guest has settings for {MAC}"):
        start(store)


# --- Receipts from anywhere ---


@pytest.mark.parametrize(
    "change",
    [
        {"farm": 7},
        {"guest": ["deb01"]},
        {"disks": {"../deb02/root.img": {}}},
        {"configs": {"/etc/passwd": {"sha256": "", "stamp": []}}},
        {"boot": {"..": {"sha256": "", "stamp": []}}},
        {"inside": {"uuids": {"": ""}, "mounts": None, "network": None}},
        {"inside": {"uuids": {}, "mounts": None, "network": [{"mac": MAC}]}},
        {"begun": {"disks": {}, "boot": {"a/b": ""}, "configs": {}}},
        {"begun": 3},
    ],
    ids=str,
)
def test_a_receipt_that_makes_no_sense(change: dict[str, object], store: Store, built: Built) -> None:
    deploy(store, built, None)
    path = store.place("deb01") / receipt.NAME
    fields = {**json.loads(path.read_text()), **change}
    path.unlink()
    path.write_text(json.dumps(fields))
    with pytest.raises(HostError, match=r"deployed\.json is damaged"):
        deploy(store, built, None)


@pytest.mark.parametrize("kind", ["fifo", "symlink", "large", "deep"])
def test_a_receipt_that_is_none(kind: str, store: Store, built: Built) -> None:
    deploy(store, built, None)
    path = store.place("deb01") / receipt.NAME
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        path.symlink_to("/dev/zero")
    elif kind == "large":
        path.touch()
        os.truncate(path, 1 << 40)
    else:
        path.write_text("[" * 1_000_000)
    with pytest.raises(HostError, match=r"deployed\.json"):
        deploy(store, built, None)
