"""A hypervisor is one module: no other file has to know of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline import guestlist, hypervisors
from pipeline.errors import ListError
from pipeline.guestlist.export.json_schema import json_schema
from pipeline.guestlist.export.reference import reference
from pipeline.tasks import guest as guests
from pipeline.tasks.site import Site
from tests.hypervisors.fake import Fake

pytestmark = pytest.mark.unit

LIST = """\
farm: tiny
masters: {debian: {tar: debian.tar}}
defaults: {master: debian, network: none, hypervisors: [xen, fake]}
guests:
  a: {fake: {slots: 3}}
  b: {}
"""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hypervisors.BY_NAME, "fake", Fake())


def write(folder: Path, text: str) -> Path:
    (folder / "debian.tar").touch()
    path = folder / "guests.yaml"
    path.write_text(text)
    return path


@pytest.mark.usefixtures("known")
def test_its_options_are_read_and_its_files_rendered(tmp_path: Path) -> None:
    farm = guestlist.load(write(tmp_path, LIST), hypervisors=hypervisors.BY_NAME)
    site = Site(farm, tmp_path / "build", tmp_path / "keys")
    made = {artifact.name: artifact for artifact in guests.configs(site)}
    assert made["a"].inputs["a.fake"] == f"guest a slots 3 disk {farm.images}/a/root.img\n"
    assert made["b"].inputs["b.slots"] == "1\n"
    assert {Path(target).name for target in made["a"].targets} >= {"a.cfg", "a.fake", "a.slots"}
    assert {need.hypervisor for need in farm.driver_needs} == {"xen", "fake"}


@pytest.mark.usefixtures("known")
def test_its_options_are_checked_and_documented(tmp_path: Path) -> None:
    with pytest.raises(ListError) as caught:
        guestlist.load(write(tmp_path, LIST.replace("slots: 3", "slots: 99")), hypervisors=hypervisors.BY_NAME)
    assert "slots" in str(caught.value)
    assert "fake" in json_schema(hypervisors.BY_NAME)["$defs"]["guest"]["properties"]
    assert "### `fake`" in reference(hypervisors.BY_NAME)


def test_a_module_in_the_package_is_enough(tmp_path: Path) -> None:
    package = tmp_path / "pipeline"
    shutil.copytree(Path(pipeline.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    source = Path(__file__).with_name("fake.py").read_text()
    (package / "hypervisors/fake.py").write_text(source + '\n\nFake.name, Fake.options = "fake", OPTIONS\n')
    program = "from pipeline.hypervisors import BY_NAME; print(*BY_NAME)"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()
    assert found == ["fake", "libvirt", "qemu", "vmware", "xen"]
