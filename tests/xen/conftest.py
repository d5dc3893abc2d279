"""The example's farm, of whose master guests run under Xen."""

from tests.boot.conftest import example

__all__ = ["example"]
