"""The ext2, ext3 and ext4 file systems, by libext2fs and e2fsprogs."""

from pipeline.image.ext.filesystem import FileSystem, glance, open

__all__ = ["FileSystem", "glance", "open"]
