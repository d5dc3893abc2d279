"""Guests run under Xen itself, by their configurations as they are: made, reached, shut down, and found in order."""

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import guestlist
from pipeline.boottest import inside
from pipeline.boottest.overlay import thrown_away
from pipeline.hypervisors import BY_NAME, xl
from pipeline.image import ext
from pipeline.image.ext import browse
from pipeline.image.files.clone import clone
from pipeline.image.layer import tar
from pipeline.qemu import session
from tests.boot import masters
from tests.e2e.conftest import ROOT, Workshop
from tests.machine import need_programs, run
from tests.xen import dom0

pytestmark = pytest.mark.xen

_LIST = """\
    farm: guests
    images: /images
    masters:
      debian: {tar: debian.tar}
      busybox: {tar: busybox.tar}
    defaults:
      master: busybox
      memory: 256M
      root: 64M
      swap: 64M
      extra: net.ifnames=0
      network: {bridge: xenbr0, gateway: 10.0.0.1}
    guests:
      tiny-pv: {address: 10.0.0.11/24}
      tiny-pvh: {address: 10.0.0.12/24, xen: pvh, disks: {data: {size: 16M, mount: /srv}}}
      debian-pv: {address: 10.0.0.13/24, master: debian, root: 2G, extra: none}
      debian-menu:
        address: 10.0.0.14/24
        master: debian
        root: 2G
        extra: none
        xen: {boot: pygrub}
        files: {/boot/grub/grub.cfg: {source: grub.cfg}}
"""
GUESTS = ("tiny-pv", "tiny-pvh", "debian-pv", "debian-menu")

# As grub-mkconfig(8) writes it for one kernel, with other things left out.
_MENU = """\
set default="0"
if [ x"${{feature_menuentry_id}}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
if [ "${{recordfail}}" = 1 ] ; then
  set timeout=30
else
  set timeout=5
fi
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux $menuentry_id_option 'gnulinux-simple' {{
	load_video
	insmod gzio
	if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
	insmod ext2
	echo	'Loading Linux {release} ...'
	linux	/boot/vmlinuz-{release} root=/dev/xvda1 ro by=menu
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd.img-{release}
}}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced' {{
	menuentry 'Debian GNU/Linux, with Linux {release} (recovery mode)' --class debian {{
		linux	/boot/vmlinuz-{release} root=/dev/xvda1 ro single
		initrd	/boot/initrd.img-{release}
	}}
}}
### END /etc/grub.d/10_linux ###
"""

_SECONDS = 1200
"""That the whole of it may take: ten times what it does on an idle machine."""
_LOG = "/var/log/xen/console/guest-{name}.log"

# One guest after the other: libxl gives dom0's scripts 40 seconds, in which guests that run had better leave it alone.
_STEPS = {
    "create": "xl create {config}; echo exit code $?",
    "console": "n=0; xl domid {name} && until grep -q 'login: ' {log}; do"
    " n=$((n + 1)); if [ $n -gt 300 ] || grep -q 'Kernel panic' {log}; then break; fi; sleep 2; done;"
    " grep -e 'Kernel command line' -e 'swap on' {log}; tail -n 8 {log}",
    "ping": "ping -c 3 -i 0.2 -W 10 {address}; echo exit code $?",
    "neighbour": "ip neigh show {address}",
    "domains": "xl list",
    "list": "xl list {name}; xl vcpu-list {name}",
    "shutdown": "timeout 300 xl shutdown -w {name}; echo exit code $?",
    "end": "grep -c 'Kernel panic' {log}; tail -n 3 {log}",
}


@dataclass(frozen=True)
class Host:
    """What a host with Xen has shown."""

    facts: inside.Facts
    roots: Mapping[str, Path]
    """The guests' root disks as they were afterwards."""


@pytest.fixture(scope="session")
def kept(request: pytest.FixtureRequest) -> Iterator[tuple[Workshop, Path]]:
    """A farm of one guest, dom0, and the example's master. They are kept, and made anew when their recipe changes."""
    need_programs("qemu-system-x86_64", "mmdebstrap", "mke2fs", "busybox")
    workshop = Workshop(ROOT / "build/tests/xen")
    workshop.folder.mkdir(parents=True, exist_ok=True)
    with (workshop.folder / "lock").open("w") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(ROOT / "dodo.py", workshop.folder)
        workshop.write_list(dom0.LIST)
        built = pool.submit(workshop.doit)
        debian: Path = request.getfixturevalue("debian_tar")
        built.result()
        yield workshop, debian


@pytest.fixture(scope="session")
def guests(kept: tuple[Workshop, Path], tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The guests that are to run under Xen, built."""
    _, debian = kept
    workshop = Workshop(tmp_path_factory.mktemp("guests"))
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    (workshop.folder / "debian.tar").symlink_to(debian)
    masters.write_busybox(debian, workshop.folder / "busybox.tar")
    kernels = [entry.path for entry in tar.entries(debian) if entry.path.startswith("boot/vmlinuz-")]
    (workshop.folder / "grub.cfg").write_text(_MENU.format(release=kernels[0].removeprefix("boot/vmlinuz-")))
    workshop.write_list(_LIST)
    workshop.doit()
    return workshop


@pytest.fixture(scope="session")
def host(kept: tuple[Workshop, Path], guests: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """What Xen's host has to say: for each guest, and each step."""
    folder = tmp_path_factory.mktemp("host")
    images, store = folder / "images.img", folder / "store"
    for name in GUESTS:
        (store / name).mkdir(parents=True)
        for path in guests.path(f"guests/{name}").iterdir():
            clone(path, store / name / path.name)  # which its owner can write to, as a store's files
    run("mke2fs", "-q", "-t", "ext4", "-d", store, images, "5G")
    machine = dom0.machine(kept[0], images, folder)
    reporter = inside.Reporter(tuple(dom0.layer(_commands(guests))), "its own")
    log = ROOT / "build/logs/xen.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with thrown_away(folder / "disks", [machine.drives[0].image], lambda _: reporter.layer) as (root,):
        seen = session.watch(dom0.with_root(machine, root), reporter.signs, log, session.Limits(_SECONDS), "tcg")
    (ROOT / "build/logs/xen.report").write_text(seen.report)
    assert not seen.failure, f"{seen.failure}\n{seen.console[-3000:]}\n{seen.report[-3000:]}"
    roots = {name: folder / f"{name}.img" for name in GUESTS}
    with ext.open(images, write=False) as filesystem:
        for name, path in roots.items():
            browse.copy_out(filesystem, f"/{name}/root.img", path, lambda _: None)
    return Host(inside.read(seen.report), roots)


def _commands(guests: Workshop) -> dict[str, str]:
    """What dom0 is to do, by the names under which it reports."""
    commands = {"xl info": "xl info"}
    for name in GUESTS:
        values = _values(guests, name)
        commands |= {f"{name} {step}": command.format(**values) for step, command in _STEPS.items()}
    # The last guest's disks are still being detached.
    umount = "n=0; until umount /images 2>/dev/null || [ $n -gt 60 ]; do n=$((n + 1)); sleep 1; done"
    commands["umount"] = f"{umount}; grep -c ' /images ' /proc/mounts"
    timed: dict[str, str] = {}
    for name, command in commands.items():  # where the time goes, for those who want to know
        timed |= {f"seconds until {name}": "cat /proc/uptime", name: command}
    return timed


def _values(guests: Workshop, name: str) -> dict[str, str]:
    (address,) = guestlist.load(guests.folder / "guests.yaml", hypervisors=BY_NAME).guests[name].nics[0].addresses
    config = f"/images/{name}/{name}.cfg"
    return {
        "name": name,
        "config": config,
        "address": str(address.ip),
        "log": _LOG.format(name=name),
    }


def test_it_is_xen(host: Host) -> None:
    assert "xen_version            : 4.17" in host.facts["xl info"]
    assert "hvm" in host.facts["xl info"], "what PVH guests need"


@pytest.mark.parametrize("name", GUESTS)
def test_is_made_by_its_configuration(host: Host, name: str) -> None:
    assert host.facts[f"{name} create"].splitlines()[-1] == "exit code 0"


@pytest.mark.parametrize("name", GUESTS)
def test_asks_for_a_login_on_its_console(host: Host, name: str) -> None:
    assert f"{name} login:" in host.facts[f"{name} console"]


def test_is_booted_by_its_grub_menu(host: Host) -> None:
    (line,) = (line for line in host.facts["debian-menu console"].splitlines() if "Kernel command line:" in line)
    assert "by=menu" in line
    assert "console=hvc0" in line


@pytest.mark.parametrize("name", GUESTS)
def test_swaps(host: Host, name: str) -> None:
    assert "Adding 65532k swap on /dev/xvda2." in host.facts[f"{name} console"]


@pytest.mark.parametrize("name", GUESTS)
def test_answers_over_the_bridge(guests: Workshop, host: Host, name: str) -> None:
    assert "3 packets transmitted, 3 received" in host.facts[f"{name} ping"]
    (nic,) = guestlist.load(guests.folder / "guests.yaml", hypervisors=BY_NAME).guests[name].nics
    assert f"{nic.addresses[0].ip} dev {dom0.BRIDGE} lladdr {nic.mac.lower()} " in host.facts[f"{name} neighbour"]


@pytest.mark.parametrize("name", GUESTS)
def test_has_the_memory_and_processors_of_the_list(guests: Workshop, host: Host, name: str) -> None:
    guest = guestlist.load(guests.folder / "guests.yaml", hypervisors=BY_NAME).guests[name]
    row, _, *processors = host.facts[f"{name} list"].splitlines()[1:]
    assert row.split()[0] == name
    assert [int(number) for number in row.split()[2:4]] == [guest.memory >> 20, guest.vcpus]
    assert len(processors) == guest.vcpus


@pytest.mark.parametrize("name", GUESTS)
def test_what_xl_lists_is_understood(host: Host, name: str) -> None:
    assert xl.parse(host.facts[f"{name} domains"]) == {"Domain-0": "running", name: "running"}


@pytest.mark.parametrize("name", GUESTS)
def test_shuts_down_when_xen_asks_it_to(host: Host, name: str) -> None:
    assert "has been shut down, reason code 0" in host.facts[f"{name} shutdown"]  # SHUTDOWN_poweroff, of xen/sched.h
    assert host.facts[f"{name} shutdown"].splitlines()[-1] == "exit code 0"


@pytest.mark.parametrize("name", GUESTS)
def test_does_not_panic(host: Host, name: str) -> None:
    assert host.facts[f"{name} end"].splitlines()[0] == "0"


@pytest.mark.parametrize("name", GUESTS)
def test_leaves_its_root_file_system_in_order(host: Host, name: str) -> None:
    assert host.facts["umount"] == "0"
    run("e2fsck", "-f", "-n", host.roots[name])
