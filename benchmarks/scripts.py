"""How people make a guest by hand: short shell scripts that copy a master's image and put the guest's files into it.

Each makes `root.img`, `swap.img` and `guest.cfg` in the folder $OUT of the image $BASE, with the files of the folder
$EDITS, and syncs them: what Guestfarm makes of a guest, without what is Guestfarm's alone (README.md has the list).
"""

_COPY = """
cp "$COPY" --no-preserve=mode "$BASE" "$OUT/root.img"
"""

_MOUNT = """
mkdir "$OUT/mount"
trap 'umount "$OUT/mount"' EXIT
trap 'exit 143' TERM
mount -o loop "$OUT/root.img" "$OUT/mount"
(cd "$OUT/mount"; xargs rm -f <"$EDITS/removals")
cp -a --remove-destination "$EDITS/files/." "$OUT/mount/"
umount "$OUT/mount"
trap - EXIT
rmdir "$OUT/mount"
"""

_DEBUGFS = """
debugfs -w -f "$EDITS/commands" "$OUT/root.img"
tune2fs -U "$ROOT_UUID" "$OUT/root.img"
"""

_REST = """
truncate --size="$SWAP" "$OUT/swap.img"
mkswap --uuid "$SWAP_UUID" "$OUT/swap.img"
printf '%s' "$CONFIG" >"$OUT/guest.cfg"
sync "$OUT"/* "$OUT"
"""

BY_MOUNT = _COPY + _MOUNT + _REST
"""The classic: copy, loop mount, edit, unmount. Needs root. The clone keeps the master's UUID."""

BY_DEBUGFS = _COPY + _DEBUGFS + _REST
"""Without a mount, and without root. debugfs does not say when it fails."""

FILL = """
truncate --size="$SIZE" "$OUT/root.img"
mke2fs -q -F -t ext4 -E lazy_journal_init=1 -d "$TREE" "$OUT/root.img"
sync "$OUT/root.img" "$OUT"
"""
"""A file system with the files of the folder $TREE. $MKE2FS_CONFIG says with which features."""

UNPACK = """
mkdir "$TREE"
tar --extract --numeric-owner --same-permissions --xattrs --xattrs-include='*' --file "$TAR" --directory "$TREE"
"""
"""A master's files, as mke2fs wants them. Needs root, to give them their owners."""

GROW_BY_ZEROS = """
dd if=/dev/zero of="$IMAGE.zeros" bs=1M count="$MORE"
cat "$IMAGE.zeros" >>"$IMAGE"
rm "$IMAGE.zeros"
e2fsck -f -p "$IMAGE"
resize2fs -f "$IMAGE"
e2fsck -f -n "$IMAGE"
sync "$IMAGE"
"""
"""The classic: zeros are written to a file, and that is appended to the disk of a guest that is down."""

GROW_SPARSE = """
truncate --size="$SIZE" "$IMAGE"
e2fsck -f -p "$IMAGE"
resize2fs "$IMAGE"
e2fsck -f -n "$IMAGE"
sync "$IMAGE"
"""
"""The same by a hole: what is left is the time of the programs themselves, without anything to undo."""
