"""The machine that runs guests: where it has their disks, and whether they run."""
