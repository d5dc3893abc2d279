"""Guestfarm: one short list in YAML becomes a farm of virtual machines, and only what went stale is made again.

The layers, from what the user types down to what everything stands on. Arrows run down only; a test enforces them.

    dodo.py       the task list in reading order
    commands      what users type besides doit's own commands
    tasks         WHEN: one module for each kind of artifact, each a doit task with what it is made from
    doit_glue     where doit's internals are met: state, checker, the way from an artifact to a task
    proof         WHETHER: guests are booted on throw-away disks, and asked from inside what they are
    host          WHERE: the machine that runs guests: its image store, its toolstacks, who is down
    system        WHO: the files that give a root disk its guest's identity; pure
    material      WHEREOF: files of this machine that go into guests
    hypervisor    HOW: the text of a guest's configuration, a module for each hypervisor; pure
    image         HOW: files of images, paths and sizes and layers in, files out; knows no guest and no doit
    process       the one place that starts programs
    signals       what keeps signals back for a moment
    farm          WHAT: the guest list and what follows from it; pure, but for the reading of the list
    input_file    how files that others wrote are opened: regular ones only, and with a limit
    errors        what a user may see

In `image`, a layer (layer.py) is a list of files that goes into a file system. A master's tar is a big layer, a guest's
identity a small one, and both are written by the same few functions, in this process, by libext2fs (ext.py).
"""
