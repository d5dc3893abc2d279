"""What is deployed is whole or not there; and of a guest that is there, only what may change without its disks does."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import HostError, ImageError
from pipeline.host import lifecycle, lock, retired
from pipeline.host.built import Built
from pipeline.host.deploy import deploy, redeploy, room
from pipeline.host.receipt import Inside, digest
from pipeline.host.staging import Owner
from pipeline.host.store import Store
from pipeline.image.files import sparse
from pipeline.model.identity import root_uuid
from tests.image import images
from tests.machine import need_root
from tests.toolstacks import Toolstacks

FILES = {
    "root.img": b"root disk",
    "swap.img": b"swap disk",
    "vmlinuz": b"kernel",
    "initrd.img": b"initrd",
    "deb01.cfg": b"memory = 512\n",
    "deb01.qemu.sh": b"#!/bin/sh\n",
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty one, on a host that has xl."""
    toolstacks = Toolstacks(tmp_path / "bin")
    toolstacks.install("xl")
    toolstacks.use(monkeypatch)
    store = Store(tmp_path / "images")
    store.prepare()
    return store


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """deb01, as the build has it."""
    folder = tmp_path / "build"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o400 if name in ("root.img", "swap.img") else 0o555 if ".sh" in name else 0o444)
    with (folder / "root.img").open("r+b") as file:
        file.truncate(1 << 20)
    return Built(
        farm="tiny",
        guest="deb01",
        disks={folder / "root.img": {"network": "1"}, folder / "swap.img": {}},
        boot=(folder / "vmlinuz", folder / "initrd.img"),
        configs=(folder / "deb01.cfg", folder / "deb01.qemu.sh"),
        modules="master 1",
    )


def rebuild(built: Built, files: Mapping[str, bytes], **changes: object) -> Built:
    """The build after doit made these files anew, each another file as doit makes them."""
    folder = next(iter(built.disks)).parent
    for name, data in files.items():
        (folder / "new").write_bytes(data)
        (folder / "new").rename(folder / name)
    return replace(built, **changes)  # type: ignore[arg-type]  # the caller knows


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(path: Path, data: bytes) -> None:
    """What a guest does to its disk."""
    with path.open("r+b") as file:
        file.write(data)


def test_a_new_guest(store: Store, built: Built) -> None:
    outcome = deploy(store, built, None)
    place = store.place("deb01")
    assert (outcome.done, outcome.kept, outcome.failed) == ([f"deployed to {place}"], [], [])
    there = store.get("deb01")
    assert {path.name: path.stat().st_mode & 0o7777 for path in there.files} == {
        "root.img": 0o600,
        "swap.img": 0o600,
        "vmlinuz": 0o644,
        "initrd.img": 0o644,
        "deb01.cfg": 0o644,
        "deb01.qemu.sh": 0o755,
        "deployed.json": 0o444,
    }
    assert place.stat().st_mode & 0o7777 == 0o755
    for source in (*built.disks, *built.boot, *built.configs):
        assert (place / source.name).read_bytes() == source.read_bytes()
    assert (place / "root.img").stat().st_blocks * 512 < 1 << 20
    receipt = there.receipt
    assert receipt is not None
    assert (receipt.modules, receipt.disks["root.img"]) == ("master 1", {"network": "1"})
    assert sorted(path.name for path in store.folder.iterdir()) == [".locks", "deb01"]


def test_allocation_is_kept(store: Store, built: Built) -> None:
    root = next(iter(built.disks))
    with root.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
    deploy(store, built, None)
    assert (store.place("deb01") / "root.img").stat().st_blocks * 512 >= 1 << 20
    assert room(store, root) >= 1 << 20


def test_an_owner(store: Store, built: Built) -> None:
    need_root()
    deploy(store, built, Owner(65534, 12))
    place = store.place("deb01")
    assert {Owner.of(place / name) for name in ("root.img", "swap.img")} == {Owner(65534, 12)}
    assert Owner.of(place / "deb01.cfg") == Owner(0, 0)
    assert redeploy(store, built, None) is not None
    assert Owner.of(place / "root.img") == Owner(65534, 12)
    more = rebuild(built, {"data.img": b"data"})
    more = replace(more, disks={**more.disks, next(iter(more.disks)).with_name("data.img"): {}})
    assert deploy(store, more, None).done == ["data.img added"]
    assert Owner.of(place / "data.img") == Owner(65534, 12)


@pytest.mark.parametrize("text", ["nobody", "65534", "nobody:nogroup", "65534:65534", "nobody:65534"])
def test_owners_as_chown_has_them(text: str) -> None:
    assert Owner.parse(text) == Owner(65534, 65534)


@pytest.mark.parametrize("text", ["", "nobody:", "no-such-user", "nobody:no-such-group", ":nogroup", "-1"])
def test_owners_that_there_are_not(text: str) -> None:
    with pytest.raises(HostError, match="expected USER or USER:GROUP of this host"):
        Owner.parse(text)


def test_nothing_to_do(store: Store, built: Built) -> None:
    deploy(store, built, None)

    def state() -> dict[str, tuple[int, ...]]:
        found = {path.name: path.stat() for path in store.place("deb01").iterdir()}
        return {name: (of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns) for name, of in found.items()}

    before = state()
    for again in (built, rebuild(built, FILES)):
        outcome = deploy(store, again, None)
        assert (outcome.done, outcome.kept, outcome.failed) == ([], [], [])
    assert state() == before


def test_a_config_that_changed(store: Store, built: Built) -> None:
    deploy(store, built, None)
    place = store.place("deb01")
    write(place / "root.img", b"precious")
    disks = {name: (place / name).read_bytes() for name in ("root.img", "swap.img")}
    outcome = deploy(store, rebuild(built, {"deb01.cfg": b"memory = 1024\n", "root.img": b"another"}), None)
    assert outcome.done == ["deb01.cfg replaced, the old one is deb01.cfg.bak"]
    assert (place / "deb01.cfg").read_bytes() == b"memory = 1024\n"
    assert (place / "deb01.cfg.bak").read_bytes() == FILES["deb01.cfg"]
    assert {name: (place / name).read_bytes() for name in disks} == disks
    assert deploy(store, built, None).done == []


def test_a_config_that_somebody_edited(store: Store, built: Built) -> None:
    deploy(store, built, None)
    config = store.place("deb01") / "deb01.cfg"
    config.write_text("edited")
    assert deploy(store, built, None).done == ["deb01.cfg replaced, the old one is deb01.cfg.bak"]
    assert config.with_name("deb01.cfg.bak").read_text() == "edited"


def test_a_config_for_another_hypervisor(store: Store, built: Built) -> None:
    deploy(store, built, None)
    changed = rebuild(built, {"deb01.xml": b"<domain/>"})
    changed = replace(changed, configs=(built.configs[0], built.configs[0].with_name("deb01.xml")))
    assert deploy(store, changed, None).done == [
        "deb01.xml added",
        "deb01.qemu.sh is not made any more, the old one is deb01.qemu.sh.bak",
    ]
    names = [path.name for path in store.get("deb01").files if "deb01" in path.name]
    assert names == ["deb01.cfg", "deb01.qemu.sh.bak", "deb01.xml"]
    assert deploy(store, changed, None).done == []


NEW_KERNEL = {"vmlinuz": b"kernel 2", "initrd.img": b"initrd 2"}


def test_another_kernel_of_the_same_master(store: Store, built: Built) -> None:
    deploy(store, built, None)
    assert deploy(store, rebuild(built, NEW_KERNEL), None).done == ["vmlinuz, initrd.img installed"]
    assert (store.place("deb01") / "vmlinuz").read_bytes() == b"kernel 2"
    assert deploy(store, built, None).done == []


def test_a_kernel_stays_with_its_modules(store: Store, built: Built) -> None:
    deploy(store, built, None)
    before = contents(store.place("deb01"))
    outcome = deploy(store, rebuild(built, {**NEW_KERNEL, "root.img": b"other"}, modules="master 2"), None)
    assert outcome.kept == ["vmlinuz, initrd.img kept: the root disk has other modules than the new ones need"]
    assert outcome.done == []
    assert contents(store.place("deb01")) == before


def test_a_kernel_that_somebody_changed(store: Store, built: Built) -> None:
    deploy(store, built, None)
    (store.place("deb01") / "vmlinuz").write_bytes(b"from the guest itself")
    for files in ({}, NEW_KERNEL):
        outcome = deploy(store, rebuild(built, files), None)
        assert "vmlinuz changed since it was deployed" in outcome.kept[0]
        assert (store.place("deb01") / "vmlinuz").read_bytes() == b"from the guest itself"


def test_a_kernel_of_its_own_where_there_was_none(store: Store, built: Built) -> None:
    deploy(store, replace(built, boot=()), None)
    changed = rebuild(built, {"deb01.cfg": b"kernel = vmlinuz"}, modules="master 2")
    outcome = deploy(store, changed, None)
    assert outcome.failed == ["deb01.cfg kept: a new one would need vmlinuz, initrd.img"]
    assert deploy(store, replace(changed, modules="master 1"), None).done == [
        "vmlinuz, initrd.img installed",
        "deb01.cfg replaced, the old one is deb01.cfg.bak",
    ]


def test_a_disk_that_is_gone_is_not_made_anew(store: Store, built: Built) -> None:
    deploy(store, built, None)
    (store.place("deb01") / "root.img").rename(store.folder / "elsewhere")
    outcome = deploy(store, built, None)
    assert outcome.failed == ["root.img was deployed and is gone; put it back, or start anew: doit redeploy deb01"]
    assert not (store.place("deb01") / "root.img").exists()


def test_a_disk_that_is_a_link_to_somewhere_else(store: Store, built: Built) -> None:
    deploy(store, built, None)
    (store.place("deb01") / "root.img").rename(store.folder / "elsewhere")
    (store.place("deb01") / "root.img").symlink_to("/not/mounted/now")
    outcome = deploy(store, built, None)
    assert (outcome.done, outcome.failed) == ([], [])


def test_one_that_was_made_by_hand(store: Store, built: Built) -> None:
    place = store.place("deb01")
    place.mkdir()
    for name in ("root.img", "vmlinuz", "initrd.img", "deb01.cfg"):
        (place / name).write_bytes(b"by hand")
    with pytest.raises(HostError, match=r"was not made by Guestfarm, and so is left alone; doit deploy --adopt deb01"):
        deploy(store, built, None)
    outcome = deploy(store, built, None, adopt=True)
    assert {(place / name).read_bytes() for name in ("root.img", "vmlinuz", "deb01.cfg.bak")} == {b"by hand"}
    assert outcome.kept == ["vmlinuz, initrd.img kept: which modules the root disk has is not known"]
    assert outcome.done == [
        "swap.img added",
        "deb01.cfg replaced, the old one is deb01.cfg.bak",
        "deb01.qemu.sh added",
    ]
    assert deploy(store, built, None).done == []


def test_redeployed(store: Store, built: Built) -> None:
    deploy(store, built, None)
    write(store.place("deb01") / "root.img", b"precious")
    before = contents(store.place("deb01"))
    aside = redeploy(store, built, None)
    assert aside is not None
    assert contents(aside) == before
    assert contents(store.place("deb01"))["root.img"] == next(iter(built.disks)).read_bytes()
    assert [(each.guest, each.why, each.folder) for each in store.aside()] == [("deb01", "replaced", aside)]
    again = redeploy(store, built, None)
    assert again not in (None, aside)


def test_a_guest_that_is_not_down_is_not_redeployed(store: Store, built: Built) -> None:
    deploy(store, built, None)
    before = contents(store.place("deb01"))
    (store.folder.parent / "bin/xl.domains/deb01").write_text("r-----")
    with pytest.raises(HostError, match="is not down"):
        redeploy(store, built, None)
    assert contents(store.place("deb01")) == before
    assert sorted(path.name for path in store.folder.iterdir()) == [".locks", "deb01"]


@pytest.fixture
def toolstacks(store: Store) -> Toolstacks:
    """Those of a host that has virsh, too, whose daemon does not run."""
    found = Toolstacks(store.folder.parent / "bin")
    found.install("virsh")
    found.fail("virsh", "error: failed to connect to the hypervisor")
    return found


def test_a_toolstack_that_the_guest_is_not_for_keeps_none_from_new_disks(
    store: Store, built: Built, toolstacks: Toolstacks
) -> None:
    """What the list has tells that where the folder has lost its configurations, and these do where it has no disk."""
    built = replace(built, hypervisors=("xen",))
    place = store.place("deb01")
    for lost in (("deb01.cfg", "deb01.qemu.sh"), ("root.img", "swap.img")):
        deploy(store, built, None)
        for name in lost:
            (place / name).unlink()
        toolstacks.set("xl", "deb01", "r-----")
        with pytest.raises(HostError, match="is not down: xl says that it is running"):
            redeploy(store, built, None)
        toolstacks.remove("xl", "deb01")
        assert redeploy(store, built, None) is not None


@pytest.mark.parametrize("why", ["nothing tells", "libvirt", "was for libvirt", "of another farm"])
def test_a_toolstack_that_the_guest_may_be_under_must_tell(
    why: str, store: Store, built: Built, toolstacks: Toolstacks
) -> None:
    deploy(store, built, None)
    place = store.place("deb01")
    for name in ("deb01.cfg", "deb01.qemu.sh"):
        (place / name).unlink()
    if why == "was for libvirt":
        (place / "deb01.xml.bak").touch()
    hypervisors = {"nothing tells": (), "libvirt": ("xen", "libvirt")}.get(why, ("xen",))
    with pytest.raises(HostError, match="whether guest 'deb01' is down cannot be told: virsh"):
        redeploy(store, replace(built, hypervisors=hypervisors), None, foreign=why == "of another farm")
    assert (place / "root.img").exists()
    assert [path.name for path in store.folder.glob("deb01*")] == ["deb01"]


def test_one_that_left_the_list_is_retired_by_what_its_folder_has(
    store: Store, built: Built, toolstacks: Toolstacks
) -> None:
    place = store.place("deb01")
    for disks in (("root.img", "swap.img"), ()):
        deploy(store, built, None)
        for name in disks:
            (place / name).unlink()
        assert retired.retire(store, "deb01").is_dir()
    deploy(store, built, None)
    for name in ("deb01.cfg", "deb01.qemu.sh"):
        (place / name).unlink()
    with pytest.raises(HostError, match="whether guest 'deb01' is down cannot be told: virsh"):
        retired.retire(store, "deb01")
    assert place.is_dir()


def test_a_disk_in_use_is_not_deployed(store: Store, built: Built) -> None:
    root = next(iter(built.disks))
    code = "import sys; file = open(sys.argv[1], 'r+b'); print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(ImageError, match=f"in use by process {process.pid}"):
            deploy(store, built, None)
    assert store.guests() == {}


def test_a_full_store(built: Built, small_disk: Path) -> None:
    small = Store(small_disk / "images")
    small.prepare()
    built = rebuild(built, {"initrd.img": b"x" * (9 << 20)})
    for _ in range(2):
        with pytest.raises(HostError, match=r"images/deb01: the disk is full: \d.* is free; make room, and try again"):
            deploy(small, built, None)
    assert [path.name for path in small.folder.iterdir()] == [".locks"]
    deploy(small, rebuild(built, FILES), None)


def test_two_at_once(store: Store, built: Built) -> None:
    with lock.locked(store.folder, "deb01"), pytest.raises(HostError, match="is at work on guest 'deb01'"):
        deploy(store, built, None)


def test_a_store_without_a_folder_above_it(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"the image store is not there, nor is the folder above it; is it to be mount"):
        Store(tmp_path / "none/images").prepare()
    assert not (tmp_path / "none").exists()


def test_a_store_that_is_to_be_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/findmnt").write_text(f"#!/bin/sh\nprintf '/\\nnone\\n{tmp_path}/a disk\\n'\n")
    (tmp_path / "bin/findmnt").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "a disk").mkdir()
    with pytest.raises(HostError, match=r"a disk is in /etc/fstab, and is not mounted; mount .*/a disk"):
        Store(tmp_path / "a disk/images").prepare()
    Store(tmp_path / "images").prepare()
    assert (tmp_path / "images").is_dir()


# --- Interrupted ---


RENAMES = ("os.rename", "os.remove")
"""What changes the files that have their final names: in between, only drafts do, which are swept."""


def killed_at(
    number: int, store: Store, action: Callable[[], object], events: tuple[str, ...] = ("os.", "open")
) -> bool:
    """Do `action` in a fork that is killed before the `number`th change that it makes in the store.

    Of changes, those whose names begin with one of `events` count.
    What Python does, audit hooks know: see PEP 578. Returns whether it came so far.
    """
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            reads = event in {"os.listdir", "os.scandir"} or (event == "open" and arguments[1] in {"r", "rb"})
            if event.startswith(events) and not reads and str(arguments[0]).startswith(str(store.folder)):
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.parametrize("action", ["deploy", "update", "redeploy"])
def test_killed_at_each_step(action: str, small_disk: Path, store: Store, built: Built) -> None:
    store = Store(small_disk / "images")
    store.prepare()
    place = store.place("deb01")
    old: dict[str, bytes] = {}
    if action != "deploy":
        deploy(store, built, None)
        write(place / "root.img", b"precious")
        old = contents(place)
        built = rebuild(built, {**NEW_KERNEL, "deb01.cfg": b"memory = 1024\n", "data.img": b"data"})
        built = replace(built, disks={**built.disks, next(iter(built.disks)).with_name("data.img"): {}})
    function = partial(redeploy if action == "redeploy" else deploy, store, built, None)
    wanted = NEW_KERNEL if old else {name: FILES[name] for name in NEW_KERNEL}
    number = 0
    killed = True
    while killed:
        shutil.rmtree(store.folder)
        store.folder.mkdir()
        if old:
            place.mkdir()
            for name, data in old.items():
                (place / name).write_bytes(data)
        number += 1
        killed = killed_at(number, store, function)
        for there in store.guests().values():
            now = contents(there.folder)
            assert set(old or FILES) <= set(now), "half a guest has its name"
            assert action == "redeploy" or not old or now["root.img"] == old["root.img"]
        if action == "redeploy":
            assert [contents(folder) for folder in store.folder.glob("deb01*")].count(old) == 1
        if killed:
            function()
        assert [path.name for path in store.folder.glob(".*")] == [".locks"]
        now = contents(place)
        assert {name: now[name] for name in wanted} == wanted
        assert not [name for name in now if name.startswith(".")]
        if action == "update":
            assert now["root.img"] == old["root.img"]
            assert now["deb01.cfg.bak"] == FILES["deb01.cfg"]
    assert number > 20


def test_killed_and_then_another_build(small_disk: Path, store: Store, built: Built) -> None:
    """What a killed run has put there is known for our own: the next build takes its place, and disks stay."""
    store = Store(small_disk / "images")
    store.prepare()
    deploy(store, built, None)
    place = store.place("deb01")
    old = contents(place)
    more = next(iter(built.disks)).with_name("data.img")
    last = {"vmlinuz": b"kernel 3", "initrd.img": b"initrd 3", "deb01.cfg": b"memory = 2048\n"}
    number, killed, settled = 0, True, 0
    while killed:
        shutil.rmtree(store.folder)
        place.mkdir(parents=True)
        for name, data in old.items():
            (place / name).write_bytes(data)
        new = rebuild(built, {**NEW_KERNEL, "deb01.cfg": b"memory = 1024\n", "data.img": b"data"})
        new = replace(new, disks={**built.disks, more: {"size": "1"}})
        number += 1
        killed = killed_at(number, store, partial(deploy, store, new, None))
        before = contents(place)
        if "data.img" in before:
            write(place / "data.img", b"USED")
        settled += (
            before["vmlinuz"] == NEW_KERNEL["vmlinuz"] and json.loads(before["deployed.json"])["begun"] is not None
        )
        outcome = deploy(store, rebuild(new, last), None)
        assert (outcome.kept, outcome.failed) == ([], []), "what the killed run has put there counts as somebody else's"
        assert "vmlinuz, initrd.img installed" in outcome.done
        now = contents(place)
        assert {name: now[name] for name in last} == last
        assert now["data.img"] == (b"USED" if "data.img" in before else b"data")
        receipt = store.get("deb01").receipt
        assert receipt is not None
        assert receipt.begun is None
        assert receipt.disks["data.img"] == {"size": "1"}
        assert {name: known.now(place / name) for name, known in {**receipt.boot, **receipt.configs}.items()} == {
            name: known.sha256 for name, known in {**receipt.boot, **receipt.configs}.items()
        }
        assert not [name for name in now if name.startswith(".")]
    assert settled, "no run was killed between a file and its record"


def receipt_of(place: Path) -> str:
    """The receipt as its text, but for times and inodes."""
    return json.dumps(json.loads((place / "deployed.json").read_text(), object_hook=_without_moments), indent=2)


def _without_moments(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in ("deployed", "stamp")}


def put_back(store: Store, files: Mapping[str, bytes]) -> None:
    """Have deb01 in the store with these files, and nothing else."""
    shutil.rmtree(store.folder)
    store.place("deb01").mkdir(parents=True)
    for name, data in files.items():
        (store.place("deb01") / name).write_bytes(data)


def grown(built: Built) -> Built:
    """The next build: two disks and a configuration more, one less, one other, and another kernel."""
    folder = next(iter(built.disks)).parent
    files = {"zz.img": b"data", "aa.img": b"more", "raw.img": b"raw", "deb01.xml": b"<domain/>", "deb01.cfg": b"new"}
    new = rebuild(built, {**NEW_KERNEL, **files})
    uuids = {"root.img": "1", "swap.img": "2", "zz.img": "3", "aa.img": "4"}
    return replace(
        new,
        disks={**built.disks, **{folder / name: {"size": name} for name in ("zz.img", "aa.img", "raw.img")}},
        configs=(folder / "deb01.cfg", folder / "deb01.xml"),
        inside=Inside(uuids=uuids, mounts={"swap.img": "2"}),
    )


@pytest.mark.parametrize("of", ["this version", "an earlier version", "none"])
def test_killed_at_each_step_the_receipt_becomes_the_same(of: str, small_disk: Path, built: Built) -> None:
    store = Store(small_disk / "images", "tiny")
    store.prepare()
    built = replace(built, inside=Inside(uuids={"root.img": "1", "swap.img": "2"}, mounts={"swap.img": "2"}))
    deploy(store, built, None)
    place = store.place("deb01")
    old = contents(place)
    if of == "an earlier version":
        fields = json.loads(old["deployed.json"])
        fields["disks"]["root.img"]["root UUID"] = digest(str(root_uuid("tiny", "deb01")))
        del fields["farm"], fields["guest"], fields["inside"], fields["begun"]
        old["deployed.json"] = json.dumps(fields).encode()
    elif of == "none":
        del old["deployed.json"], old["swap.img"]
        handmade = images.handmade(small_disk / "by-hand", size=1 << 20)
        old["root.img"] = handmade.read_bytes()
        handmade.unlink()
    new = grown(built)
    by_hand = of == "none"
    put_back(store, old)
    deploy(store, new, None, adopt=by_hand)
    wanted, number, killed, begun = receipt_of(place), 0, True, 0
    assert '"zz.img": "3"' in wanted
    while killed:
        put_back(store, old)
        number += 1
        killed = killed_at(number, store, partial(deploy, store, new, None, adopt=by_hand), RENAMES)
        if killed:
            found = contents(place).get("deployed.json")
            is_begun = found is not None and json.loads(found).get("begun") is not None
            begun += is_begun
            assert deploy(store, new, None, adopt=by_hand and (found is None or is_begun)).failed == []
        assert receipt_of(place) == wanted
    assert begun >= 5, "few runs were killed between the first and the last writing of the receipt"
    assert '"begun": null' in wanted


def test_killed_by_an_earlier_version_whose_receipt_does_not_name_uuids(store: Store, built: Built) -> None:
    deploy(store, replace(built, inside=Inside(uuids={"root.img": "1"})), None)
    data = next(iter(built.disks)).with_name("data.img")
    images.handmade(data, "-U", str(root_uuid("tiny", "deb01")), size=1 << 20)
    place = store.place("deb01")
    shutil.copy(data, place / "data.img")
    fields = json.loads((place / "deployed.json").read_text())
    fields["begun"] = {"disks": {"data.img": {"size": "1"}}, "boot": {}, "configs": {}}
    (place / "deployed.json").unlink()
    (place / "deployed.json").write_text(json.dumps(fields))
    deploy(store, built, None)
    receipt = store.get("deb01").receipt
    assert receipt is not None
    assert receipt.inside is not None
    assert receipt.inside.uuids == {"root.img": "1", "data.img": str(root_uuid("tiny", "deb01"))}


MIXED = {"vmlinuz": NEW_KERNEL["vmlinuz"], "initrd.img": FILES["initrd.img"]}


@pytest.fixture
def mixed(store: Store, built: Built) -> Built:
    """The build of which a deploy was killed when the new kernel was there and the new initrd was not."""
    place = store.place("deb01")
    built = rebuild(built, {"deb01.cfg": f'name = "deb01"\nkernel = "{place}/vmlinuz"\n'.encode()})
    deploy(store, built, None)
    old = contents(place)
    new, number = rebuild(built, NEW_KERNEL), 0
    while {name: (place / name).read_bytes() for name in MIXED} != MIXED:
        put_back(store, old)
        number += 1
        assert killed_at(number, store, partial(deploy, store, new, None), RENAMES), "they never were mixed"
    return new


def start(store: Store) -> None:
    lifecycle.start(store, "deb01", ["xen"], lambda _: None)


def test_a_mixed_pair_is_not_started_and_the_next_deploy_completes_it(store: Store, mixed: Built) -> None:
    told = r"initrd.img and vmlinuz are of two builds, since a deploy was interrupted; finish that first: doit deploy d"
    with pytest.raises(HostError, match=told):
        start(store)
    assert deploy(store, mixed, None).done == ["initrd.img installed"]
    assert {name: (store.place("deb01") / name).read_bytes() for name in NEW_KERNEL} == NEW_KERNEL
    start(store)


@pytest.mark.parametrize("why", ["other modules", "a fault"])
def test_a_mixed_pair_that_cannot_be_completed_is_told_each_time(why: str, store: Store, mixed: Built) -> None:
    place = store.place("deb01")
    old_initrd = (place / "initrd.img").read_bytes()
    if why == "other modules":
        later = rebuild(mixed, {"vmlinuz": b"kernel 3", "initrd.img": b"initrd 3"}, modules="master 2")
    else:
        images.handmade(place / "other", size=1 << 20).rename(place / "root.img")
        later = replace(mixed, looks_for=str(root_uuid("tiny", "deb01")))
    for _ in range(2):
        (told,) = [line for line in deploy(store, later, None).failed if "builds" in line]
        assert told == (
            "initrd.img and vmlinuz are of two builds, since a deploy was interrupted: it may not boot; "
            "put back those of one build, or start anew: doit redeploy deb01"
        )
        with pytest.raises(HostError, match="are of two builds"):
            start(store)
    (place / "vmlinuz").write_bytes(FILES["vmlinuz"])
    assert (place / "initrd.img").read_bytes() == old_initrd
    assert not [line for line in deploy(store, later, None).failed if "builds" in line]
    start(store)


def test_a_mixed_pair_on_which_the_next_deploy_is_killed_too(store: Store, mixed: Built) -> None:
    place = store.place("deb01")
    old = contents(place)
    last = rebuild(mixed, {"vmlinuz": b"kernel 3", "initrd.img": b"initrd 3"})
    wanted = {"vmlinuz": b"kernel 3", "initrd.img": b"initrd 3"}
    number, killed, seen = 0, True, 0
    while killed:
        put_back(store, old)
        number += 1
        killed = killed_at(number, store, partial(deploy, store, last, None), RENAMES)
        now = {name: (place / name).read_bytes() for name in wanted}
        if now != wanted:
            seen += now != MIXED
            with pytest.raises(HostError, match="are of two builds"):
                start(store)
        assert deploy(store, last, None).failed == []
        assert {name: (place / name).read_bytes() for name in wanted} == wanted
    assert seen
    start(store)


@pytest.mark.parametrize("free", [0, 4, 8, 12, 16, 24])
def test_a_store_that_is_full_when_a_guest_is_updated(free: int, built: Built, small_disk: Path) -> None:
    """`free` KiB are left: whatever fits is there and whole, and the next run goes on."""
    store = Store(small_disk / "images")
    store.prepare()
    deploy(store, built, None)
    place = store.place("deb01")
    old = contents(place)
    wanted = {"vmlinuz": b"k" * 9000, "initrd.img": b"i" * 9000, "deb01.cfg": b"c" * 9000}
    new = rebuild(built, wanted)
    with (small_disk / "fill").open("wb") as fill:
        os.posix_fallocate(fill.fileno(), 0, max(1, sparse.free_space(small_disk) - free * 1024))
    with pytest.raises((HostError, ImageError), match="the disk is full"):
        deploy(store, new, None)
    now = contents(place)
    assert all(now[name] in (old[name], wanted[name]) for name in wanted)
    assert now["root.img"] == old["root.img"]
    (small_disk / "fill").unlink()
    again = deploy(store, new, None)
    assert (again.kept, again.failed) == ([], [])
    assert {name: contents(place)[name] for name in wanted} == wanted
