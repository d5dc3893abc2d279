"""SELinux's labels: every file has the one that the policy in its own file system has for it, as by setfiles(8)."""

import os
import re
import stat
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, cast

from cffi import FFI

from pipeline.errors import ImageError, ProcessError
from pipeline.image.ext.filesystem import FileSystem
from pipeline.image.layer.entries import Layer, Removal
from pipeline.image.layer.tree import Tree, resolve

ATTRIBUTE = "security.selinux"
"""The extended attribute that has a file's label; see selinux(8) and xattr(7)."""

_CONFIG = "etc/selinux/config"
_FILE_CONTEXTS = tuple(f"file_contexts{suffix}" for suffix in ("", ".homedirs", ".local", ".subs", ".subs_dist"))
"""See selabel_file(5). What is compiled of them, file_contexts.bin, is for the versions of libraries in the guest."""
_LONGEST = 1 << 24
"""Bytes of one of them that are read."""

_ROOMY_INODE = 256
"""Bytes of an inode that has room for a label. For smaller ones, each file would take a block more for it."""

_ffi = FFI()
_ffi.cdef("""
struct selinux_opt { int type; const char *value; };
struct selabel_handle;
struct selabel_handle *selabel_open(unsigned int backend, const struct selinux_opt *options, unsigned count);
void selabel_close(struct selabel_handle *handle);
int selabel_lookup_raw(struct selabel_handle *handle, char **context, const char *key, int type);
void freecon(char *context);
""")  # as in selinux/label.h and selinux/selinux.h
_CTX_FILE, _OPT_PATH = 0, 3


class Policy:
    """What the file contexts of a policy say."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401  # cffi's pointers have no types
        self._handle = handle
        self._alone = Lock()  # the library compiles patterns when it first needs them

    def label(self, path: str, mode: int) -> bytes | None:
        """The value of ATTRIBUTE for a file at `path` with the type that `mode` has; None where the policy has none."""
        context = _ffi.new("char **")
        with self._alone:
            if _library().selabel_lookup_raw(self._handle, context, os.fsencode(f"/{path}"), stat.S_IFMT(mode)):
                return None
        try:
            return cast(bytes, _ffi.string(context[0])) + b"\0"  # as setfilecon(3) has it
        finally:
            _library().freecon(context[0])


def mode(tree: Tree) -> str:
    """What selinux_config(5) in `tree` says: enforcing, permissive or disabled; empty if there is no SELinux."""
    return _setting(_config(tree), "SELINUX").lower()


def policy(tree: Tree) -> Policy | None:
    """The policy that a system with the files of `tree` loads; None if it loads none.

    Raises ImageError for one that makes no sense, and ProcessError where libselinux is not installed.
    """
    if mode(tree) not in ("enforcing", "permissive"):
        return None
    folder = f"etc/selinux/{_setting(_config(tree), 'SELINUXTYPE') or 'targeted'}/contexts/files"
    there = [name for name in _FILE_CONTEXTS if tree.exists(f"{folder}/{name}")]
    if _FILE_CONTEXTS[0] not in there:
        return None
    return _opened(tuple((name, tree.read(f"{folder}/{name}", _LONGEST)) for name in there))


def write(filesystem: FileSystem, layer: Layer) -> None:
    """Write `layer`, and label what is new by it. Raises ImageError, ProcessError, and OSError, as apply() does."""
    entries = list(layer)
    filesystem.apply(entries)
    own = policy(filesystem)
    if own is None:
        return
    for entry in entries:
        above, _, name = entry.path.rpartition("/")
        path = f"{resolve(filesystem, above)}/{name}".lstrip("/")
        while not isinstance(entry, Removal) and _complete_one(filesystem, own, path):
            path = path.rpartition("/")[0]  # perhaps made on the way


def complete(filesystem: FileSystem) -> None:
    """Label what has no label, if the system in there has a policy, and inodes have room. Raises as above."""
    own = policy(filesystem) if filesystem.inode_size >= _ROOMY_INODE else None
    for path, status in filesystem.walk() if own is not None else ():
        if own is not None and ATTRIBUTE not in filesystem.xattrs(status):
            label = own.label(path, status.mode)
            if label is not None:
                filesystem.set_xattr(status, ATTRIBUTE, label)


def _complete_one(filesystem: FileSystem, own: Policy, path: str) -> bool:
    """Label what is at `path`; whether there was anything to do."""
    status = filesystem.status(path)
    if status is None or ATTRIBUTE in filesystem.xattrs(status):
        return False
    label = own.label(path, status.mode)
    if label is not None:
        filesystem.set_xattr(status, ATTRIBUTE, label)
    return label is not None


def _config(tree: Tree) -> str:
    return tree.read(_CONFIG, _LONGEST).decode(errors="replace") if tree.exists(_CONFIG) else ""


def _setting(config: str, name: str) -> str:
    found = re.findall(rf"^\s*{name}=\s*([\w-]+)", config, re.MULTILINE)
    return found[-1] if found else ""


@lru_cache(maxsize=4)  # guests share them, and patterns that are compiled already
def _opened(contexts: tuple[tuple[str, bytes], ...]) -> Policy:
    library = _library()
    with TemporaryDirectory(prefix="guestfarm-") as folder:
        for name, data in contexts:
            Path(folder, name).write_bytes(data)
        path = _ffi.new("char[]", os.fsencode(Path(folder, _FILE_CONTEXTS[0])))
        options = _ffi.new("struct selinux_opt[1]")
        options[0].type, options[0].value = _OPT_PATH, path
        handle = library.selabel_open(_CTX_FILE, options, 1)
    if handle == _ffi.NULL:
        raise ImageError("the file contexts of its SELinux policy make no sense", "see selabel_file(5)")
    return Policy(_ffi.gc(handle, library.selabel_close))


@lru_cache(maxsize=1)
def _library() -> Any:  # noqa: ANN401  # cffi makes the library's functions at run time
    try:
        return _ffi.dlopen("libselinux.so.1")
    except OSError as error:
        raise ProcessError(
            "the library libselinux.so.1 is missing, by which files are labelled for SELinux",
            "on Debian, apt-get install libselinux1 brings it",
        ) from error
