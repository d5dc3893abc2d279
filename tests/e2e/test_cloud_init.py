"""Guests that cloud-init tells who they are, in real doit runs: what their seeds are made from, and where they go."""

import shutil

import pytest

from pipeline.image import ext
from tests.e2e.conftest import Workshop
from tests.machine import need_programs, run

_LIST = """\
    farm: tiny
    images: {images}
    masters: {{debian: {{tar: debian.tar, identity: cloud-init}}}}
    defaults:
      root: 16M
      swap: 1M
      master: debian
      hypervisors: [xen, libvirt, qemu, vmware]
      network: {{bridge: xenbr0, gateway: 10.0.0.1}}
    guests:
      deb01: {{address: 10.0.0.11/24}}
      deb02: {{address: 10.0.0.12/24, identity: files}}
"""


@pytest.fixture
def clouds(workshop: Workshop) -> Workshop:
    need_programs("mkfs.vfat", "mcopy", "mtype", "ssh-keygen", "grub-mkimage")
    store = workshop.folder / "store"
    store.mkdir()
    workshop.write_list(_LIST.format(images=store))
    workshop.write_master({"usr/bin/cloud-init": b""})
    workshop.doit()
    return workshop


def test_what_makes_what_stale(clouds: Workshop) -> None:
    assert clouds.path("guests/deb01/seed.img").exists()
    assert not clouds.path("guests/deb02/seed.img").exists()
    assert clouds.doit().executed == []
    changes = [
        ("10.0.0.11/24", "10.0.0.13/24", {"seed:deb01", "known_hosts:openssh", "known_hosts:dns"}),
        ("10.0.0.13/24}", "10.0.0.13/24, users: {admin: {sudo: nopasswd}}}", {"seed:deb01"}),
        ("sudo: nopasswd}}}", "sudo: nopasswd}}, timezone: Europe/Berlin}", {"seed:deb01"}),
        ("deb01: {", "deb01: {memory: 1G, ", {"config:deb01"}),
        ("deb01: {memory", "deb01: {files: {/etc/motd: hello}, memory", {"root:deb01"}),
        ("deb01: {files", "deb01: {hypervisors: [xen], files", {"config:deb01"}),
    ]
    for old, new, made in changes:
        clouds.change_list(old, new)
        assert set(clouds.doit().executed) == made


def test_a_name_is_in_the_seed_and_not_on_the_root_disk(clouds: Workshop) -> None:
    folder = clouds.path("guests/deb01")
    assert "local-hostname: deb01\n" in run("mtype", "-i", folder / "seed.img", "::/meta-data")
    private = (clouds.folder / "keys/deb01/ssh_host_ed25519_key").read_text().splitlines()[1]
    assert private in run("mtype", "-i", folder / "seed.img", "::/user-data")
    assert not [path for path in clouds.path("logs").rglob("*") if path.is_file() and private in path.read_text()]
    with ext.open(folder / "root.img", write=False) as root:
        assert root.read("etc/hostname") == b"master\n"
        assert root.names("etc/ssh") == []


def test_hypervisors_have_it_read_only_and_last(clouds: Workshop) -> None:
    folder = clouds.path("guests/deb01")
    assert ", vdev=xvdl, access=ro, target=" in (folder / "deb01.cfg").read_text()
    xml = (folder / "deb01.xml").read_text()
    assert xml.index("swap.img") < xml.index("seed.img") < xml.index("<readonly")
    assert "-drive if=none,id=disk20,format=raw,readonly=on,file=" in (folder / "deb01.qemu.sh").read_text()
    assert 'scsi0:2.fileName = "deb01-seed.vmdk"' in (folder / "deb01.vmx").read_text()
    assert 'RW 2048 FLAT "seed.img" 0' in (folder / "deb01-seed.vmdk").read_text()
    assert "seed" not in (clouds.path("guests/deb02") / "deb02.cfg").read_text()


def test_it_is_deployed_once_and_stays(clouds: Workshop) -> None:
    clouds.doit("deploy", "deb01")
    deployed = clouds.folder / "store/deb01/seed.img"
    first = deployed.read_bytes()
    clouds.change_list("10.0.0.11/24", "10.0.0.14/24")
    clouds.doit("deploy", "deb01")
    assert deployed.read_bytes() == first
    assert "seed: network" in clouds.doit("ls", "deb01", check=False).output  # whoever runs is another matter


def test_a_master_without_cloud_init(clouds: Workshop) -> None:
    clouds.write_master()
    ended = clouds.doit(check=False)
    assert ended.code != 0
    assert "master 'debian': the master has no cloud-init" in ended.output
    shutil.rmtree(clouds.path("guests/deb02"))
    assert "root:deb02" in clouds.doit("root:deb02").executed
