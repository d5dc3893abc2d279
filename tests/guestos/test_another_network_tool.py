"""A network tool is one module with a TOOL: no other file has to know of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.guestos import network
from pipeline.guestos.distribution import Distribution
from pipeline.guestos.network.tool import NetworkTool
from pipeline.image.layer.entries import text
from pipeline.model.master import Family
from tests.guests import guest
from tests.layers import contents, file, rooted

pytestmark = pytest.mark.unit

SYSTEM = Distribution(Family.GENERIC, systemd=False)
OWN = NetworkTool(
    name="netifd",
    preference=5,
    is_in=lambda tree: tree.exists("sbin/netifd"),
    entries=lambda guest, _: iter([text("etc/config/network", f"{guest.nics[0].mac}\n")]),
)


def test_it_is_asked_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "TOOLS", [OWN, *network.TOOLS])
    both = rooted(file("sbin/netifd", b""), file("sbin/ifup", b""), file("etc/network/interfaces", b""))
    assert contents(network.entries(guest(), both, SYSTEM)) == {
        "etc/config/network": f"{guest().nics[0].mac}\n".encode()
    }


def test_a_module_in_the_package_is_enough(tmp_path: Path) -> None:
    package = tmp_path / "pipeline"
    shutil.copytree(Path(pipeline.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    ifcfg = (package / "guestos/network/ifcfg.py").read_text()
    own = ifcfg.replace('TOOL = NetworkTool(name="ifcfg"', 'TOOL = NetworkTool(name="netifd"')
    (package / "guestos/network/netifd.py").write_text(own)
    program = "from pipeline.guestos import network; print(*(tool.name for tool in network.TOOLS))"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    assert found == ["ifupdown", "netplan", "wicked", "ifcfg", "netifd", "networkmanager", "networkd"]
