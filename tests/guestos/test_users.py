"""The users of guests in the files of their root disks, and the same by the tools that administrators use."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

from pipeline.errors import MasterError
from pipeline.guestos import homes
from pipeline.guestos.accounts import Accounts
from pipeline.image.layer.entries import Directory, Entry, File, Symlink, text
from pipeline.model.user import User
from tests.guestlist.test_users import ECDSA, ED25519, YESCRYPT
from tests.layers import PLAIN, contents, link, tree
from tests.machine import need_programs, need_root, run

pytestmark = pytest.mark.unit

LOGIN_DEFS = """\
UID_MIN 1000
UID_MAX 60000
GID_MIN 1000
GID_MAX 60000
PASS_MAX_DAYS 99999
PASS_MIN_DAYS 0
PASS_WARN_AGE 7
HOME_MODE 0700
USERGROUPS_ENAB yes
SUB_UID_MIN 100000
SUB_UID_COUNT 65536
SUB_GID_MIN 100000
SUB_GID_COUNT 65536
CREATE_HOME yes
"""
MASTER: tuple[Entry, ...] = (
    text("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nold:x:1000:1000:Old:/home/old:/bin/sh\n"),
    text("etc/shadow", "root:*:19000:0:99999:7:::\nold:!$6$x$y:19000:0:99999:7:::\n", mode=0o640),
    text("etc/group", "root:x:0:\nadm:x:4:old\nsudo:x:27:\nold:x:1000:\n"),
    text("etc/gshadow", "root:*::\nadm:*::old\nsudo:*::\nold:!::\n", mode=0o640),
    text("etc/subuid", "old:100000:65536\n"),
    text("etc/subgid", "old:100000:65536\n"),
    text("etc/login.defs", LOGIN_DEFS),
    text("etc/skel/.profile", "# skel\n"),
    Directory("etc/skel/.config", PLAIN),
    text("etc/skel/.config/secret", "", mode=0o600),
    link("etc/skel/.link", ".profile"),
    text("bin/bash", "", mode=0o755),
    text("bin/sh", "", mode=0o755),
    text("root/.keep", ""),
    text("home/old/.keep", ""),
    text("usr/bin/sudo", "", mode=0o4755),
    text("etc/sudoers", "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"),
)


def layer(*users: User, master: Iterable[Entry] = MASTER) -> list[Entry]:
    there = tree(*master)
    accounts = Accounts(there)
    accounts.add(users)
    return [*accounts.entries(), *homes.entries(users, accounts, there, Path.read_bytes)]


def lines(*users: User, master: Iterable[Entry] = MASTER) -> dict[str, list[str]]:
    """The lines of text that are new in each file."""
    before = contents(master)
    after = contents(layer(*users, master=master))
    return {
        path: [line for line in data.decode().splitlines() if line not in before.get(path, b"").decode().splitlines()]
        for path, data in after.items()
    }


def test_nobody_changes_nothing() -> None:
    assert layer() == []


def test_a_new_user() -> None:
    found = lines(User(name="admin"))
    assert found["etc/passwd"] == ["admin:x:1001:1001::/home/admin:/bin/bash"]
    assert found["etc/shadow"] == ["admin:*::0:99999:7:::"]
    assert found["etc/group"] == ["admin:x:1001:"]
    assert found["etc/gshadow"] == ["admin:!::"]
    assert found["etc/subuid"] == found["etc/subgid"] == ["admin:165536:65536"]


def test_a_new_user_s_home() -> None:
    about = {
        entry.path: entry.metadata
        for entry in layer(User(name="admin"))
        if isinstance(entry, File | Directory | Symlink) and entry.path.startswith("home")
    }
    assert {path: oct(each.mode) for path, each in about.items()} == {
        "home/admin": "0o700",
        "home/admin/.config": "0o755",
        "home/admin/.config/secret": "0o600",
        "home/admin/.link": "0o777",
        "home/admin/.profile": "0o644",
    }
    assert {(each.uid, each.gid) for each in about.values()} == {(1001, 1001)}


def test_the_files_keep_their_modes() -> None:
    modes = {entry.path: entry.metadata.mode for entry in layer(User(name="admin")) if isinstance(entry, File)}
    assert (modes["etc/shadow"], modes["etc/gshadow"], modes["etc/passwd"]) == (0o640, 0o640, 0o644)


def test_a_user_of_the_master_is_changed() -> None:
    user = User(name="old", shell=PurePosixPath("/bin/bash"), groups=("sudo", "adm"), comment="New", password=YESCRYPT)
    found = lines(user)
    assert found == {
        "etc/passwd": ["old:x:1000:1000:New:/home/old:/bin/bash"],
        "etc/shadow": [f"old:{YESCRYPT}::0:99999:7:::"],
        "etc/group": ["sudo:x:27:old"],
        "etc/gshadow": ["sudo:*::old"],
    }


def test_what_is_so_already_is_not_written() -> None:
    assert layer(User(name="old", groups=("adm",), shell=PurePosixPath("/bin/sh"), uid=1000)) == []


@pytest.mark.parametrize(
    ("before", "locked", "after"),
    [
        ("*:19000:0:99999:7:::", True, "!*:19000:0:99999:7::1:"),
        ("!x:19000:0:99999:7::1:", True, None),
        ("!x:19000:0:99999:7::1:", False, "x:19000:0:99999:7:::"),
        ("!:19000:0:99999:7::1:", False, "*:19000:0:99999:7:::"),
        (":19000::::::", False, "*:19000::::::"),
    ],
)
def test_locked(before: str, locked: bool, after: str | None) -> None:
    master = [*MASTER, text("etc/shadow", f"root:{before}\n")]
    found = lines(User(name="root", locked=locked), master=master)
    assert found.get("etc/shadow") == (None if after is None else [f"root:{after}"])


def test_numbers_are_the_first_free_ones_whatever_the_order() -> None:
    users = (User(name="a"), User(name="b", uid=1001), User(name="c", gid=1002), User(name="d", gid=4))
    found = lines(*users)["etc/passwd"]
    assert [line.split(":")[:4] for line in found] == [
        ["a", "x", "1003", "1003"],
        ["b", "x", "1001", "1001"],
        ["c", "x", "1004", "1002"],
        ["d", "x", "1005", "4"],
    ]


def test_a_group_of_the_same_name_is_the_user_s() -> None:
    assert lines(User(name="sudo"))["etc/passwd"] == ["sudo:x:1001:27::/home/sudo:/bin/bash"]


def test_a_master_without_shadow_passwords() -> None:
    master = [text("etc/passwd", "root::0:0::/root:/bin/sh\n"), text("bin/sh", ""), text("root/.keep", "")]
    found = layer(User(name="root", password=YESCRYPT), User(name="web"), master=master)
    files = {entry.path: entry for entry in found if isinstance(entry, File)}
    assert files["etc/passwd"].content.read() == b"root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n"
    assert files["etc/shadow"].content.read() == f"root:{YESCRYPT}:::::::\nweb:*:::::::\n".encode()
    assert files["etc/shadow"].metadata.mode == 0o600
    assert files["etc/group"].content.read() == b"web:x:1000:\n"


def test_keys() -> None:
    entries = layer(User(name="root", keys=(f"{ED25519} a\n{ECDSA}", f"{ED25519} a")))
    found = {entry.path: entry for entry in entries if isinstance(entry, File | Directory)}
    assert list(found) == ["root/.ssh", "root/.ssh/authorized_keys"]
    assert [entry.metadata.mode for entry in found.values()] == [0o700, 0o600]
    assert contents(entries)["root/.ssh/authorized_keys"].decode() == f"{ED25519} a\n{ECDSA}\n"


def test_no_keys_at_all_are_other_than_those_of_the_master() -> None:
    assert contents(layer(User(name="root", keys=())))["root/.ssh/authorized_keys"] == b""


def test_homes_that_are_symlinks() -> None:
    master = [*MASTER, Directory("data/home", PLAIN), link("home", "data/home")]
    paths = [entry.path for entry in layer(User(name="admin", keys=(ED25519,)), master=master)]
    assert "data/home/admin/.ssh/authorized_keys" in paths


def test_sudo_as_visudo_reads_it(tmp_path: Path) -> None:
    need_programs("visudo")
    users = (
        User(name="admin", sudo=("ALL=(ALL:ALL) ALL",)),
        User(name="web", sudo=("ALL=(ALL:ALL) NOPASSWD: ALL", "ALL=(www-data) /usr/bin/systemctl restart nginx")),
    )
    (file,) = (entry for entry in layer(*users) if entry.path == homes.SUDOERS)
    assert isinstance(file, File)
    assert file.metadata.mode == 0o440
    path = tmp_path / "sudoers"
    path.write_bytes(file.content.read())
    path.chmod(0o440)
    assert "parsed OK" in run("visudo", "-cf", path)
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (User(name="a", groups=("sudoo",)), "user 'a': there is no group 'sudoo'; did you mean 'sudo'?"),
        (User(name="a", shell=PurePosixPath("/bin/zsh")), "user 'a': there is no /bin/zsh; install it in the master"),
        (User(name="old", uid=7), "user 'old': the master has it already, and its number is 1000, not 7"),
        (User(name="old", gid=7), "user 'old': the master has it already, and its first group's number is 1000, not 7"),
        (User(name="a", uid=1000), "user 'a': the master has another user with the number 1000"),
        (User(name="sudo", gid=7), "user 'sudo': the master has a group of that name, whose number is 27, not 7"),
        (User(name="a", keys=(Path("/none.pub"),)), "user 'a': /none.pub cannot be read: No such file or directory"),
    ],
)
def test_what_the_master_lacks(user: User, message: str) -> None:
    with pytest.raises(MasterError) as caught:
        layer(user)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("path", "without", "message"),
    [
        ("usr/bin/sudo", True, "users have sudo: rules, and the master has no sudo"),
        ("etc/sudoers", False, "users have sudo: rules, and the master's /etc/sudoers does not read /etc/sudoers.d"),
        ("etc/passwd", False, "the master has no users"),
    ],
)
def test_masters_that_lack_it(path: str, without: bool, message: str) -> None:
    master = [entry for entry in MASTER if entry.path != path] + ([] if without else [text(path, "# nothing\n")])
    with pytest.raises(MasterError, match=message):
        layer(User(name="a", sudo=("ALL=ALL",)), master=master)


@pytest.fixture
def root_file_system(tmp_path: Path) -> Path:
    """The master as a folder, with its users and groups as they should be."""
    need_root()
    folder = tmp_path / "root"
    for entry in MASTER:
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, File):
            path.write_bytes(entry.content.read())
            path.chmod(entry.metadata.mode)
        elif isinstance(entry, Symlink):
            path.symlink_to(entry.target)
    return folder


def test_new_users_are_as_useradd_makes_them(root_file_system: Path) -> None:
    need_programs("useradd")
    (root_file_system / "etc/default").mkdir()
    (root_file_system / "etc/default/useradd").write_text("SHELL=/bin/bash\n")
    useradd = ("useradd", "--prefix", root_file_system, "-m", "-k", root_file_system / "etc/skel")
    run(*useradd, "admin")
    run(
        *useradd,
        *["-u", "2000", "-c", "Web", "-d", "/home/www", "-s", "/bin/sh", "-G", "adm,sudo", "-p"],
        YESCRYPT,
        "web",
    )
    ours = layer(
        User(name="admin", password="!"),  # useradd's, which keeps SSH keys out, too
        User(
            name="web",
            uid=2000,
            comment="Web",
            home=PurePosixPath("/home/www"),
            shell=PurePosixPath("/bin/sh"),
            groups=("adm", "sudo"),
            password=YESCRYPT,
        ),
    )
    files = contents(ours)
    for name in ("passwd", "group", "gshadow", "subuid", "subgid"):
        assert files[f"etc/{name}"].decode() == (root_file_system / "etc" / name).read_text(), name
    theirs = [line.split(":") for line in (root_file_system / "etc/shadow").read_text().splitlines()]
    without_day = [[*fields[:2], fields[2] if fields[0] in ("root", "old") else "", *fields[3:]] for fields in theirs]
    assert files["etc/shadow"].decode().splitlines() == [":".join(fields) for fields in without_day]
    paths = [path for path in (root_file_system / "home").rglob("*") if not path.is_symlink()]
    made = {
        str(path.relative_to(root_file_system)): (path.stat().st_mode & 0o7777, path.stat().st_uid, path.stat().st_gid)
        for path in paths
    }
    about = {
        entry.path: (entry.metadata.mode, entry.metadata.uid, entry.metadata.gid)
        for entry in ours
        if isinstance(entry, File | Directory) and entry.path.startswith("home/")
    }
    assert about == {path: facts for path, facts in made.items() if not path.startswith("home/old")}


def test_pwck_and_grpck_find_nothing_wrong(root_file_system: Path) -> None:
    need_programs("pwck", "grpck")
    users = (User(name="admin", groups=("adm",)), User(name="old", password=YESCRYPT), User(name="root", locked=True))
    for entry in layer(*users):
        path = root_file_system / entry.path
        if isinstance(entry, File):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.content.read())
    run("grpck", "--root", root_file_system, "--read-only")
    run("pwck", "--root", root_file_system, "--read-only")
