"""Two guests of one network talk to each other by SSH, and trust each other's host keys before they ever met."""

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import guestlist
from pipeline.boottest.boot import Place, Proof, run
from pipeline.hypervisors import BY_NAME
from pipeline.qemu.session import Limits
from tests import machine
from tests.boot import masters, qemu
from tests.e2e.conftest import ROOT, Workshop

_LIST = """\
    farm: pair
    masters:
      networkd: {tar: networkd.tar}
    defaults: {master: networkd, memory: 512M, network: {bridge: xenbr0}, extra: quiet}
    roles:
      client: {files: {/root/.ssh/id_ed25519: {source: client, mode: "0600"}}}
    guests:
      client: {address: 10.0.0.41/24, roles: client}
      server: {address: 10.0.0.42/24, users: {admin: {keys: client.pub}}}
"""
_SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=5 -o UserKnownHostsFile={known_hosts}"
    " admin@10.0.0.42 'id -un; hostname'"
)
_TRIES = "for try in $(seq 1000); do {command} && break; sleep 2; done"


@pytest.fixture(scope="module")
def pair(example: Workshop, scratch: Path) -> Mapping[str, Proof]:
    """A client that logs in to a server, once both are up; they run at the same time, on one wire."""
    machine.need_programs("qemu-system-x86_64", "ssh-keygen")
    workshop = Workshop(scratch / "pair")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    masters.write_networkd(example.path("masters/debian/rootfs.tar"), workshop.folder / "networkd.tar")
    machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", workshop.folder / "client")
    workshop.write_list(_LIST)
    workshop.doit()
    told = workshop.path("known_hosts").read_text()
    own = {line.split()[1]: line.split()[2] for line in told.splitlines() if line.startswith("client")}
    other = "".join(f"10.0.0.42 {kind} {key}\n" for kind, key in own.items())
    facts = {
        "client": {
            "with another key": _try(other, "2>&1 | grep -m 1 'Host key verification failed'"),
            "with the key that was told": _try(told, ""),
        },
        "server": {"logins": _TRIES.format(command="journalctl -q -b | grep -m 1 'Accepted publickey for admin'")},
    }
    with ThreadPoolExecutor(2) as pool:
        proofs = pool.map(lambda name: _boot(workshop, scratch, name, facts[name]), facts)
        return dict(zip(facts, proofs, strict=True))


def _try(known_hosts: str, rest: str) -> str:
    command = f"{_SSH.format(known_hosts='/tmp/known_hosts')} {rest}"
    return f"printf '%s' '{known_hosts}' >/tmp/known_hosts; {_TRIES.format(command=command)}"


def _boot(workshop: Workshop, scratch: Path, name: str, facts: Mapping[str, str]) -> Proof:
    guest = guestlist.load(workshop.folder / "guests.yaml", hypervisors=BY_NAME).guests[name]
    powered = qemu.read(workshop.path(f"guests/{name}/{name}.cfg")).machine(guest)
    (peer,) = {"client", "server"} - {name}
    ends = {"local": scratch / f"{name}.wire", "remote": scratch / f"{peer}.wire"}
    wire = ",".join(["dgram", *(f"{end}.type=unix,{end}.path={path}" for end, path in ends.items())])
    cards = [replace(card, network=wire) for card in powered.cards]
    place = Place(scratch / f"pair-{name}", scratch / f"pair-{name}.log")
    return run(guest, replace(powered, cards=cards), place, Limits(qemu.DEADLINE), more=facts)


def told(proof: Proof, fact: str) -> str:
    assert proof.facts, proof.session.console
    return proof.facts[fact]


def test_the_client_logs_in(pair: Mapping[str, Proof]) -> None:
    assert told(pair["client"], "with the key that was told").splitlines()[-2:] == ["admin", "server"]


def test_it_does_so_by_its_key(pair: Mapping[str, Proof]) -> None:
    assert "Accepted publickey for admin from 10.0.0.41" in told(pair["server"], "logins")


def test_it_does_not_trust_another_host_key(pair: Mapping[str, Proof]) -> None:
    assert "Host key verification failed" in told(pair["client"], "with another key")
