"""Why artifacts are stale is told by the keys of guests.yaml, and nothing is called changed that did not change."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
from doit.control import TaskControl
from doit.dependency import Dependency

from pipeline import guestlist, hypervisors
from pipeline.engine import ArtifactTask
from pipeline.engine.artifact.artifact import Artifact
from pipeline.engine.state.condition import conditions
from pipeline.engine.state.digests import Digests, checker
from pipeline.engine.state.state import State
from pipeline.guestlist.export.json_schema import json_schema
from pipeline.tasks import base, guest, header, host_keys, kernel, master, seed
from pipeline.tasks.site import Site
from tests.e2e.conftest import TINY_MASTER, write_tar

LIST = """\
    farm: tiny
    images: /srv/guests
    masters:
      debian: {tar: debian.tar}
      other: {tar: debian.tar}
    networks:
      lan: {bridge: xenbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1}
    roles:
      web: {files: {/etc/web: one}}
      db: {files: {/etc/db: one}}
    guests:
      deb01:
        master: debian
        memory: 256M
        vcpus: 1
        root: {size: 512M}
        swap: 64M
        disks: {data: {size: 32M, fs: ext4, mount: /srv}}
        network: {use: lan, address: 10.0.0.11/24}
        roles: [web, db]
        host_keys: ed25519
        hypervisors: [xen, libvirt, qemu]
        files: {/etc/motd: hello}
        users: {admin: {sudo: nopasswd}}
        units: {enable: a.service}
"""


class Farms:
    """Lists that are built, or rather taken for built, one after the other in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = folder / "build" / "state.db"
        self._checker = checker(Digests(self._database))
        write_tar(folder / "debian.tar", TINY_MASTER)

    def build(self, text: str) -> None:
        """Have everything be on record as built from this list."""
        dependency = self._dependency()
        for task in self._tasks(text).values():
            for file in map(Path, (*task.file_dep, *task.targets)):
                file.parent.mkdir(parents=True, exist_ok=True)
                if not file.exists():
                    file.touch()
            task.save_extra_values()
            dependency.save_success(task)
        dependency.close()

    def reasons(self, text: str) -> dict[str, list[str]]:
        """Why artifacts of this list are stale, for each that is and was on record before."""
        dependency = self._dependency()
        found = conditions(self._tasks(text).values(), dependency)
        dependency.close()
        reasons = {name: [*each.reasons] for name, each in found.items() if each.reasons != ("never built",)}
        return {name: each for name, each in reasons.items() if each}

    def _dependency(self) -> Dependency:
        return Dependency(State, str(self._database), checker_cls=self._checker)

    def _tasks(self, text: str) -> dict[str, ArtifactTask]:
        path = self._folder / "guests.yaml"
        loaded = guestlist.load(path, text=dedent(text), hypervisors=hypervisors.BY_NAME)
        site = Site(loaded, self._folder / "build", self._folder / "keys")
        made = [ArtifactTask.of(group, each) for group, each in _artifacts(site)]
        tasks: dict[str, ArtifactTask] = {task.name: task for task in made}
        TaskControl.set_implicit_deps({}, made)
        return tasks


def _artifacts(site: Site) -> Iterator[tuple[str, Artifact]]:
    sources = {
        "master": master.tasks, "kernel": kernel.tasks, "zero": base.zeros, "format": base.formats,
        "populate": base.populates, "keys": host_keys.tasks, "root": guest.roots, "seed": seed.tasks,
        "swap": guest.swaps, "disk": guest.disks, "header": header.tasks, "config": guest.configs,
    }  # fmt: skip
    for group, artifacts in sources.items():
        yield from ((group, each) for each in artifacts(site))


@pytest.fixture(scope="module")
def farms(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Farms]:
    """A farm that is on record as built from a list."""

    @cache
    def built(text: str) -> Farms:
        found = Farms(tmp_path_factory.mktemp("farms"))
        found.build(text)
        return found

    return built


XEN = LIST.replace("[xen, libvirt, qemu]", "[xen]")
LIBVIRT = LIST.replace("[xen, libvirt, qemu]", "[libvirt]")

CHANGES: list[tuple[str, str, str, dict[str, list[str]]]] = [
    (LIST, "memory: 256M", "memory: 512M", {"config:deb01": ["memory changed from 256M to 512M"]}),
    (LIST, "vcpus: 1", "vcpus: 2", {"config:deb01": ["vcpus changed from 1 to 2"]}),
    (LIST, "{size: 512M}", "{size: 384M}", {"root:deb01": ["root size changed from 512M to 384M"]}),
    (LIST, "{size: 512M}", "{size: 512M, fs: ext3}", {"root:deb01": ["root fs changed from ext4 to ext3"]}),
    (
        LIST,
        "{size: 512M}",
        "{size: 512M, allocate: full}",
        {"root:deb01": ["root allocate changed from sparse to full"]},
    ),
    (LIST, "swap: 64M", "swap: 32M", {"swap:deb01": ["swap changed from 64M to 32M"]}),
    (
        LIST,
        "swap: 64M",
        "swap: none",
        {"root:deb01": ["swap changed from a disk to none"], "config:deb01": ["swap changed from 64M to none"]},
    ),
    (LIST, "size: 32M", "size: 48M", {"disk:deb01:data": ["disks data size changed from 32M to 48M"]}),
    (
        LIST,
        "fs: ext4, mount",
        "fs: ext3, mount",
        {
            "root:deb01": ["disks data fs changed from ext4 to ext3"],
            "disk:deb01:data": ["disks data fs changed from ext4 to ext3"],
        },
    ),
    (LIST, "mount: /srv", "mount: /data", {"root:deb01": ["disks data mount changed from /srv to /data"]}),
    (
        LIST,
        "mount: /srv}",
        "mount: /srv, allocate: full}",
        {"disk:deb01:data": ["disks data allocate changed from sparse to full"]},
    ),
    (
        LIST,
        "master: debian\n",
        "master: other\n",
        {
            "root:deb01": ["master changed from debian to other"],
            "config:deb01": ["master changed from debian to other"],
        },
    ),
    (
        LIST,
        "farm: tiny",
        "farm: big",
        {
            "format:debian-ext4-512M": ["farm changed from tiny to big"],
            "root:deb01": ["farm changed from tiny to big", "mac changed from 00:16:3e:2f:ed:6b to 00:16:3e:22:15:7e"],
            "swap:deb01": ["farm changed from tiny to big"],
            "disk:deb01:data": ["farm changed from tiny to big"],
            "config:deb01": [
                "farm changed from tiny to big",
                "mac changed from 00:16:3e:2f:ed:6b to 00:16:3e:22:15:7e",
            ],
        },
    ),
    (
        LIST,
        "images: /srv/guests",
        "images: /srv/other",
        {"config:deb01": ["images changed from /srv/guests to /srv/other"]},
    ),
    (LIST, "bridge: xenbr0", "bridge: xenbr1", {"config:deb01": ["bridge changed from xenbr0 to xenbr1"]}),
    (LIST, "gateway: 10.0.0.1", "gateway: 10.0.0.2", {"root:deb01": ["gateway changed from 10.0.0.1 to 10.0.0.2"]}),
    (
        LIST,
        "gateway: 10.0.0.1",
        "gateway: 10.0.0.1, nameservers: 10.0.0.1",
        {"root:deb01": ["nameservers: 10.0.0.1 is new"]},
    ),
    (
        LIST,
        "gateway: 10.0.0.1",
        "gateway: 10.0.0.1, search: example.org",
        {"root:deb01": ["search: example.org is new"]},
    ),
    (
        LIST,
        "gateway: 10.0.0.1",
        "gateway: 10.0.0.1, mtu: 9000",
        {"root:deb01": ["mtu: 9000 is new"], "config:deb01": ["mtu: 9000 is new"]},
    ),
    (LIST, "gateway: 10.0.0.1", "gateway: 10.0.0.1, vlan: 7", {"root:deb01": ["vlan: 7 is new"]}),
    (LIST, "gateway: 10.0.0.1", "gateway: 10.0.0.1, dhcp6: true", {"root:deb01": ["dhcp6: true is new"]}),
    (LIST, "gateway: 10.0.0.1", "gateway: 10.0.0.1, accept_ra: false", {"root:deb01": ["accept_ra: no is new"]}),
    (
        LIST,
        "gateway: 10.0.0.1",
        "gateway: 10.0.0.1, routes: {to: 10.9.0.0/16, via: 10.0.0.254}",
        {"root:deb01": ["routes: 10.9.0.0/16 via 10.0.0.254 is new"]},
    ),
    (
        LIST,
        "address: 10.0.0.11/24",
        "address: 10.0.0.12/24",
        {"root:deb01": ["address changed from 10.0.0.11/24 to 10.0.0.12/24"]},
    ),
    (
        LIST,
        "address: 10.0.0.11/24",
        "address: 10.0.0.11/24, mac: 00:16:3e:00:00:01",
        {
            "root:deb01": ["mac changed from 00:16:3e:2f:ed:6b to 00:16:3e:00:00:01"],
            "config:deb01": ["mac changed from 00:16:3e:2f:ed:6b to 00:16:3e:00:00:01"],
        },
    ),
    (
        LIST,
        "network: {use: lan, address: 10.0.0.11/24}",
        "network: none",
        {
            "root:deb01": [
                "network: mac 00:16:3e:2f:ed:6b, address 10.0.0.11/24, gateway 10.0.0.1, nameservers none is gone"
            ],
            "config:deb01": ["network: mac 00:16:3e:2f:ed:6b, bridge xenbr0 is gone"],
        },
    ),
    (LIST, "roles: [web, db]", "roles: [db, web]", {"root:deb01": ["roles changed from web, db to db, web"]}),
    (LIST, "roles: [web, db]", "roles: [web]", {"root:deb01": ["role db is gone"]}),
    (LIST, "{/etc/web: one}", "{/etc/web: two}", {"root:deb01": ["role web: file /etc/web changed"]}),
    (
        LIST,
        "host_keys: ed25519",
        "host_keys: [ed25519, ecdsa]",
        {"keys:deb01": ["host_keys: ecdsa is new"], "root:deb01": ["host_keys: ecdsa is new"]},
    ),
    (
        LIST,
        "host_keys: ed25519",
        "host_keys: first-boot",
        {"root:deb01": ["host_keys changed from ed25519 to first-boot"]},
    ),
    (
        LIST,
        "[xen, libvirt, qemu]",
        "[xen]",
        {"config:deb01": ["hypervisors: libvirt is gone", "hypervisors: qemu is gone"]},
    ),
    (LIST, "[xen, libvirt, qemu]", "[qemu, libvirt, xen]", {}),
    (LIST, "motd: hello", "motd: bye", {"root:deb01": ["file /etc/motd changed"]}),
    (LIST, "sudo: nopasswd", "sudo: nopasswd, groups: adm", {"root:deb01": ["user admin changed"]}),
    (LIST, "enable: a.service", "mask: a.service", {"root:deb01": ["unit a.service masked"]}),
    (
        LIST,
        "memory: 256M",
        "memory: 256M\n        timezone: Europe/Berlin",
        {"root:deb01": ["timezone: Europe/Berlin is new"]},
    ),
    (LIST, "memory: 256M", "memory: 256M\n        locale: de_DE.UTF-8", {"root:deb01": ["locale: de_DE.UTF-8 is new"]}),
    (LIST, "memory: 256M", "memory: 256M\n        keyboard: de", {"root:deb01": ["keyboard: de is new"]}),
    (LIST, "memory: 256M", "memory: 256M\n        extra: quiet", {"config:deb01": ["extra: quiet is new"]}),
    (
        LIST,
        "memory: 256M",
        "memory: 256M\n        xen: pvh",
        {"kernel:debian": ["xen changed from pv to pvh"], "config:deb01": ["xen: type changed from pv to pvh"]},
    ),
    (
        LIST,
        "memory: 256M",
        "memory: 256M\n        libvirt: qemu",
        {"config:deb01": ["libvirt: type changed from kvm to qemu"]},
    ),
    (
        LIST,
        "memory: 256M",
        "memory: 256M\n        description: a guest",
        {"config:deb01": ["description: a guest is new"]},
    ),
    (
        LIST,
        "memory: 256M",
        "memory: 256M\n        kernel: /boot/k\n        ramdisk: /boot/i",
        {"config:deb01": ["kernel: /boot/k is new", "ramdisk: /boot/i is new"]},
    ),
    (LIST, "memory: 256M", "memory: 256M\n        kernel: /boot/k", {"config:deb01": ["kernel: /boot/k is new"]}),
    (
        LIST,
        "debian: {tar: debian.tar}",
        "debian: {tar: debian.tar, family: debian}",
        {"root:deb01": ["family: debian is new"]},
    ),
    (
        LIST,
        "debian: {tar: debian.tar}",
        "debian: {tar: debian.tar, kernel: /boot/x}",
        {"kernel:debian": ["kernel changed from its own choice to /boot/x"]},
    ),
    (
        LIST,
        "debian: {tar: debian.tar}",
        "debian: {tar: debian.tar, identity: cloud-init}",
        {
            "root:deb01": ["identity changed from files to cloud-init"],
            "config:deb01": ["identity changed from files to cloud-init"],
        },
    ),
    (LIST, "debian: {tar: debian.tar}", "debian: {tar: ./debian.tar}", {}),
    (XEN, "memory: 256M", "memory: 256M\n        maxmem: 1G", {"config:deb01": ["maxmem: 1G is new"]}),
    (XEN, "vcpus: 1", "vcpus: 1\n        maxvcpus: 2", {"config:deb01": ["maxvcpus: 2 is new"]}),
    (
        XEN,
        "memory: 256M",
        "memory: 256M\n        on_crash: preserve",
        {"config:deb01": ["on_crash changed from destroy to preserve"]},
    ),
    (
        XEN,
        "memory: 256M",
        "memory: 256M\n        on_poweroff: restart",
        {"config:deb01": ["on_poweroff changed from destroy to restart"]},
    ),
    (
        XEN,
        "memory: 256M",
        "memory: 256M\n        on_reboot: destroy",
        {"config:deb01": ["on_reboot changed from restart to destroy"]},
    ),
    (
        XEN,
        "memory: 256M",
        "memory: 256M\n        xen: {device_names: sda1}",
        {"config:deb01": ["xen: device_names changed from xvda1 to sda1"]},
    ),
    (
        LIBVIRT,
        "address: 10.0.0.11/24",
        "address: 10.0.0.11/24, model: e1000",
        {"config:deb01": ["model: e1000 is new"]},
    ),
    (
        LIBVIRT,
        "memory: 256M",
        "memory: 256M\n        libvirt: {boot: disk}",
        {"config:deb01": ["libvirt: boot changed from kernel to disk"]},
    ),
]


@pytest.mark.parametrize(("text", "old", "new", "expected"), CHANGES, ids=[change[2] for change in CHANGES])
def test_a_key_of_the_list_is_named(
    farms: Callable[[str], Farms], text: str, old: str, new: str, expected: dict[str, list[str]]
) -> None:
    assert old in text
    assert farms(text).reasons(text.replace(old, new)) == expected


_NOT_HERE = {
    "vars": "tests/e2e/test_templates.py",
    "firmware": "a guest whose firmware matters boots from a disk: tests/hypervisors",
    "qemu": "has what libvirt has",
    "vmware": "has what libvirt has",
}
"""Keys that have no line above, and why."""


def test_there_is_a_line_for_each_key_of_a_guest() -> None:
    keys = json_schema(hypervisors.BY_NAME)["$defs"]["guest"]["properties"]
    told = " ".join(f"{old} {new} {expected}" for _, old, new, expected in CHANGES)
    assert [key for key in keys if key not in _NOT_HERE and key.removesuffix("s") not in told] == []
