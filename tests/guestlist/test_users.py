"""The users of guests, in good lists and in bad ones."""

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from pipeline import guestlist
from pipeline.errors import GuestfarmError, ListError
from pipeline.guestlist.keys import public_keys
from pipeline.hypervisors import BY_NAME
from pipeline.model.guest import Guest
from pipeline.model.user import User
from tests import schemas
from tests.machine import need_programs, run

pytestmark = pytest.mark.unit

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBw1Q2lqtDSVVGcpsxS/WhKWPkYWiwJQDe5ZR9YYDsmM"
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKWW+x5x"
    "2jONHTOxkuCHJXcCOOyIepwoNjzutRl1o+2YwQwozmy9fdsVwYiGdAHtX69BNKYBMsuSqACUfuaRdFo="
)
YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
HEAD = "farm: example\nmasters: {debian: {bootstrap: {suite: bookworm}}}\n"


def load(folder: Path, users: str, defaults: str = "none") -> Guest:
    path = folder / "guests.yaml"
    path.write_text(f"{HEAD}defaults: {{master: debian, users: {defaults}}}\nguests:\n  g: {users}\n")
    guest = next(iter(guestlist.load(path, read=Path.read_bytes, hypervisors=BY_NAME).guests.values()))
    schemas.check(path.read_text())
    return guest


def test_nobody(tmp_path: Path) -> None:
    assert load(tmp_path, "{}").users == ()
    assert load(tmp_path, "{users: {}}").users == ()


def test_a_user_as_useradd_would_have_one(tmp_path: Path) -> None:
    assert load(tmp_path, "{users: {admin: }}").users == (User(name="admin"),)


def test_everything(tmp_path: Path) -> None:
    (tmp_path / "admin.pub").write_text(f"# ours\n{ED25519}\n")
    keys = f'keys: ["{ED25519} me@home", admin.pub], password: {YESCRYPT}, locked: false, sudo: [true, "ALL=/bin/ls"]'
    rest = "groups: [adm, sudo], shell: /bin/sh, uid: 2000, gid: 2001, home: /srv/web, comment: 'Web, admin'"
    (user,) = load(tmp_path, f"{{users: {{web: {{{keys}, {rest}}}}}}}").users
    assert user == User(
        name="web",
        keys=(f"{ED25519} me@home", tmp_path / "admin.pub"),
        password=YESCRYPT,
        locked=False,
        sudo=("ALL=(ALL:ALL) ALL", "ALL=/bin/ls"),
        groups=("adm", "sudo"),
        shell=PurePosixPath("/bin/sh"),
        uid=2000,
        gid=2001,
        home=PurePosixPath("/srv/web"),
        comment="Web, admin",
    )


def test_several_keys_in_one_text(tmp_path: Path) -> None:
    text = f'|\n      # both\n      {ED25519} a\n\n      from="10.0.0.0/8 or so",no-pty {ECDSA} b\n'
    (user,) = load(tmp_path, f"\n   users:\n    root:\n     keys: {text}").users
    assert user.keys == (f'{ED25519} a\nfrom="10.0.0.0/8 or so",no-pty {ECDSA} b',)


def test_a_guest_s_own_come_to_those_of_the_defaults(tmp_path: Path) -> None:
    defaults = "{admin: {uid: 2000, sudo: nopasswd}, root: {locked: true}}"
    (admin, root) = load(tmp_path, "{}", defaults).users
    assert (admin.name, admin.uid, root.locked) == ("admin", 2000, True)
    users = load(tmp_path, "{users: {web: {}, admin: {uid: 2001}, root: none}}", defaults).users
    assert [(user.name, user.uid, bool(user.sudo)) for user in users] == [("admin", 2001, True), ("web", None, False)]
    assert load(tmp_path, "{users: none}", defaults).users == ()


def test_in_a_range(tmp_path: Path) -> None:
    path = tmp_path / "guests.yaml"
    path.write_text(HEAD + 'guests:\n  g[1:2]: {master: debian, users: {a: {uid: "[2001:2002]"}, b: {}}}\n')
    schemas.check(path.read_text())
    users = [guest.users for guest in guestlist.load(path, hypervisors=BY_NAME).guests.values()]
    assert [[(user.name, user.uid) for user in each] for each in users] == [
        [("a", 2001), ("b", None)],
        [("a", 2002), ("b", None)],
    ]


@pytest.mark.parametrize("method", ["yescrypt", "gost-yescrypt", "scrypt", "bcrypt", "sha512crypt", "sha256crypt"])
def test_hashes_that_mkpasswd_makes(tmp_path: Path, method: str) -> None:
    need_programs("mkpasswd")
    (made,) = run("mkpasswd", "-m", method, "a password").splitlines()
    assert load(tmp_path, f"{{users: {{a: {{password: '{made}'}}}}}}").users[0].password == made


@pytest.mark.parametrize("option", ["-6", "-5"])
def test_hashes_that_openssl_makes(tmp_path: Path, option: str) -> None:
    need_programs("openssl")
    (made,) = run("openssl", "passwd", option, "a password").splitlines()
    assert load(tmp_path, f"{{users: {{a: {{password: '{made}'}}}}}}").users[0].password == made


@pytest.mark.parametrize("options", [("ed25519",), ("rsa", "-b", "2048"), ("ecdsa", "-b", "521"), ("ecdsa",)])
def test_keys_that_ssh_keygen_makes(tmp_path: Path, options: tuple[str, ...]) -> None:
    need_programs("ssh-keygen")
    run("ssh-keygen", "-q", "-N", "", "-f", tmp_path / "key", "-t", *options)
    key = (tmp_path / "key.pub").read_text()
    assert public_keys.parse_keys(key) == (key.strip(),)
    with pytest.raises(GuestfarmError, match="a private key, which nobody else may have"):
        public_keys.parse_keys((tmp_path / "key").read_text())
    with pytest.raises(GuestfarmError, match="is damaged"):
        public_keys.parse_keys(key[: len(key) // 2])


A_USER = "expected a mapping of keys, password, locked, sudo, groups, shell, uid, gid, home, comment, or none, found"
NAME_HINT = "32 lower case letters, digits, '-' and '_' at most; start with a letter or '_'"
KEY_HINT = "it is the whole line of a .pub file, like ssh-ed25519 AAAAC3Nz… you@example"
HASH_HINT = "make a hash of it: mkpasswd -m yescrypt, or openssl passwd -6"
RULE_HINT = "write one like ALL=(www-data) NOPASSWD: /usr/bin/systemctl restart nginx"
A_HASH = "expected the hash of a password, as mkpasswd -m yescrypt makes it"
A_RULE = "expected true, nopasswd, or what may follow a user in sudoers(5), found"
PROBLEMS = [
    ("{Admin: {}}", f"users.Admin: expected the name of a user like admin, found 'Admin'; {NAME_HINT}"),
    ("{a.b: {}}", f"users.a.b: expected the name of a user like admin, found 'a.b'; {NAME_HINT}"),
    ("{'a:0:0': {}}", f"users.'a:0:0': expected the name of a user like admin, found 'a:0:0'; {NAME_HINT}"),
    ("[a]", "users: expected a mapping of names to users like {admin: {keys: admin.pub}}, found a list"),
    ("{a: b}", f"users.a: {A_USER} 'b'"),
    ("{a: {key: b}}", "users.a: unknown key 'key'; did you mean 'keys'?"),
    ("{a: {keys: missing.pub}}", "users.a.keys: 'missing.pub' cannot be read: No such file or directory;"
     " paths are relative to the folder of the list"),
    ("{a: {keys: /}}", "users.a.keys: '/' cannot be read: Is a directory"),
    ("{a: {keys: empty.pub}}", f"users.a.keys: empty.pub: there is no public key in it; {KEY_HINT}"),
    ("{a: {keys: bad.pub}}", f"users.a.keys: bad.pub: line 3: expected a public key, found 'what?'; {KEY_HINT}"),
    ("{a: {keys: private}}", "users.a.keys: private: a private key, which nobody else may have;"
     " give the public one, as in the .pub file"),
    ("{a: {keys: ssh-ed25519 AAAAB3NzaC1yc2EAAAAA}}", "users.a.keys: the public key 'ssh-ed25519 AAAAB3NzaC1yc2EAAAAA'"
     f" is not the ssh-ed25519 key that it says; {KEY_HINT}"),
    ("{a: {keys: ssh-ed25519 A}}", f"users.a.keys: the public key 'ssh-ed25519 A' is damaged; {KEY_HINT}"),
    (f"{{a: {{keys: [{ED25519}, {ED25519}]}}}}", f"users.a.keys: '{ED25519}' is in the list already"),
    ("{a: {password: secret}}", f"users.a.password: a plain password, where its hash should be; {HASH_HINT}"),
    ("{a: {password: $1$salt$hash}}", "users.a.password: a damaged hash, or one of an old kind, where its hash should"
     f" be; {HASH_HINT}"),
    (f"{{a: {{password: '{YESCRYPT}:x'}}}}", "users.a.password: a damaged hash, or one of an old kind, where its hash"
     f" should be; {HASH_HINT}"),
    ("{a: {password: [secret]}}", f"users.a.password: {A_HASH}"),
    ("{a: {sudo: yes}}", f"users.a.sudo: {A_RULE} 'yes'; {RULE_HINT}"),
    ("{a: {sudo: \"ALL=ALL\\nroot ALL=ALL\"}}", f"users.a.sudo: {A_RULE} 'ALL=ALL\\nroot ALL=ALL'; {RULE_HINT}"),
    ("{a: {sudo: 'ALL=ALL\\'}}", f"users.a.sudo: {A_RULE} 'ALL=ALL\\\\'; {RULE_HINT}"),
    ("{a: {sudo: true}}", "users.a.sudo: sudo asks for a password, and there is none;"
     " give password: HASH, or say sudo: nopasswd"),
    ("{root: {uid: 7}}", "users.root.uid: root's number is 0; remove it"),
    ("{a: {uid: 0}}", "users.a.uid: expected a whole number from 1 to 999999999, found '0'"),
    ("{a: {uid: 7}, b: {uid: 7}}", "users.b.uid: the number 7 is that of user 'a'; give another"),
    ("{a: {shell: bash}}", "users.a.shell: expected an absolute path without '..', found 'bash'"),
    ("{a: {home: /a/../b}}", "users.a.home: expected an absolute path without '..', found '/a/../b'"),
    ("{a: {home: '/a:b'}}", "users.a.home: '/a:b' has a colon; it separates the fields of /etc/passwd"),
    ("{a: {comment: 'a:b'}}", "users.a.comment: expected a text without colons, found 'a:b'"),
    ("{a: {groups: 'a b'}}", f"users.a.groups: expected the name of a group like adm, found 'a b'; {NAME_HINT}"),
    ("{a: {locked: maybe}}", "users.a.locked: expected true or false, found 'maybe'"),
]  # fmt: skip


@pytest.mark.parametrize(("users", "problem"), PROBLEMS)
def test_bad_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, users: str, problem: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "empty.pub": "# none\n",
        "bad.pub": f"{ED25519}\n\nwhat?\n",
        "private": "-----BEGIN PRIVATE KEY-----",
    }.items():
        Path(name).write_text(text)
    for where, heading in (("defaults", "defaults"), ("guests", "guest 'g'")):
        defaults, own = (users, "none") if where == "defaults" else ("{}", users)
        lines = f"{HEAD}defaults: {{master: debian, users: {defaults}}}\nguests: {{g: {{users: {own}}}}}\n"
        Path("guests.yaml").write_text(lines)
        with pytest.raises(ListError) as caught:
            guestlist.load(Path("guests.yaml"), read=Path.read_bytes, hypervisors=BY_NAME)
        (found,) = str(caught.value).splitlines()
        place, _, message = found.partition(": ")
        assert message == f"{heading}: {problem}"
        assert place.startswith("guests.yaml:3:" if where == "defaults" else "guests.yaml:4:")
        assert "secret" not in found


def test_what_only_the_two_together_get_wrong(tmp_path: Path) -> None:
    with pytest.raises(ListError, match=r"5:\d+: guest 'g': users.b.uid: the number 7 is that of user 'a'"):
        load(tmp_path, "{users: {b: {uid: 7}}}", "{a: {uid: 7}}")


def test_keys_as_ssh_reads_them(tmp_path: Path) -> None:
    need_programs("ssh-keygen")
    keys = public_keys.parse_keys(f'# a\n{ED25519}\ncommand="echo \\"ssh-rsa\\"",no-pty {ECDSA} me\n')
    (tmp_path / "authorized_keys").write_text("".join(f"{key}\n" for key in keys))
    shown = subprocess.run(["ssh-keygen", "-lf", tmp_path / "authorized_keys"], capture_output=True, check=True).stdout
    assert len(shown.splitlines()) == 2
