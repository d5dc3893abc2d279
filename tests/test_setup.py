"""The set-up: what the Makefile and its script do on machines that lack this or that, and what the lock file holds."""

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
PYTHON = ".".join(map(str, sys.version_info[:2]))


class Machine:
    """A folder of fake programs, the only ones besides a shell's usual ones, and a log of the calls that matter."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        self.log.touch()
        for program in ("cat", "cut", "rm", "mkdir", "cp", "chmod", "touch", "env", "sh", "make"):
            (self.bin / program).symlink_to(shutil.which(program) or f"/bin/{program}")

    def add(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def add_logged(self, name: str, script: str = "") -> None:
        self.add(name, f'echo {name} "$*" >>{shlex.quote(str(self.log))}\n{script}')

    def run(self, *argv: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.bin)}
        return subprocess.run(argv, cwd=cwd, env=environment, text=True, capture_output=True, check=False)

    def calls(self) -> list[str]:
        """The logged calls since the last time."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines


# --- packages.sh ---


@pytest.fixture
def debian(tmp_path: Path) -> Machine:
    """Root's Debian with Python and its venv, where e2fsprogs is installed and xfsprogs was removed."""
    machine = Machine(tmp_path)
    machine.add("python3", "exit 0")
    machine.add("id", "echo 0")
    machine.add("dpkg-query", "printf 'e2fsprogs:installed xfsprogs:config-files '; exit 1")
    machine.add_logged("apt-get")
    return machine


def packages(machine: Machine, *pairs: str) -> subprocess.CompletedProcess[str]:
    return machine.run("/bin/sh", "setup/packages.sh", "python3", *pairs)


def test_nothing_is_said_or_done_when_nothing_is_missing(debian: Machine) -> None:
    result = packages(debian, "e2fsprogs:mke2fs")
    assert (result.returncode, result.stdout, result.stderr, debian.calls()) == (0, "", "", [])


def test_root_installs_what_is_missing_and_no_more(debian: Machine) -> None:
    result = packages(debian, "e2fsprogs:mke2fs", "xfsprogs:mkfs.xfs", "cpio:cpio")
    assert result.returncode == 0
    assert debian.calls() == ["apt-get update", "apt-get install -y --no-install-recommends xfsprogs cpio"]


def test_a_failed_update_does_not_stop_the_installation(debian: Machine) -> None:
    debian.add_logged("apt-get", '[ "$1" != update ]')
    assert packages(debian, "cpio:cpio").returncode == 0
    assert debian.calls() == ["apt-get update", "apt-get install -y --no-install-recommends cpio"]


def test_a_failed_installation_is_a_failure(debian: Machine) -> None:
    debian.add("apt-get", "exit 100")
    assert packages(debian, "cpio:cpio").returncode != 0


def test_pythons_venv_is_a_package_of_its_own(debian: Machine) -> None:
    debian.add("python3", 'case "$*" in *ensurepip*) exit 1;; esac')
    packages(debian, "e2fsprogs:mke2fs")
    assert debian.calls()[1] == "apt-get install -y --no-install-recommends python3-venv"


def test_sudo_is_used_when_it_asks_for_no_password(debian: Machine) -> None:
    debian.add("id", "echo 1000")
    debian.add("sudo", '[ "$1" = -n ] && shift && exec "$@"')
    debian.add("true", "exit 0")
    assert packages(debian, "cpio:cpio").returncode == 0
    assert len(debian.calls()) == 2


@pytest.mark.parametrize(("has_sudo", "prefix"), [(True, "sudo sh -c"), (False, "su - -c")])
def test_an_ordinary_user_gets_one_command_to_run(debian: Machine, has_sudo: bool, prefix: str) -> None:
    debian.add("id", "echo 1000")
    if has_sudo:
        debian.add("sudo", "exit 1")
    result = packages(debian, "cpio:cpio")
    assert result.returncode != 0
    assert debian.calls() == []
    command = "apt-get update; apt-get install -y --no-install-recommends cpio"
    assert result.stderr.splitlines()[1:] == [f"    {prefix} '{command}'"]


def test_without_apt_get_it_names_missing_programs_and_files(debian: Machine) -> None:
    (debian.bin / "apt-get").unlink()
    debian.add("cpio", "")
    pairs = ("none:no-such-program", "cpio:cpio", "none:/no/such/file", f"some:{ROOT}/pyproject.toml")
    result = packages(debian, *pairs)
    assert result.returncode != 0
    assert result.stderr.endswith("no apt-get to install it: no-such-program, /no/such/file\n")
    assert packages(debian, "cpio:cpio").returncode == 0


@pytest.mark.parametrize(("python", "message"), [(None, "not found"), ("echo Python 3.9.2; exit 2", "Python 3.9.2")])
def test_a_python_too_old_or_absent_is_said_first(debian: Machine, python: str | None, message: str) -> None:
    (debian.bin / "python3").unlink()
    if python:
        debian.add("python3", python)
    result = packages(debian, "cpio:cpio")
    assert result.returncode != 0
    assert debian.calls() == []
    assert message in result.stderr
    assert "3.11 or newer" in result.stderr


@pytest.mark.parametrize(("kernels", "wanted"), [("", True), ("/boot/vmlinuz-6.1", False)])
def test_a_kernel_is_installed_for_the_tests_only_where_there_is_none(kernels: str, wanted: bool) -> None:
    for target, packages in (("test", wanted), ("setup", False)):
        argv = ("make", "--dry-run", "packages", target, f"KERNELS={kernels}")
        completed = subprocess.run(argv, cwd=ROOT, text=True, capture_output=True, check=True)
        assert ("linux-image-cloud-amd64:" in completed.stdout) == packages


# --- the Makefile's .venv ---

FAKE_PYTHON = """
case "$*" in
    *"import os, sys"*) echo "3.11 $PWD" ;;
    "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp {pip} .venv/bin/python ;;
esac
"""
NEW = ["python3 -m venv --clear .venv", "pip lock", "pip project"]
UPDATED = ["pip lock", "pip project"]


class Checkout:
    """A copy of the Makefile and its like in a folder with blanks in its name, on a machine that lacks nothing."""

    def __init__(self, tmp_path: Path) -> None:
        self.machine = Machine(tmp_path)
        self.folder = tmp_path / "a  farm"
        shutil.copytree(ROOT / "setup", self.folder / "setup")
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder)
        self.machine.add("dpkg-query", "printf 'e2fsprogs:installed '")
        self.machine.add("apt-get", "exit 1")
        self.network(up=True)

    def network(self, *, up: bool) -> None:
        pip = self.machine.bin / "pip"
        self.machine.add_logged(pip.name, "exit 0" if up else "exit 1")
        self.machine.add_logged("python3", FAKE_PYTHON.format(pip=shlex.quote(str(pip))))
        if (self.folder / ".venv/bin").is_dir():
            shutil.copy(pip, self.folder / ".venv/bin/python")

    def setup(self, *arguments: str) -> list[str]:
        """What `make setup` did to the .venv, told briefly."""
        argv = ("make", "--silent", "setup", "BUILD_PACKAGES=e2fsprogs:mke2fs", *arguments)
        self.result = self.machine.run(*argv, cwd=self.folder)
        brief = {"--require-hashes -r requirements.lock": "pip lock", "--no-build-isolation -e .": "pip project"}
        calls = [call for call in self.machine.calls() if " -c " not in call]
        return [next((name for end, name in brief.items() if call.endswith(end)), call) for call in calls]

    def make_newer(self, name: str) -> None:
        later = (self.folder / ".venv/set-up").stat().st_mtime + 1
        os.utime(self.folder / name, (later, later))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_venv_is_made_once(checkout: Checkout) -> None:
    assert checkout.setup() == NEW
    assert checkout.result.returncode == 0, checkout.result.stderr
    assert checkout.setup() == []
    assert checkout.result.stdout + checkout.result.stderr == ""


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_venv_is_updated_when_its_recipe_changed(checkout: Checkout, name: str) -> None:
    checkout.setup()
    checkout.make_newer(name)
    assert checkout.setup() == UPDATED


def test_half_made_venv_is_made_anew(checkout: Checkout) -> None:
    checkout.network(up=False)
    assert checkout.setup() == NEW[:2]
    assert checkout.result.returncode != 0
    checkout.network(up=True)
    assert checkout.setup() == NEW
    assert checkout.setup() == []


def test_half_updated_venv_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    checkout.make_newer("requirements.lock")
    checkout.network(up=False)
    assert checkout.setup() == UPDATED[:1]
    checkout.network(up=True)
    assert checkout.setup() == NEW


def test_venv_of_another_place_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved $(touch harm) it's"))
    assert checkout.setup() == NEW
    assert checkout.setup() == []
    assert not (checkout.folder / "harm").exists()


def test_venv_whose_python_went_is_made_anew(checkout: Checkout) -> None:
    checkout.setup()
    python = checkout.folder / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/no/such/python")
    assert checkout.setup() == NEW


def test_dry_run_changes_nothing(checkout: Checkout) -> None:
    assert checkout.setup("--dry-run") == []
    assert not (checkout.folder / ".venv").exists()


# --- the lock file ---


def pins() -> dict[str, Requirement]:
    lines = LOCK.replace("\\\n", "").splitlines()
    requirements = [Requirement(line.split("--hash=")[0]) for line in lines if line and line.strip()[0] != "#"]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def applies(marker: Marker | None, python: str) -> bool:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    return marker is None or marker.evaluate({key: str(value) for key, value in environment.items()})


def assert_is_locked(requirement: Requirement) -> None:
    for python in PYTHONS:
        if applies(requirement.marker, python):
            pin = pins()[canonicalize_name(requirement.name)]
            assert applies(pin.marker, python), f"{pin} is not installed for Python {python}"
            assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True)


def test_lock_pins_exactly_and_by_hash() -> None:
    for pin in LOCK.replace("\\\n", "").split("\n"):
        if pin and not pin.strip().startswith("#"):
            assert re.fullmatch(r"[a-z0-9.-]+==[0-9.]+( ; [^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", pin), pin


def test_lock_names_no_host_and_no_folder() -> None:
    assert not re.search(r"://|(^|\s)/|--(?!hash=)", LOCK)


@pytest.mark.parametrize(
    "text",
    [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["dev"],
        *PROJECT["build-system"]["requires"],
    ],
)
def test_lock_has_what_the_project_asks_for(text: str) -> None:
    assert_is_locked(Requirement(text))


@pytest.mark.parametrize("name", [name for name, pin in pins().items() if applies(pin.marker, PYTHON)])
def test_lock_has_what_its_packages_ask_for_on_every_python(name: str) -> None:
    package = importlib.metadata.distribution(name)
    for text in package.requires or ():
        assert_is_locked(Requirement(text))
    wanted = SpecifierSet(",".join(package.metadata.get_all("Requires-Python", [])))
    assert [python for python in PYTHONS if applies(pins()[name].marker, python) and python not in wanted] == []
