"""Proof: guests are booted under QEMU, on disks that are thrown away, and asked from inside what they are.

`machine` is what QEMU is told; `inside` what is added to a guest so that it reports; `console` what is read on its
serial ports; `session` a guest while it runs; `checks` what its report is compared with; `boot` all of it, in order.
"""
