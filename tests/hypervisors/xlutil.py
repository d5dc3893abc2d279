"""Xen's own reader of configurations: libxlutil, which xl(1) uses. It needs no running Xen."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from cffi import FFI

from tests.machine import need

# From Xen's tools/include/libxlutil.h. The disk is generated from libxl_types.idl; only its first members are the same
# in all versions, and the rest is there for the others' room.
_ffi = FFI()
_ffi.cdef(
    """
    typedef struct XLU_Config XLU_Config;
    typedef struct XLU_ConfigList XLU_ConfigList;
    typedef struct {
        uint32_t backend_domid;
        char *backend_domname, *pdev_path, *vdev;
        int backend, format;
        char rest[512];
    } libxl_device_disk;
    extern void *stderr;
    XLU_Config *xlu_cfg_init(void *report, const char *report_filename);
    int xlu_cfg_readdata(XLU_Config *, const char *data, int length);
    void xlu_cfg_destroy(XLU_Config *);
    int xlu_cfg_get_string(const XLU_Config *, const char *name, const char **value, int dont_warn);
    int xlu_cfg_get_list(const XLU_Config *, const char *name, XLU_ConfigList **, int *entries, int dont_warn);
    const char *xlu_cfg_get_listitem(const XLU_ConfigList *, int entry);
    int xlu_disk_parse(XLU_Config *, int count, const char *const *specs, libxl_device_disk *);
    """
)
_FORMAT_RAW = 4  # libxl_disk_format in libxl_types.idl


@contextmanager
def reading(text: str) -> Iterator["Configuration"]:
    """The configuration `text`, as xl reads it. What is wrong with it goes to standard error."""
    library = _library()
    libc: Any = _ffi.dlopen(None)
    config = library.xlu_cfg_init(libc.stderr, b"the configuration")
    try:
        data = text.encode()
        assert library.xlu_cfg_readdata(config, data, len(data)) == 0
        yield Configuration(library, config)
    finally:
        library.xlu_cfg_destroy(config)


class Configuration:
    """What xl makes of a configuration."""

    def __init__(self, library: Any, config: Any) -> None:
        self._library = library
        self._config = config

    def text(self, name: str) -> str | None:
        """A setting with one value, None if it is not there."""
        value = _ffi.new("const char **")
        error = self._library.xlu_cfg_get_string(self._config, name.encode(), value, 0)
        return None if error else _text(value[0])

    def list(self, name: str) -> list[str]:
        """A setting with several values."""
        values, count = _ffi.new("XLU_ConfigList **"), _ffi.new("int *")
        assert self._library.xlu_cfg_get_list(self._config, name.encode(), values, count, 0) == 0
        return [_text(self._library.xlu_cfg_get_listitem(values[0], number)) for number in range(count[0])]

    def disks(self) -> dict[str, str]:
        """The images of the guest's raw disks by their devices."""
        disks = {}
        for text in self.list("disk"):
            spec = _ffi.new("char []", text.encode())
            disk: Any = _ffi.new("libxl_device_disk *")
            assert self._library.xlu_disk_parse(self._config, 1, _ffi.new("char *[]", [spec]), disk) == 0
            assert disk.format == _FORMAT_RAW
            disks[_text(disk.vdev)] = _text(disk.pdev_path)
        return disks


@cache
def _library() -> Any:
    name = "libxlutil.so"  # a link for those who compile with it; the library itself has Xen's version in its name
    try:
        return _ffi.dlopen(name)
    except OSError:
        need(False, f"{name}, which is in Debian's libxen-dev")


def _text(value: Any) -> str:
    raw = _ffi.string(value)
    assert isinstance(raw, bytes)
    return raw.decode()
