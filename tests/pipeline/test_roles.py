"""Roles and files in built root disks: what is where, and what makes exactly which guests stale."""

from pathlib import Path

import pytest

from pipeline.errors import GuestfarmError
from pipeline.image import ext
from pipeline.material.tree import walk
from tests.pipeline.conftest import Workshop


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
        ('{text: "mine\\n", mode: "4755"}', "{mode: 0644}", "a file has either a text, a source or a template"),
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
