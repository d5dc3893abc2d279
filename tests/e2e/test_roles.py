"""Roles and files in built root disks: what is where, and what makes exactly which guests stale."""

from pathlib import Path

import pytest

from pipeline.errors import GuestfarmError
from pipeline.image import ext
from pipeline.inputs.tree import walk
from tests.e2e.conftest import Workshop


@pytest.fixture
def farm(workshop: Workshop) -> Workshop:
    """deb01 has two roles and a file of its own, deb02 one role, the others none."""
    workshop.change_list(
        "guests:\n",
        "roles:\n"
        "  base: {tree: base, files: {/etc/motd: base}}\n"
        "  web: {files: {/etc/motd: web, /etc/app.conf: {source: app.conf, mode: 0640, owner: web, group: adm}}}\n"
        "guests:\n",
    )
    own = 'users: {web: {}}, roles: [base, web], files: {/etc/own: {text: "mine\\n", mode: "4755"}}'
    workshop.change_list("deb01: {", f"deb01: {{{own}, ")
    workshop.change_list("deb02: {", "deb02: {roles: base, ")
    for name, text in {"base/usr/local/bin/hello": "#!/bin/sh\n", "base/etc/new/a": "a\n", "app.conf": "app\n"}.items():
        path = workshop.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (workshop.folder / "base/usr/local/bin/hello").chmod(0o775)
    (workshop.folder / "base/etc/new/link").symlink_to("a")
    (workshop.folder / "base/etc/secret").write_text("")
    (workshop.folder / "base/etc/secret").chmod(0o600)
    workshop.doit()
    return workshop


def status(workshop: Workshop, guest: str, path: str) -> tuple[str, str, tuple[int, int] | None]:
    with ext.open(workshop.path(f"guests/{guest}/root.img"), write=False) as filesystem:
        mode = (filesystem.mode(path) or 0) & 0o7777
        return filesystem.read(path).decode(), f"{mode:04o}", filesystem.owner(path)


def exists(workshop: Workshop, guest: str, path: str) -> bool:
    with ext.open(workshop.path(f"guests/{guest}/root.img"), write=False) as filesystem:
        return filesystem.exists(path)


def roots(workshop: Workshop) -> list[str]:
    return [task for task in workshop.doit().executed if task.startswith("root:")]


def test_what_is_where(farm: Workshop) -> None:
    assert status(farm, "deb01", "etc/motd")[0] == "web", "the later role wins"
    assert status(farm, "deb02", "etc/motd")[0] == "base"
    assert status(farm, "web01", "etc/motd")[0] == "welcome\n"
    assert status(farm, "deb01", "etc/app.conf") == ("app\n", "0640", (1000, 4))
    assert status(farm, "deb01", "etc/own") == ("mine\n", "4755", (0, 0))
    assert status(farm, "deb02", "usr/local/bin/hello") == ("#!/bin/sh\n", "0755", (0, 0))
    assert status(farm, "deb02", "etc/secret") == ("", "0600", (0, 0))
    assert status(farm, "deb02", "etc/new/link")[0] == "a\n"


def test_a_changed_file_makes_exactly_its_guests_stale(farm: Workshop) -> None:
    assert farm.doit().executed == []
    (farm.folder / "app.conf").write_text("other\n")
    assert roots(farm) == ["root:deb01"]
    (farm.folder / "base/etc/new/a").write_text("b\n")
    assert roots(farm) == ["root:deb01", "root:deb02"]
    (farm.folder / "base/etc/new/a").chmod(0o664)
    assert farm.doit().executed == [], "as for git, that is the same"
    assert status(farm, "deb02", "etc/new/a")[0] == "b\n"


def test_what_a_role_brought_goes_with_it(farm: Workshop) -> None:
    farm.change_list("deb02: {roles: base, ", "deb02: {")
    assert roots(farm) == ["root:deb02"]
    assert not exists(farm, "deb02", "etc/new/a")
    assert status(farm, "deb02", "etc/motd")[0] == "welcome\n"


def test_an_owner_that_nobody_is(farm: Workshop) -> None:
    farm.change_list("owner: web", "owner: wbe")
    run = farm.doit(check=False)
    assert "file /etc/app.conf: there is no user 'wbe'; did you mean 'web'?" in run.output


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("roles: base, ", "roles: bsae, ", "guest 'deb02': roles: there is no role 'bsae'; did you mean 'base'?"),
        ("tree: base", "tree: bsae", "role 'base': tree: 'bsae' cannot be read: Not a directory"),
        ("app.conf, mode", "none.conf, mode", "files.'/etc/app.conf'.source: 'none.conf' cannot be read: No such file"),
        ("/etc/own:", "etc/own:", "files.'etc/own': expected an absolute path without '..', found 'etc/own'"),
        ("/etc/own:", "/etc/../own:", "expected an absolute path without '..', found '/etc/../own'"),
        ("/etc/own:", "/:", "files.'/': expected the path of a file, found '/'"),
        ('mode: "4755"', "mode: rwx", "mode: expected a mode like 0644, found 'rwx'; three or four octal digits"),
        (
            '{text: "mine\\n", mode: "4755"}',
            "{mode: 0644}",
            "it is one thing: a file with a text, a source or a template, a directory, a symlink, or absent",
        ),
    ],
)
def test_bad_lists(farm: Workshop, old: str, new: str, problem: str) -> None:
    farm.change_list(old, new)
    run = farm.doit(check=False)
    assert run.code == 2
    assert problem in run.output


def test_trees_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc/link"
    for target in ("../../outside", "../..", "a/../../../b"):
        link.symlink_to(target)
        walk.cache_clear()
        with pytest.raises(GuestfarmError, match="leads out of the tree"):
            walk(tmp_path)
        link.unlink()
    link.symlink_to("/etc/passwd")
    walk.cache_clear()
    assert [(item.path, item.data, item.target) for item in walk(tmp_path)] == [
        ("etc", None, None),
        ("etc/link", None, "/etc/passwd"),
    ]


def test_folders_that_are_symlinks_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/etc").symlink_to(tmp_path / "outside")
    assert [item.path for item in walk(tmp_path / "tree")] == ["etc"]


UNIT = "[Install]\nWantedBy=multi-user.target\n"
SYSTEMD: dict[str, bytes | None] = {
    **dict.fromkeys(["usr/lib", "usr/lib/systemd", "usr/lib/systemd/system", "etc/systemd", "etc/systemd/system"]),
    "usr/lib/systemd/systemd": b"",
    "usr/lib/systemd/system/nginx.service": UNIT.encode(),
    "usr/lib/systemd/system/cron.service": UNIT.encode(),
}
WANTS = "etc/systemd/system/multi-user.target.wants"


@pytest.fixture
def units(workshop: Workshop) -> Workshop:
    """deb01 has a role with units, of which one comes with the role, and units of its own; deb02 has the role."""
    workshop.write_master(SYSTEMD)
    workshop.change_list(
        "guests:\n",
        f"roles:\n  web:\n    files: {{/etc/systemd/system/app.service: {UNIT!r}}}\n".replace("'", '"')
        + "    units: {enable: [nginx, app.service], mask: getty@tty1.service}\n"
        "guests:\n",
    )
    workshop.change_list("deb01: {", "deb01: {roles: web, units: {enable: cron, mask: nginx}, ")
    workshop.change_list("deb02: {", "deb02: {roles: web, ")
    return workshop


def leads_to(workshop: Workshop, guest: str, path: str) -> str | None:
    with ext.open(workshop.path(f"guests/{guest}/root.img"), write=False) as filesystem:
        return filesystem.readlink(path)


def test_units(units: Workshop) -> None:
    units.doit()
    assert leads_to(units, "deb02", f"{WANTS}/nginx.service") == "/usr/lib/systemd/system/nginx.service"
    assert leads_to(units, "deb02", f"{WANTS}/app.service") == "/etc/systemd/system/app.service"
    assert leads_to(units, "deb02", "etc/systemd/system/getty@tty1.service") == "/dev/null"
    assert leads_to(units, "deb01", "etc/systemd/system/nginx.service") == "/dev/null", "the guest's own word counts"
    assert leads_to(units, "deb01", f"{WANTS}/cron.service")
    assert not exists(units, "deb01", f"{WANTS}/nginx.service")
    assert not exists(units, "web01", f"{WANTS}/nginx.service")
    units.change_list("enable: [nginx, app.service]", "enable: [app.service]")
    why = units.doit("why", "root:deb02").output
    assert "unit nginx.service is not enabled any more" in why
    assert roots(units) == ["root:deb02"]
    assert not exists(units, "deb02", f"{WANTS}/nginx.service")
    units.change_list("mask: getty@tty1.service", "mask: [getty@tty1.service, cron]")
    assert "unit cron.service masked" in units.doit("why", "root:deb02").output
    assert roots(units) == ["root:deb02"], "deb01 has it enabled"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "enable: cron",
            "enable: corn",
            "guest 'deb01': unit 'corn.service': there is no such unit; did you mean 'cron.",
        ),
        ("enable: [nginx,", "enable: [ngnix,", "role 'web': unit 'ngnix.service': there is no such unit; did you mean"),
        (
            "mask: getty@tty1.service",
            "mask: app",
            "units.mask: 'app.service' is under enable: as well; a unit is in one",
        ),
        (
            "enable: cron",
            "enable: /etc/x",
            "units.enable: expected the name of a unit like nginx.service, found '/etc/x'",
        ),
        ("enable: cron", "start: cron", "units: unknown key 'start'; known: enable, disable, mask"),
        ("enable: cron", "mask: app, enable: cron", "units.mask: given twice; the first is in line"),
    ],
)
def test_bad_units(units: Workshop, old: str, new: str, problem: str) -> None:
    units.change_list(old, new)
    run = units.doit("root:deb01", check=False)
    assert problem in run.output


def test_everything_that_is_wrong_at_once(units: Workshop) -> None:
    units.change_list("enable: [nginx, app.service]", "enable: [ngnix, app.service, redis]")
    units.change_list("enable: cron", "enable: corn")
    run = units.doit("root:deb01", check=False)
    assert run.output.partition("failed:")[0].splitlines()[-4:] == [
        "x  root:deb01: master 'debian': guest 'deb01': unit 'corn.service': there is no such unit; did you mean"
        " 'cron.service'?",
        "  master 'debian': role 'web': unit 'ngnix.service': there is no such unit; did you mean 'nginx.service'?",
        "  master 'debian': role 'web': unit 'redis.service': there is no such unit;"
        " install in the master what brings it",
        "",
    ]
    units.change_list("enable: corn", "enable: cron")
    units.change_list("mask: nginx}, ", "mask: nginx}, files: {/etc: a, /etc/b: {text: b, owner: me}, /etc/c: c}, ")
    output = units.doit("root:deb01", check=False).output
    assert "file /etc: there is a directory" in output
    assert "file /etc/b: there is no user 'me'" in output
    assert "file /etc/c" not in output
    units.change_list("mask: nginx}, ", "mask: nginx}, users: {me: {shell: /bin/zsh}, you: {groups: [us]}, they: {}}, ")
    output = units.doit("root:deb01", check=False).output
    assert "user 'me': there is no /bin/zsh" in output
    assert "user 'you': there is no group 'us'" in output
    assert "user 'they'" not in output


def test_units_without_systemd(units: Workshop) -> None:
    units.write_master()
    run = units.doit("root:deb02", check=False)
    assert "role 'web': unit 'nginx.service': there is no systemd in the master" in run.output


@pytest.fixture
def kinds(workshop: Workshop) -> Workshop:
    """deb01 has a role with everything that files: may put or remove, and more of its own."""
    workshop.write_master(
        {
            **dict.fromkeys(["var", "var/cache", "var/cache/app", "srv", "srv/empty", "data", "etc/init"]),
            "var/cache/app/a": b"a",
            "etc/init/x": b"x",
        }
    )
    workshop.change_list(
        "guests:\n",
        "roles:\n"
        "  web:\n"
        "    files:\n"
        "      /srv/www: {directory: true, mode: 0750, owner: web, group: adm}\n"
        "      /srv/www/link: {link: ../target, owner: web}\n"
        "      /srv/empty: {link: /data}\n"
        "      /etc/motd: {absent: true}\n"
        "      /etc/hostname: {absent: true}\n"
        "      /var/cache/app: {absent: true}\n"
        "      /never/was: {absent: true}\n"
        "      /srv/empty/file: data\n"
        "guests:\n",
    )
    own = "/var/cache/app/b: b, /bin/sh: {link: bash}, /srv/empty: {directory: true, mode: 0700}"
    workshop.change_list("deb01: {", f"deb01: {{roles: web, users: {{web: {{shell: /bin/sh}}}}, files: {{{own}}}, ")
    return workshop


def test_directories_symlinks_and_removals(kinds: Workshop) -> None:
    kinds.doit()
    with ext.open(kinds.path("guests/deb01/root.img"), write=False) as filesystem:
        assert (filesystem.mode("srv/www"), filesystem.owner("srv/www")) == (0o40750, (1000, 4))
        assert filesystem.readlink("srv/www/link") == "../target"
        assert filesystem.owner("srv/www/link") == (1000, 1000)
        assert filesystem.readlink("srv/empty") == "/data", "in place of an empty directory"
        assert filesystem.mode("data") == 0o40700, "what the symlink leads to"
        assert filesystem.read("data/file") == b"data"
        assert filesystem.names("var/cache/app") == ["b"], "removed first, and then made anew"
        assert filesystem.readlink("bin/sh") == "bash"
        assert not any(map(filesystem.exists, ("etc/motd", "etc/hostname", "never")))
    assert exists(kinds, "deb02", "etc/motd")


def test_what_changed_in_words(kinds: Workshop) -> None:
    kinds.doit()
    kinds.change_list("/bin/sh: {link: bash}", "/bin/sh: {link: dash}")
    assert "file /bin/sh changed" in kinds.doit("why", "root:deb01").output
    kinds.change_list(", /srv/empty: {directory: true, mode: 0700}", ", /etc/more: more")
    kinds.change_list("mode: 0750", "mode: 0751")
    why = kinds.doit("why", "root:deb01").output
    assert "file /srv/empty is gone" in why
    assert "file /etc/more is new" in why
    assert "role web: file /srv/www changed" in why
    kinds.change_list("{web: {shell: /bin/sh}}", "{web: {shell: /bin/sh, comment: Web}}")
    assert "user web changed" in kinds.doit("why", "root:deb01").output
    assert roots(kinds) == ["root:deb01"]
    kinds.change_list("roles: web, ", "")
    assert "role web is gone" in kinds.doit("why", "root:deb01").output
    assert roots(kinds) == ["root:deb01"]
    assert exists(kinds, "deb01", "etc/motd")
    assert not exists(kinds, "deb01", "srv/www")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "/srv/empty: {link: /data}",
            "/etc/init: {link: /data}",
            "file /etc/init: there is a directory; remove it by ab",
        ),
        (
            "/srv/empty: {link: /data}",
            "/etc/init: text",
            "file /etc/init: there is a directory; remove it by absent: tr",
        ),
        ("/srv/empty: {link: /data}", "/etc/group: {directory: true}", "file /etc/group: it is a file, and shall be a"),
        (
            "{link: /data}",
            "{link: /data, mode: 0644}",
            "files./srv/empty.mode: a symlink has no mode of its own; remove",
        ),
        (
            "{link: /data}",
            "{absent: true, owner: web}",
            "files./srv/empty.owner: what is not there has none; remove it",
        ),
        (
            "{link: /data}",
            "{link: /data, text: a}",
            "files./srv/empty: it is one thing: a file with a text, a source or",
        ),
        ("{link: /data}", "{directory: false}", "files./srv/empty: it is one thing"),
        ("{link: /data}", "{link: ''}", "files./srv/empty.link: expected where a symlink leads, found ''"),
        ("/never/was:", "/:", "expected the path of a file, found '/'"),
    ],
)
def test_bad_kinds(kinds: Workshop, old: str, new: str, problem: str) -> None:
    kinds.change_list(old, new)
    run = kinds.doit("root:deb01", check=False)
    assert run.code in (1, 2)
    assert problem.replace("./srv/empty", ".'/srv/empty'") in run.output


def test_no_path_leaves_the_image(kinds: Workshop, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").write_text("")
    kinds.change_list("/srv/empty: {link: /data}", f"/srv/empty: {{link: {tmp_path}/outside}}")
    kinds.change_list("/never/was: {absent: true}", "/srv/empty/kept: {absent: true}")
    kinds.change_list("/srv/empty: {directory: true, mode: 0700}", "/srv/empty/dir: {directory: true}")
    kinds.doit()
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["kept"]
    assert exists(kinds, "deb01", f"{tmp_path}/outside/dir".lstrip("/"))


@pytest.fixture
def team(workshop: Workshop) -> Workshop:
    """deb01 has two roles with users, deb02 one of them, and all have a user of the defaults."""
    workshop.change_list("swap: 1M", "swap: 1M\n  users: {ops: {comment: all, home: /ops}}")
    workshop.change_list(
        "guests:\n",
        "roles:\n"
        "  base: {users: {ops: {comment: base, groups: adm}, web: {uid: 2000}}}\n"
        "  shop: {users: {web: {comment: Shop}, root: {comment: Boss}}}\n"
        "guests:\n",
    )
    workshop.change_list("deb01: {", "deb01: {roles: [base, shop], users: {web: {home: /web}}, ")
    workshop.change_list("deb02: {", "deb02: {roles: base, users: {web: none}, ")
    return workshop


def test_users_of_roles(team: Workshop) -> None:
    team.doit()
    assert status(team, "deb01", "etc/passwd")[0].splitlines() == [
        "root:x:0:0:Boss:/root:/bin/sh",
        "ops:x:1000:1000:base:/ops:/bin/sh",
        "web:x:2000:2000:Shop:/web:/bin/sh",
    ]
    assert "adm:x:4:ops" in status(team, "deb02", "etc/group")[0]
    assert "web" not in status(team, "deb02", "etc/passwd")[0]
    assert "ops:x:1000:1000:all:" in status(team, "web01", "etc/passwd")[0]
    team.change_list("comment: Shop", "comment: The shop")
    assert "user web changed" in team.doit("why", "root:deb01").output
    assert roots(team) == ["root:deb01"]


def test_two_roles_that_contradict_each_other(team: Workshop) -> None:
    team.change_list("web: {comment: Shop}", "web: {uid: 2001}")
    run = team.doit("list", check=False)
    assert run.code == 2
    assert run.output == (
        "guests.yaml:12:29: role 'shop': users.web.uid: role 'base' says otherwise in line 11, and guest 'deb01' has"
        " both; say it in one of them, or in the guest itself\n"
    )
    team.change_list("users: {web: {home: /web}}", "users: {web: {uid: 2002}}")
    team.doit("list")
    team.change_list("users: {web: {uid: 2002}}", "users: {ops: none}")
    team.change_list("web: {uid: 2001}", "web: none")
    assert "role 'shop': users.web: role 'base' says otherwise" in team.doit("list", check=False).output
    team.change_list("users: {ops: none}", "users: none")
    team.doit("list")


def test_bad_users_of_roles(team: Workshop) -> None:
    team.change_list("root: {comment: Boss}", "root: {keys: none.pub}")
    assert (
        "role 'shop': users.root.keys: 'none.pub' cannot be read: No such file" in team.doit("list", check=False).output
    )
    team.change_list("root: {keys: none.pub}", "x: {uid: 2000}")
    assert "users.x.uid: the number 2000 is that of user 'web'" in team.doit("list", check=False).output
