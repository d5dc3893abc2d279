"""QEMU: a machine that runs, and what is read on its consoles."""
