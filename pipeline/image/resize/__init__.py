"""Resizing of disks: planned, then applied so that an interruption does no harm."""

from pipeline.image.resize.plan import Change, of_image, plan

__all__ = ["Change", "of_image", "plan"]
