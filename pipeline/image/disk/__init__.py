"""The disks of guests: bases, root disks, data disks, swap, NoCloud seeds."""
