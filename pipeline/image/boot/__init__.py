"""Boot loaders, and disks that consist of a single file."""
