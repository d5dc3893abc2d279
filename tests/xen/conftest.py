"""The example's master, of which guests run under Xen."""

from tests.boot.conftest import debian_tar

__all__ = ["debian_tar"]
