"""A guest of a cloud image, which cloud-init tells who it is by the seed that comes with its disks."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from pipeline import guestlist
from pipeline.boottest.boot import Place, Proof, machine_of, run
from pipeline.boottest.disk import Via
from pipeline.hypervisors import BY_NAME
from pipeline.qemu.session import Limits
from pipeline.tasks.guest import files_in
from tests import machine
from tests.boot import masters, qemu
from tests.e2e.conftest import ROOT, Workshop

MIB = 1 << 20
HASH = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"

_TREE = """\
    farm: tree
    masters: {tree: {tar: cloud.tar}}
    guests:
      tree: {master: tree, root: 640M, network: none}
"""
_LIST = f"""\
    farm: clouds
    masters:
      cloud: {{cloud: genericcloud.qcow2, identity: cloud-init}}
    defaults: {{master: cloud, memory: 512M, vcpus: 2, root: 1G, swap: 64M, timezone: Europe/Berlin}}
    guests:
      cloud.example.org:
        network:
          - {{bridge: xenbr0, address: 10.0.0.51/24, gateway: 10.0.0.1, nameservers: [10.0.0.1], search: a.example}}
          - bridge: xenbr1
            address: [10.7.0.51/24, 10.8.0.51/24, "2001:db8::51/64"]
            accept_ra: false
            routes: [{{to: 10.9.0.0/16, via: 10.7.0.254}}]
            mtu: 1400
            vlan: 10
        users:
          root: {{keys: roots.pub}}
          admin: {{keys: admin.pub, groups: [adm], comment: the one, password: {HASH}, uid: 1234}}
          gone: {{locked: true}}
        files: {{/etc/motd: welcome}}
"""
_FACTS = {
    "result": "cat /run/cloud-init/result.json",
    "complaints": "grep -E 'WARNING|ERROR|Traceback' /var/log/cloud-init.log",  # of the schema as well
    "instance ID": "cat /var/lib/cloud/data/instance-id",
    "full name": "hostname --fqdn",
    "routes": "ip route; ip -6 route",
    "resolver": "resolvectl dns 2>/dev/null; cat /etc/resolv.conf",
    "time zone": "readlink -f /etc/localtime",
    "users": "grep -E '^(admin|gone|debian):' /etc/passwd",
    "passwords": "grep -E '^(admin|gone|root):' /etc/shadow",
    "groups": "id -Gn admin",
    "keys of admin": "cat ~admin/.ssh/authorized_keys",
    "keys of root": "cat /root/.ssh/authorized_keys",
    "host keys": "cat /etc/ssh/ssh_host_*_key.pub",
    "host keys for clients": "ssh-keyscan -T 60 localhost 2>/dev/null",
    "file": "cat /etc/motd",
    "seed is read-only": "blockdev --getro /dev/disk/by-label/cidata",
}


@pytest.fixture(scope="module")
def workshop(example: Workshop, packages: Path, scratch: Path) -> Workshop:
    """The farm, and the image that it is made of."""
    machine.need_programs("qemu-system-x86_64", "qemu-img", "sfdisk", "mkfs.vfat", "mcopy", "ssh-keygen", "e2label")
    workshop = Workshop(scratch / "clouds")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    masters.write_cloud(packages, example.path("masters/debian/rootfs.tar"), workshop.folder / "cloud.tar")
    workshop.write_list(_TREE)
    workshop.doit("populate")
    _write_image(workshop.path("bases/tree-ext4-640M/root.img"), workshop.folder / "genericcloud.qcow2")
    shutil.rmtree(workshop.path(""))
    for name in ("roots", "admin"):
        machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", workshop.folder / name)
    workshop.write_list(_LIST)
    workshop.doit()
    return workshop


@pytest.fixture(scope="module")
def proof(workshop: Workshop, scratch: Path) -> Proof:
    """What its first boot shows, as doit boot has it."""
    (guest,) = guestlist.load(workshop.folder / "guests.yaml", hypervisors=BY_NAME).guests.values()
    powered = machine_of(guest, files_in(PurePosixPath(workshop.path(f"guests/{guest.name}")), guest), Via.KERNEL)
    place = Place(scratch / "cloud", scratch / "cloud.log")
    shown = run(guest, powered, place, Limits(qemu.DEADLINE), more=_FACTS)
    assert shown.facts, shown.session.console
    return shown


def _write_image(root: Path, image: Path) -> None:
    """Partitions as Debian's genericcloud images have them: the root is the first, and comes last."""
    disk, efi = image.with_suffix(".raw"), image.with_suffix(".efi")
    partitions = [
        "label: gpt",
        "14: start=1MiB, size=3MiB, type=21686148-6449-6E6F-744E-656564454649",
        "15: start=4MiB, size=124MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        f"1: start=128MiB, size={root.stat().st_size // MIB}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    ]
    _sparse(disk, 129 * MIB + root.stat().st_size)
    script = image.with_suffix(".script")
    script.write_text("\n".join([*partitions, ""]))
    machine.run("sh", "-c", 'sfdisk -q "$1" <"$2"', "sh", disk, script)
    _sparse(efi, 124 * MIB)
    machine.run("mkfs.vfat", "-n", "UEFI", efi)
    for part, start in ((efi, 4 * MIB), (root, 128 * MIB)):
        copy = ["dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={start // MIB}", "conv=notrunc,sparse", "status=none"]
        machine.run(*copy)
    machine.run("e2label", f"{disk}?offset={128 * MIB}", "root")
    machine.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)
    disk.unlink()


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_boots_as_what_the_list_says(proof: Proof) -> None:
    failed = [f"{check.name}: {check.found}" for check in proof.checks if not check.passed]
    assert not failed, proof.facts["complaints"]


def test_cloud_init_understands_it(proof: Proof) -> None:
    result = json.loads(proof.facts["result"])["v1"]
    assert "DataSourceNoCloud [seed=/dev/" in result["datasource"]
    assert result["errors"] == []
    assert proof.facts["complaints"] == ""


def test_is_itself(workshop: Workshop, proof: Proof) -> None:
    (guest,) = guestlist.load(workshop.folder / "guests.yaml", hypervisors=BY_NAME).guests.values()
    assert proof.facts["instance ID"] == str(guest.uuid)
    assert proof.facts["full name"] == guest.name
    assert proof.facts["time zone"].endswith("Europe/Berlin")
    assert proof.facts["seed is read-only"] == "1"
    assert proof.facts["file"] == "welcome"


def test_network(proof: Proof) -> None:
    routes = proof.facts["routes"].splitlines()
    assert _with(routes, "default via 10.0.0.1 dev net0")
    assert _with(routes, "10.9.0.0/16 via 10.7.0.254 dev net1.10")
    assert "10.0.0.1" in proof.facts["resolver"]


def test_users(workshop: Workshop, proof: Proof) -> None:
    people = dict(line.split(":", 1) for line in proof.facts["users"].splitlines())
    assert people["admin"] == "x:1234:1234:the one:/home/admin:/bin/bash"
    assert people.keys() == {"admin", "gone"}, "the image has a user of its own for those who say nothing"
    shadow = {line.split(":")[0]: line.split(":") for line in proof.facts["passwords"].splitlines()}
    assert shadow["admin"][1] == HASH
    assert shadow["gone"][1].startswith("!")
    assert shadow["gone"][7] == "1"
    assert proof.facts["groups"].split() == ["admin", "adm"]
    for name, file in (("keys of admin", "admin.pub"), ("keys of root", "roots.pub")):
        assert proof.facts[name].strip() == (workshop.folder / file).read_text().strip()


def test_host_keys_are_those_that_build_has(workshop: Workshop, proof: Proof) -> None:
    ours = {
        line.split()[1] for line in workshop.path("guests/cloud.example.org/ssh_host_keys.pub").read_text().splitlines()
    }
    assert {line.split()[1] for line in proof.facts["host keys"].splitlines()} == ours
    assert {line.split()[2] for line in proof.facts["host keys for clients"].splitlines()} == ours


def _with(lines: Sequence[str], start: str) -> bool:
    return any(line.startswith(start) for line in lines)
