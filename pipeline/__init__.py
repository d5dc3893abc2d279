"""Guestfarm: one short list in YAML becomes a farm of virtual machines, and only what went stale is rebuilt.

The rooms, from what the user types down to what everything stands on. A room imports only rooms below it; a test
enforces that.

    dodo.py        the task list in reading order; what dodo.py beside guests.yaml imports
    commands/      what users type besides doit's own commands
    tasks/         each artifact: what it is made from, where it goes, its recipe
    engine/        artifacts as doit tasks
      artifact/      what an artifact is, and its task
      state/         what is on record, and what is fresh
      run/           runs: workers, progress, logs, errors
    boottest/      boots throw-away copies of guests and checks them from inside
    host/          the image store and deployment
    guestos/       the files that give a guest its identity; network/ has a module for each network tool; pure
    inputs/        files of this machine that go into guests
    qemu/          runs a machine: what QEMU is told, and what the machine says on its consoles
    hypervisors/   the text of a guest's configuration, and the toolstack that runs it
    image/         images and file systems: paths, sizes and layers in, files out; knows no guest and no doit
      boot/          boot loaders and single-file disks
      resize/        plans, applies and undoes changes of size
      disk/          bases, root disks, data disks, swap, NoCloud seeds
      sources/       masters: one module for each kind
      ext/           ext2, ext3 and ext4 by libext2fs and e2fsprogs
      layer/         lists of files that go into a file system
      files/         sparse files, clones, publishing, use by others, digests
    process.py     starts programs; no other module does
    signals.py     defers SIGINT and SIGTERM
    guestlist/     reads and checks guests.yaml; pure, but for the reading of the list
      checks/        what a guest must obey, what no two guests may share, warnings
      export/        JSON schema, reference, inventories
      resolve/       ranges, defaults and addresses: from entries to the farm
      keys/          the keys of guests.yaml, in tables
      schema/        tables and the readers of values
      syntax/        YAML with lines and columns, ranges of names
    model/         the farm as plain values; sizes, addresses, identities
    project.py     tells a farm from other projects of doit
    input_file.py  opens files that others wrote: regular ones only, and with a limit
    errors.py      the errors that a user may see

A layer (image/layer) is a list of files that goes into a file system. A master's tar is a large layer, a guest's
identity a small one. libext2fs writes both, in this process (image/ext).
"""
