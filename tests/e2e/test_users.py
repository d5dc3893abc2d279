"""Users in built root disks: what makes them stale, and what is said of them elsewhere."""

import json
from pathlib import Path

import pytest

from pipeline.image import ext
from tests.e2e.conftest import Workshop
from tests.guestlist.test_users import ECDSA, ED25519, YESCRYPT

USERS = f"users: {{root: {{keys: root.pub, password: {YESCRYPT}}}}}"


@pytest.fixture
def farm(workshop: Workshop) -> Workshop:
    """A farm whose defaults have root's keys; deb01 has a user more."""
    workshop.change_list("swap: 1M", USERS)
    workshop.change_list("deb01: {", f'deb01: {{users: {{web: {{keys: "{ED25519}"}}}}, ')
    (workshop.folder / "root.pub").write_text(f"{ED25519}\n")
    workshop.doit()
    return workshop


def read(workshop: Workshop, guest: str, path: str) -> str:
    with ext.open(workshop.path(f"guests/{guest}/root.img"), write=False) as filesystem:
        return filesystem.read(path).decode()


def roots(workshop: Workshop) -> list[str]:
    return [task for task in workshop.doit().executed if task.startswith("root:")]


def test_users_are_in_the_root_disk(farm: Workshop) -> None:
    assert read(farm, "deb01", "etc/passwd") == "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n"
    assert read(farm, "deb02", "etc/passwd") == "root:x:0:0:root:/root:/bin/sh\n"
    assert read(farm, "deb02", "etc/shadow") == f"root:{YESCRYPT}::0:99999:7:::\n"
    assert read(farm, "deb01", "root/.ssh/authorized_keys") == f"{ED25519}\n"
    with ext.open(farm.path("guests/deb01/root.img"), write=False) as filesystem:
        assert filesystem.owner("home/web/.ssh/authorized_keys") == (1000, 1000)
        assert filesystem.mode("home/web/.ssh/authorized_keys") == 0o100600
        assert filesystem.mode("etc/shadow") == 0o100644  # as in this master


def test_what_changed_makes_exactly_its_guests_stale(farm: Workshop) -> None:
    assert farm.doit().executed == []
    (farm.folder / "root.pub").write_text(f"{ED25519}\n# and nothing else\n")
    assert farm.doit().executed == []
    (farm.folder / "root.pub").write_text(f"{ED25519}\n{ECDSA}\n")
    assert len(roots(farm)) == 5
    farm.change_list("{web: {", "{web: {uid: 2000, ")
    assert roots(farm) == ["root:deb01"]
    farm.change_list("{web: {uid", "{root: {shell: /bin/sh}, web: {uid")
    assert roots(farm) == ["root:deb01"]


def test_hashes_are_said_nowhere(farm: Workshop) -> None:
    farm.doit("manifest", "deb01")
    manifest = json.loads(farm.path("guests/deb01/manifest.json").read_text())
    assert "web" in json.dumps(manifest)
    farm.change_list("$y$j9T$F5", "$y$j9T$F6")
    info = farm.doit("info", "root:deb01", check=False).output
    assert "user root changed" in info
    for text in (json.dumps(manifest), info, *(path.read_text() for path in farm.path("logs").rglob("*.log"))):
        assert "$y$" not in text


def test_a_file_that_went_away_is_a_mistake_in_the_list(farm: Workshop) -> None:
    Path(farm.folder / "root.pub").unlink()
    run = farm.doit(check=False)
    assert run.code == 2
    assert "defaults: users.root.keys: 'root.pub' cannot be read: No such file or directory" in run.output


def test_what_the_master_lacks_is_one_line(farm: Workshop) -> None:
    farm.change_list("{web: {", "{web: {groups: [wheel], ")
    run = farm.doit(check=False)
    assert "master 'debian': user 'web': there is no group 'wheel'; install in the master what brings it" in run.output
