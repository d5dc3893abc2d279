"""Guests run under Xen itself, by their configurations as they are: made, reached, shut down, and found in order."""

import fcntl
import shutil
from collections.abc import Iterator

import pytest

from pipeline import farm
from pipeline.image.clone import clone
from pipeline.proof import inside, session
from pipeline.proof.overlay import thrown_away
from tests.boot import masters
from tests.machine import need_programs, run
from tests.pipeline.conftest import ROOT, Workshop
from tests.xen import dom0

pytestmark = pytest.mark.xen

_LIST = """\
    farm: guests
    images: /images
    masters:
      debian: {{tar: {debian}}}
      busybox: {{tar: busybox.tar}}
    defaults:
      master: busybox
      memory: 256M
      root: 64M
      swap: 64M
      extra: net.ifnames=0
      network: {{bridge: xenbr0, gateway: 10.0.0.1}}
    guests:
      tiny-pv: {{address: 10.0.0.11/24}}
      tiny-pvh: {{address: 10.0.0.12/24, xen: pvh, disks: {{data: {{size: 16M, mount: /srv}}}}}}
      debian-pv: {{address: 10.0.0.13/24, master: debian, memory: 512M, root: 2G, extra: quiet}}
"""
GUESTS = ("tiny-pv", "tiny-pvh", "debian-pv")

_SECONDS = 1500
"""That the whole of it may take: five times what it does on an idle machine."""
_LOG = "/var/log/xen/console/guest-{name}.log"
_STEPS = {
    "create": "xl create {config}; echo exit code $?",
    "console": "n=0; until grep -q 'login: ' {log}; do"
    " n=$((n + 1)); [ $n -lt 400 ] && xl domid {name} >/dev/null 2>&1 || break; sleep 1; done; tail -n 8 {log}",
    "ping": "ping -c 3 -W 10 {address}; echo exit code $?",
    "list": "xl list {name}; xl vcpu-list {name}",
    "shutdown": "timeout 200 xl shutdown -w {name}; echo exit code $?",
    "end": "grep -c 'Kernel panic' {log}; tail -n 3 {log}",
    "e2fsck": "e2fsck -f -n {folder}/root.img; echo exit code $?",
}


@pytest.fixture(scope="session")
def host() -> Iterator[Workshop]:
    """A farm of one guest, which is dom0. It is kept, and made anew when its recipe changes."""
    need_programs("qemu-system-x86_64", "mmdebstrap", "mke2fs", "busybox")
    workshop = Workshop(ROOT / "build/tests/xen")
    workshop.folder.mkdir(parents=True, exist_ok=True)
    with (workshop.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(ROOT / "dodo.py", workshop.folder)
        workshop.write_list(dom0.LIST)
        workshop.doit()
        yield workshop


@pytest.fixture(scope="session")
def guests(host: Workshop, example: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The guests that are to run under Xen, built."""
    workshop = Workshop(tmp_path_factory.mktemp("guests"))
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    debian = example.path("masters/debian/rootfs.tar")
    masters.write_busybox(debian, workshop.folder / "busybox.tar")
    workshop.write_list(_LIST.format(debian=debian))
    workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def facts(host: Workshop, guests: Workshop, tmp_path_factory: pytest.TempPathFactory) -> inside.Facts:
    """What Xen's host has to say: for each guest, and each step."""
    folder = tmp_path_factory.mktemp("host")
    images, store = folder / "images.img", folder / "store"
    for name in GUESTS:
        (store / name).mkdir(parents=True)
        for path in guests.path(f"guests/{name}").iterdir():
            clone(path, store / name / path.name)  # which its owner can write to, as a store's files
    run("mke2fs", "-q", "-t", "ext4", "-d", store, images, "6G")
    machine = dom0.machine(host, images, folder)
    commands = {"xl info": "xl info"} | {
        f"{name} {step}": command for name in GUESTS for step, command in _commands(guests, name).items()
    }
    reporter = inside.Reporter(tuple(dom0.layer(commands)), "its own")
    log = ROOT / "build/logs/xen.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with thrown_away(folder / "disks", [drive.image for drive in machine.drives], lambda _: reporter.layer) as clones:
        powered = dom0.with_disks(machine, clones)
        seen = session.watch(powered, reporter, log, session.Limits(_SECONDS), "tcg")
    (ROOT / "build/logs/xen.report").write_text(seen.report)
    assert not seen.failure, f"{seen.failure}\n{seen.console[-3000:]}\n{seen.report[-3000:]}"
    return inside.read(seen.report)


def _commands(guests: Workshop, name: str) -> dict[str, str]:
    (address,) = farm.load(guests.folder / "guests.yaml").guests[name].nics[0].addresses
    folder = f"/images/{name}"
    values = {"name": name, "folder": folder, "config": f"{folder}/{name}.cfg", "address": str(address.ip)}
    return {step: command.format(log=_LOG.format(name=name), **values) for step, command in _STEPS.items()}


def test_it_is_xen(facts: inside.Facts) -> None:
    assert "xen_version            : 4.17" in facts["xl info"]
    assert "hvm" in facts["xl info"], "what PVH guests need"


@pytest.mark.parametrize("name", GUESTS)
def test_is_made_by_its_configuration(facts: inside.Facts, name: str) -> None:
    assert facts[f"{name} create"].splitlines()[-1] == "exit code 0"


@pytest.mark.parametrize("name", GUESTS)
def test_asks_for_a_login_on_its_console(facts: inside.Facts, name: str) -> None:
    assert f"{name} login:" in facts[f"{name} console"]  # the blank behind it is not in a report


@pytest.mark.parametrize("name", GUESTS)
def test_answers_over_the_bridge(facts: inside.Facts, name: str) -> None:
    assert "3 packets transmitted, 3 received" in facts[f"{name} ping"]


@pytest.mark.parametrize("name", GUESTS)
def test_has_the_memory_and_processors_of_the_list(guests: Workshop, facts: inside.Facts, name: str) -> None:
    guest = farm.load(guests.folder / "guests.yaml").guests[name]
    row, _, *processors = facts[f"{name} list"].splitlines()[1:]
    assert row.split()[0] == name
    assert [int(number) for number in row.split()[2:4]] == [guest.memory >> 20, guest.vcpus]
    assert len(processors) == guest.vcpus


@pytest.mark.parametrize("name", GUESTS)
def test_shuts_down_when_xen_asks_it_to(facts: inside.Facts, name: str) -> None:
    assert "has been shut down, reason code 0" in facts[f"{name} shutdown"]  # SHUTDOWN_poweroff, of xen/sched.h
    assert facts[f"{name} shutdown"].splitlines()[-1] == "exit code 0"
    assert facts[f"{name} end"].splitlines()[0] == "0", "the kernel did not panic"


@pytest.mark.parametrize("name", GUESTS)
def test_leaves_its_root_file_system_in_order(facts: inside.Facts, name: str) -> None:
    assert facts[f"{name} e2fsck"].splitlines()[-1] == "exit code 0"
