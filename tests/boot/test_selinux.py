"""A guest of Debian's that enforces Debian's SELinux policy from its first boot on: make test-selinux."""

import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from pipeline import guestlist
from pipeline.boottest.boot import Place, Proof, machine_of, run
from pipeline.boottest.disk import Via
from pipeline.hypervisors import BY_NAME
from pipeline.qemu.session import Limits
from pipeline.tasks.guest import files_in
from tests import machine
from tests.boot import qemu
from tests.boot.conftest import kept
from tests.e2e.conftest import Workshop

pytestmark = pytest.mark.selinux

_LIST = """\
    farm: selinux
    masters:
      debian:
        bootstrap:
          suite: bookworm
          packages: [linux-image-cloud-amd64, systemd-sysv, udev, ifupdown, iproute2, netbase, openssh-server, dbus,
            libpam-systemd, selinux-basics, selinux-policy-default, policycoreutils, auditd]
          run: sed -i s/^SELINUX=.*/SELINUX=enforcing/ "$1/etc/selinux/config"
    guests:
      enforcing:
        master: debian
        memory: 1G
        vcpus: 2
        root: 2G
        swap: 64M
        extra: security=selinux  # as Debian's selinux-activate has it
        network: {bridge: xenbr0, gateway: 10.0.0.1, nameservers: [10.0.0.1]}
        address: 10.0.0.62/24
        users: {root: {keys: key.pub}, admin: {keys: key.pub, shell: /bin/bash}}
        files: {/etc/motd: hello, /srv/www/new/index.html: hello, /etc/key: {source: key, mode: 0600}}
"""
_POLICY = "etc/selinux/default/contexts/files/file_contexts"
_LOGIN = "ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR -i /etc/key"
_FACTS = {
    "mode": "getenforce",
    "to change": "restorecon -n -v -R /etc /root /home /srv /boot /var/lib /usr/sbin 2>&1",
    "label of a page": "stat -c %C /srv/www/new/index.html",
    "services": "systemctl is-active ssh serial-getty@ttyS0 networking systemd-logind auditd",
    "admin": f"{_LOGIN} admin@localhost 'id -Z; touch new; stat -c %C new' 2>&1",
    "root": f"{_LOGIN} root@localhost 'id -Z; systemctl restart ssh && echo restarted' 2>&1",
}
_USER = "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    """The farm, built. Its master is kept for the next time."""
    machine.need_programs("qemu-system-x86_64", "mmdebstrap", "setfiles", "ssh-keygen")
    with kept("selinux") as workshop:
        for kind in ("bases", "guests"):
            shutil.rmtree(workshop.path(kind), ignore_errors=True)
        (workshop.folder / "key").unlink(missing_ok=True)
        machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", workshop.folder / "key")
        workshop.write_list(_LIST)
        workshop.doit()
        yield workshop


@pytest.fixture(scope="module")
def proof(workshop: Workshop) -> Proof:
    """What its first boot shows, as doit boot has it."""
    guest = guestlist.load(workshop.folder / "guests.yaml", hypervisors=BY_NAME).guests["enforcing"]
    powered = machine_of(guest, files_in(PurePosixPath(workshop.path("guests/enforcing")), guest), Via.KERNEL)
    place = Place(workshop.path("clones"), workshop.path("console.log"))
    shown = run(guest, powered, place, Limits(qemu.DEADLINE), more=_FACTS)
    assert shown.facts, shown.session.console
    return shown


def test_debians_setfiles_finds_nothing_to_change(workshop: Workshop, tmp_path: Path) -> None:
    with machine.mounted(workshop.path("guests/enforcing/root.img"), tmp_path / "root", "-o", "loop,ro,noload") as root:
        assert machine.run("setfiles", "-n", "-v", "-F", "-r", root, root / _POLICY, root) == ""


def test_boots_once_and_is_what_the_list_says(proof: Proof) -> None:
    assert [f"{check.name}: {check.found}" for check in proof.checks if not check.passed] == []
    assert proof.session.console.count("Linux version") == 1


def test_enforces_its_policy(proof: Proof) -> None:
    assert proof.facts["mode"] == "Enforcing"
    assert proof.facts["to change"] == ""
    assert proof.facts["label of a page"] == "system_u:object_r:httpd_sys_content_t:s0"


def test_lets_people_in(proof: Proof) -> None:
    assert set(proof.facts["services"].split()) == {"active"}
    assert proof.facts["admin"].splitlines() == [_USER, "unconfined_u:object_r:user_home_t:s0"]
    assert proof.facts["root"].splitlines() == [_USER, "restarted"]
