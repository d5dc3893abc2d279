"""Units enabled, disabled and masked: the same symlinks as systemctl --root makes, by trees and by chance."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MasterError
from pipeline.guestos.systemd import Links
from pipeline.image.layer import directory
from pipeline.image.layer.entries import Layer, Removal, Symlink
from pipeline.image.layer.overlay import Overlay
from pipeline.image.layer.tree import LayerTree
from tests.machine import need_programs

Tree = dict[str, str]
"""Files by their paths, and symlinks as ->TARGET."""
Steps = list[tuple[str, str]]
"""Verbs of systemctl, and the names of units."""

LIB = "lib/systemd/system"
ETC = "etc/systemd/system"
PLAIN = "[Service]\nExecStart=/bin/true\n"
WANTED = f"{PLAIN}[Install]\nWantedBy=multi-user.target\n"

UNITS: Tree = {
    f"{LIB}/plain.service": WANTED,
    f"{LIB}/static.service": PLAIN,
    f"{LIB}/all.service": f"{PLAIN}[Install]\nWantedBy=a.target b.target\nWantedBy=c.target\nRequiredBy=d.service\n"
    "Alias=other.service more.service\nAlso=all.socket all.timer\n",
    f"{LIB}/all.socket": "[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\nAlso=all.service\n",
    f"{LIB}/all.timer": "[Timer]\n[Install]\n# a comment\n; and another\nWantedBy = \\\n  timers.target \\\n"
    "# in between\n  more.target\n",
    f"{LIB}/reset.service": f"{PLAIN}[Install]\nWantedBy=a.target\nWantedBy=\nWantedBy=b.target\n",
    f"{LIB}/quoted.service": f"{PLAIN}[Install]\nWantedBy=\"a.target\" 'b.target'\n",
    f"{LIB}/specified.service": f"{PLAIN}[Install]\nWantedBy=%p-x.target %N.target\nAlias=%p2.service\n",
    f"{LIB}/also-missing.service": f"{WANTED}Also=missing.service\n",
    f"{LIB}/also-masked.service": f"{WANTED}Also=masked.service\n",
    f"{LIB}/tty@.service": f"{PLAIN}[Install]\nWantedBy=multi-user.target\nDefaultInstance=tty1\n",
    f"{LIB}/bare@.service": f"{PLAIN}[Install]\nWantedBy=multi-user.target\nAlias=naked@.service\n",
    f"{LIB}/per@.service": f"{PLAIN}[Install]\nWantedBy=per-%i.target\nRequiredBy=%j@%i.service\nAlso=plain.service\n",
    f"{LIB}/to@.service": f"{PLAIN}[Install]\nWantedBy=into@.service\n",
    f"{LIB}/masked.service": WANTED,
    f"{ETC}/masked.service": "->/dev/null",
    f"{LIB}/emptied.service": WANTED,
    f"{ETC}/emptied.service": "",
    f"{LIB}/enabled.service": WANTED,
    f"{ETC}/multi-user.target.wants/enabled.service": f"->/{LIB}/enabled.service",
    f"{ETC}/multi-user.target.wants/relative.service": f"->../../../../{LIB}/relative.service",
    f"{LIB}/relative.service": WANTED,
    f"{ETC}/multi-user.target.wants/dangling.service": "->/lib/systemd/system/dangling.service",
    f"{ETC}/multi-user.target.wants/circle.service": "->circle.service",
    f"{ETC}/multi-user.target.wants/tty@tty5.service": f"->/{LIB}/tty@.service",
    f"{ETC}/known-as.service": f"->/{LIB}/enabled.service",
    f"{LIB}/nick.service": "->plain.service",
    f"{LIB}/nick@.service": "->tty@.service",
    f"{ETC}/own.service": WANTED,
    f"{LIB}/clash.service": f"{WANTED}Alias=own.service\n",
    f"{LIB}/clashing.service": f"{WANTED}Alias=known-as.service\n",
    f"{LIB}/stale.service": f"{WANTED}Alias=gone.service\n",
    f"{ETC}/gone.service": "->/nowhere/gone.service",
    f"{LIB}/wrong.service": f"{WANTED}Alias=wrong.socket\n",
    f"{LIB}/self.service": f"{WANTED}Alias=self.service\n",
    f"{LIB}/odd.service": f"{PLAIN}[Install]\nWantedBy=no-unit\n",
    f"{LIB}/dropped.service": PLAIN,
    f"{LIB}/dropped.service.d/10-a.conf": "[Install]\nWantedBy=a.target\n",
    f"{ETC}/dropped.service.d/20-b.conf": "[Install]\nWantedBy=b.target\n",
    f"{ETC}/tty@.service.d/x.conf": "[Install]\nRequiredBy=x.target\n",
    f"{ETC}/changed.service": f"{PLAIN}[Install]\nWantedBy=etc.target\n",
    f"{LIB}/changed.service": f"{PLAIN}[Install]\nWantedBy=lib.target\n",
    "usr/local/lib/systemd/system/local.service": WANTED,
    "usr/lib/systemd/system/usr.service": WANTED,
    f"{LIB}/aliased.target": "[Unit]\n[Install]\nAlias=default.target\n",
    f"{LIB}/data.mount": "[Mount]\nWhat=/a\nWhere=/data\n[Install]\nWantedBy=local-fs.target\nAlias=x.mount\n",
}
NAMES = [
    *sorted({path.rpartition("/")[2] for path in UNITS if ".d/" not in path}),
    *("tty@tty3.service", "bare@x.service", "per@a-b.service", "nick@z.service", "to@z.service"),
    *("dangling.service", "missing.service", "other.service", "missing@x.service"),
]
COMPLAINS = "is a non-template unit"
"""What systemctl 252 says is an error, and ends well nevertheless."""


def write(root: Path, tree: Tree) -> None:
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)


def links(root: Path) -> Tree:
    """What is in /etc/systemd/system."""
    found: Tree = {}
    for folder, names, files in os.walk(root / ETC):
        for name in [*names, *files]:
            path = Path(folder, name)
            text = f"->{path.readlink()}" if path.is_symlink() else "" if path.is_dir() else path.read_text()
            found[str(path.relative_to(root))] = text
    return found


def systemctl(root: Path, verb: str, *names: str) -> tuple[bool, str]:
    completed = subprocess.run(
        ["systemctl", f"--root={root}", "--quiet", verb, *names],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return completed.returncode == 0, completed.stderr


def ours(root: Path, verb: str, *names: str) -> tuple[bool, str]:
    """The same by our own means, with what they would write then written by Python."""
    tree = LayerTree(directory.entries(root), lambda _: True)
    work = Links(Overlay(tree))
    try:
        for name in names:
            getattr(work, verb)(name)
    except MasterError as error:
        return False, str(error)
    apply(root, work.layer)
    return True, ""


def apply(root: Path, layer: Layer) -> None:
    for entry in layer:
        path = root / entry.path
        if isinstance(entry, Removal):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        elif isinstance(entry, Symlink):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(entry.target)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two places for the same tree."""
    need_programs("systemctl")
    folder = tmp_path_factory.mktemp("systemd")
    return folder / "real", folder / "ours"


def compare(roots: tuple[Path, Path], tree: Tree, *steps: tuple[str, str]) -> None:
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)
        write(root, tree)
    for verb, name in steps:
        done, said = systemctl(roots[0], verb, name)
        done = done and COMPLAINS not in said
        our_own, error = ours(roots[1], verb, name)
        if verb == "disable":  # to disable what is not there is fine
            assert our_own, error
        else:
            assert our_own == done, f"{verb} {name}: {said} {error}"
        if done or verb == "disable":
            assert links(roots[1]) == links(roots[0]), f"{verb} {name}: {said}"
        else:
            return


@pytest.mark.parametrize(("verb", "names"), [("enable", NAMES), ("disable", NAMES), ("mask", NAMES[::5])])
def test_each_unit(roots: tuple[Path, Path], verb: str, names: list[str]) -> None:
    for name in names:
        compare(roots, UNITS, (verb, name))


@pytest.mark.parametrize("name", ["all.service", "all.socket", "tty@.service", "per@a-b.service", "dropped.service"])
def test_one_after_the_other(roots: tuple[Path, Path], name: str) -> None:
    compare(roots, UNITS, ("enable", name), ("enable", name), ("disable", name), ("mask", name), ("enable", name))


def test_where_usr_is_merged(roots: tuple[Path, Path]) -> None:
    """The symlinks lead there as those of the master do."""
    tree = {path.replace(LIB, f"usr/{LIB}"): text.replace(f"/usr/{LIB}", f"/{LIB}") for path, text in UNITS.items()}
    for name in ("plain.service", "enabled.service", "relative.service", "all.service"):
        compare(roots, {"lib": "->usr/lib", **tree}, ("enable", name), ("disable", name))


# Few names, so that units meet.
PLAIN_UNITS = ["a.service", "b.service", "c.socket"]
TEMPLATES = ["t@.service", "u@.service"]
INSTANCES = ["t@one.service", "t@a-b.service", "u@one.service"]
OTHERS = ["none.service", "none@.service", "none@one.service"]
TARGETS = ["x.target", "y@.target", "y@one.target", "b.service", "%p.target", "z-%i.target", "%N.target"]
ALIASES = [*PLAIN_UNITS, *TEMPLATES, *INSTANCES, *OTHERS, "%p-too.service", "alias.socket"]
ALIASES += ["x.target.wants/n.service", "x.target.wants/a.service"]
NAMESAKES = [  # names, and what they may lead to: those of another kind systemd would let be
    (["a.service", "b.service", "none.service"], ["a.service", "b.service", "none.service"]),
    (["t@.service", "u@.service", "none@.service"], ["t@.service", "u@.service"]),
    (["t@one.service", "none@one.service"], ["t@.service", "t@one.service", "u@one.service"]),
    (["t@a-b.service"], ["t@.service", "u@.service"]),
]
KINDS = ["", "x.target.wants/", "x.target.requires/"]
PLACES = [f"/{LIB}/", f"../../../{LIB}/"]

SETTINGS = st.one_of(
    st.tuples(st.sampled_from(["WantedBy", "RequiredBy"]), st.lists(st.sampled_from(TARGETS), max_size=2)),
    st.tuples(st.just("Alias"), st.lists(st.sampled_from(ALIASES), max_size=2)),
    st.tuples(st.just("Also"), st.lists(st.sampled_from(PLAIN_UNITS + TEMPLATES + INSTANCES + OTHERS), max_size=2)),
    st.tuples(st.just("DefaultInstance"), st.sampled_from([["one"], ["two"], []])),
)
FILES = st.lists(SETTINGS, max_size=4).map(
    lambda settings: "\n".join(["[Install]", *(f"{name}={' '.join(values)}" for name, values in settings), ""])
)
UNIT_FILES = st.dictionaries(st.sampled_from(PLAIN_UNITS + TEMPLATES + INSTANCES[:1]), FILES, min_size=2)
OWN_UNITS = st.sampled_from(["a.service", "t@.service", "own.service"])
OWN_FILES = st.dictionaries(OWN_UNITS, FILES | st.just(""), max_size=1)
DROPPED_IN = st.dictionaries(st.sampled_from(["a.service.d/x.conf", "t@.service.d/x.conf"]), FILES, max_size=1)
SYMLINKS = st.lists(
    st.sampled_from(NAMESAKES).flatmap(
        lambda each: st.tuples(
            st.builds(str.__add__, st.sampled_from(KINDS), st.sampled_from(each[0])),
            st.builds(str.__add__, st.sampled_from(PLACES), st.sampled_from(each[1])) | st.just("/dev/null"),
        )
    ),
    max_size=3,
).map(dict)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enable", "enable", "disable", "mask"]),
        st.sampled_from([*PLAIN_UNITS, *TEMPLATES, *INSTANCES, *OTHERS]),
    ),
    min_size=1,
    max_size=3,
)


TREES = st.builds(
    lambda lib, dropped_in, own, symlinks: (
        {f"{LIB}/{name}": text for name, text in (lib | dropped_in).items()}
        | {f"{ETC}/{name}": f"->{target}" for name, target in symlinks.items()}
        | {f"{ETC}/{name}": text for name, text in own.items()}
    ),
    UNIT_FILES,
    DROPPED_IN,
    OWN_FILES,
    SYMLINKS,
)


@settings(max_examples=settings().max_examples // 2)  # each starts systemctl
@given(TREES, STEPS)
def test_by_chance(roots: tuple[Path, Path], tree: Tree, steps: Steps) -> None:
    compare(roots, tree, *steps)
