"""libext2fs, the library under mke2fs, debugfs and e2fsck, as called from Python."""

import errno
import os
from functools import cache
from typing import Any, cast

from cffi import FFI

from pipeline.errors import ImageError, ProcessError

ffi = FFI()
# As in ext2fs.h, ext2_fs.h and ext2_io.h, which are the library's stable interface. Structures that the library alone
# allocates end after the last member that is used here; an inode has room for the largest, 4096 bytes. `long` stands
# for errcode_t and time_t.
ffi.cdef("""
typedef uint32_t ext2_ino_t;
typedef unsigned long long blk64_t;
typedef struct struct_io_channel *io_channel;
typedef struct ext2_file *ext2_file_t;
typedef struct ext2_xattr_handle ext2_xattr_handle;

struct ext2_super_block {
    uint32_t s_inodes_count, s_blocks_count, s_r_blocks_count, s_free_blocks_count;
    uint32_t s_free_inodes_count, s_first_data_block, s_log_block_size, s_log_cluster_size;
    uint32_t s_blocks_per_group, s_clusters_per_group, s_inodes_per_group, s_mtime, s_wtime;
    uint16_t s_mnt_count, s_max_mnt_count, s_magic, s_state, s_errors, s_minor_rev_level;
    uint32_t s_lastcheck, s_checkinterval, s_creator_os, s_rev_level;
    uint16_t s_def_resuid, s_def_resgid;
    uint32_t s_first_ino;
    uint16_t s_inode_size, s_block_group_nr;
    uint32_t s_feature_compat, s_feature_incompat, s_feature_ro_compat;
    uint8_t s_uuid[16];
    uint8_t s_names[84];
    uint16_t s_prealloc, s_reserved_gdt_blocks;
    uint8_t s_between[164];
    uint8_t s_log_groups_per_flex;
};

struct ext2_inode_large {
    uint16_t i_mode, i_uid;
    uint32_t i_size, i_atime, i_ctime, i_mtime, i_dtime;
    uint16_t i_gid, i_links_count;
    uint32_t i_blocks, i_flags, i_version;
    uint32_t i_block[15];
    uint32_t i_generation, i_file_acl, i_size_high, i_faddr;
    uint16_t i_blocks_hi, i_file_acl_high, i_uid_high, i_gid_high, i_checksum_lo, i_reserved;
    uint16_t i_extra_isize, i_checksum_hi;
    uint32_t i_ctime_extra, i_mtime_extra, i_atime_extra, i_crtime, i_crtime_extra, i_version_hi, i_projid;
    uint8_t rest[3936];
};

struct ext2_dir_entry {
    uint32_t inode;
    uint16_t rec_len, name_len;
    char name[255];
};

typedef struct struct_ext2_filsys {
    long magic;
    io_channel io;
    int flags;
    char *device_name;
    struct ext2_super_block *super;
    unsigned int blocksize;
    int fragsize;
    uint32_t group_desc_count;
    unsigned long desc_blocks;
    void *group_desc;
    unsigned int inode_blocks_per_group;
    void *inode_map, *block_map;
    void *get_blocks, *check_directory, *write_bitmaps, *read_inode, *write_inode, *badblocks, *dblist;
    uint32_t stride;
    void *orig_super, *image_header;
    uint32_t umask;
    long now;
} *ext2_filsys;

typedef struct struct_io_manager {
    long magic;
    const char *name;
    void *open, *close, *set_blksize, *read_blk;
    long (*write_blk)(io_channel channel, unsigned long block, int count, const void *data);
    void *flush;
    long (*write_byte)(io_channel channel, unsigned long offset, int count, const void *data);
    void *set_option, *get_stats, *read_blk64;
    long (*write_blk64)(io_channel channel, unsigned long long block, int count, const void *data);
    long (*discard)(io_channel channel, unsigned long long block, unsigned long long count);
    void *cache_readahead;
    long (*zeroout)(io_channel channel, unsigned long long block, unsigned long long count);
    long reserved[14];
} *io_manager;

struct struct_io_channel {
    long magic;
    io_manager manager;
    char *name;
    int block_size;
};

extern void *unix_io_manager;
extern void *undo_io_manager;
long set_undo_io_backing_manager(void *manager);
long set_undo_io_backup_file(char *name);

void initialize_ext2_error_table(void);
int ext2fs_get_library_version(const char **version, const char **date);
long ext2fs_open2(const char *name, const char *io_options, int flags, int superblock, unsigned int block_size,
                  void *manager, ext2_filsys *fs);
long ext2fs_flush2(ext2_filsys fs, int flags);
void ext2fs_free(ext2_filsys fs);
long ext2fs_read_bitmaps(ext2_filsys fs);
long ext2fs_set_gdt_csum(ext2_filsys fs);
blk64_t ext2fs_blocks_count(struct ext2_super_block *super);
int ext2fs_bg_has_super(ext2_filsys fs, uint32_t group);
blk64_t ext2fs_block_bitmap_loc(ext2_filsys fs, uint32_t group);
blk64_t ext2fs_inode_bitmap_loc(ext2_filsys fs, uint32_t group);
blk64_t ext2fs_inode_table_loc(ext2_filsys fs, uint32_t group);

long ext2fs_new_inode(ext2_filsys fs, ext2_ino_t dir, int mode, void *map, ext2_ino_t *inode);
void ext2fs_inode_alloc_stats2(ext2_filsys fs, ext2_ino_t inode, int inuse, int isdir);
long ext2fs_read_inode_full(ext2_filsys fs, ext2_ino_t number, void *inode, int size);
long ext2fs_write_inode_full(ext2_filsys fs, ext2_ino_t number, void *inode, int size);
int ext2fs_inode_has_valid_blocks2(ext2_filsys fs, void *inode);
int ext2fs_is_fast_symlink(void *inode);

long ext2fs_mkdir(ext2_filsys fs, ext2_ino_t parent, ext2_ino_t number, const char *name);
long ext2fs_symlink(ext2_filsys fs, ext2_ino_t parent, ext2_ino_t number, const char *name, const char *target);
long ext2fs_link(ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t number, int flags);
long ext2fs_unlink(ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t number, int flags);
long ext2fs_expand_dir(ext2_filsys fs, ext2_ino_t dir);
long ext2fs_lookup(ext2_filsys fs, ext2_ino_t dir, const char *name, int namelen, char *buf, ext2_ino_t *number);
long ext2fs_dir_iterate(ext2_filsys fs, ext2_ino_t dir, int flags, char *block_buf,
                        int (*func)(struct ext2_dir_entry *entry, int offset, int blocksize, char *buf, void *priv),
                        void *priv);

long ext2fs_fallocate(ext2_filsys fs, int flags, ext2_ino_t number, void *inode, blk64_t goal, blk64_t start,
                      blk64_t length);
long ext2fs_bmap2(ext2_filsys fs, ext2_ino_t number, void *inode, char *block_buf, int bmap_flags, blk64_t block,
                  int *ret_flags, blk64_t *physical);
typedef struct ext2_extent_handle *ext2_extent_handle_t;
struct ext2fs_extent {
    blk64_t e_pblk, e_lblk;
    uint32_t e_len, e_flags;
};
long ext2fs_extent_open2(ext2_filsys fs, ext2_ino_t number, void *inode, ext2_extent_handle_t *handle);
long ext2fs_extent_goto(ext2_extent_handle_t handle, blk64_t block);
long ext2fs_extent_get(ext2_extent_handle_t handle, int flags, struct ext2fs_extent *extent);
void ext2fs_extent_free(ext2_extent_handle_t handle);
long ext2fs_punch(ext2_filsys fs, ext2_ino_t number, void *inode, char *block_buf, blk64_t start, blk64_t end);
long ext2fs_inode_size_set(ext2_filsys fs, void *inode, long size);
long io_channel_set_options(io_channel channel, const char *options);
long io_channel_discard(io_channel channel, unsigned long long block, unsigned long long count);
long io_channel_write_blk64(io_channel channel, unsigned long long block, int count, const void *data);
long ext2fs_file_open(ext2_filsys fs, ext2_ino_t number, int flags, ext2_file_t *file);
long ext2fs_file_read(ext2_file_t file, void *buffer, unsigned int wanted, unsigned int *got);
long ext2fs_file_close(ext2_file_t file);

long ext2fs_xattrs_open(ext2_filsys fs, ext2_ino_t number, ext2_xattr_handle **handle);
long ext2fs_xattrs_read(ext2_xattr_handle *handle);
long ext2fs_xattrs_close(ext2_xattr_handle **handle);
long ext2fs_xattrs_iterate(ext2_xattr_handle *handle,
                           int (*func)(char *name, char *value, size_t length, void *priv), void *priv);
long ext2fs_xattr_get(ext2_xattr_handle *handle, const char *key, void **value, size_t *length);
long ext2fs_free_mem(void *pointer);
long ext2fs_xattr_set(ext2_xattr_handle *handle, const char *key, const void *value, size_t length);
long ext2fs_free_ext_attr(ext2_filsys fs, ext2_ino_t number, void *inode);
const char *error_message(long code);
""")

# From ext2fs.h and ext2_fs.h.
FLAG_RW = 0x01
FLAG_SUPER_CHANGED = 0x02 | 0x04
"""EXT2_FLAG_CHANGED and EXT2_FLAG_DIRTY: what ext2fs_mark_super_dirty() sets."""
FLAG_MASTER_SUPER_ONLY = 0x200
"""EXT2_FLAG_MASTER_SB_ONLY, which ext2fs_open() sets: backups of the superblock are left alone."""
FLAG_SUPER_ONLY = 0x800
FLAG_64BITS = 0x20000
FLUSH_NO_SYNC = 1
FALLOCATE_INITIALISED = 0x2 | 0x8
"""EXT2_FALLOCATE_FORCE_INIT and EXT2_FALLOCATE_INIT_BEYOND_EOF: blocks that will be written at once."""
EXTENT_CURRENT = 0
GOAL_ANYWHERE = 2**64 - 1
ROOT_INODE = 2
RESIZE_INODE = 7
DOUBLY_INDIRECT = 13
"""EXT2_DIND_BLOCK: where i_block has the map of the maps of blocks."""
LINK_MAX = 65000
"""EXT2_LINK_MAX: how many names a file can have."""

COMPAT_HAS_JOURNAL = 0x0004
COMPAT_ORPHAN_FILE = 0x1000
INCOMPAT_RECOVER = 0x0004
INCOMPAT_EXTENTS = 0x0040
INCOMPAT_CSUM_SEED = 0x2000
RO_COMPAT_GDT_CSUM = 0x0010
RO_COMPAT_METADATA_CSUM = 0x0400
INCOMPAT_EXT4 = ~(0x0002 | 0x0004 | 0x0010)
RO_COMPAT_EXT4 = ~(0x0001 | 0x0002 | 0x0004)
"""All but what ext3 may have: filetype, recover, meta_bg; sparse_super, large_file, btree_dir. So decides blkid too."""

STATE_CLEAN = 0x0001
STATE_ERRORS = 0x0002

SMALL_INODE = 128
LARGE_INODE = 160
"""The sizes in bytes of struct ext2_inode and struct ext2_inode_large."""

INODE_EXTENTS = 0x00080000
EMPTY_EXTENT_HEADER = (0xF30A, 4, 0)
"""The first words of i_block: magic 0xF30A with no entries; room for four at depth 0; generation 0."""

# From ext2_err.h.
BAD_MAGIC = 2133571347
SHORT_READ = 2133571364
DIR_NO_SPACE = 2133571366
BLOCK_ALLOC_FAIL = 2133571400
INODE_ALLOC_FAIL = 2133571401
FILE_NOT_FOUND = 2133571404


class ExtError(ImageError):
    """libext2fs could not do what it was asked to; `code` is its error code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(_text(_com_err().error_message(code)))


def check(code: int) -> None:
    """Raise ExtError for the error `code` that a function of the library returned, if it is one.

    But OSError when the disk that the image is on is full: that is no matter of the image.
    """
    if code == errno.ENOSPC:
        raise OSError(code, os.strerror(code))
    if code:
        raise ExtError(code)


@cache
def library() -> Any:  # noqa: ANN401  # cffi makes the library's functions at run time
    """The library itself. Raises ProcessError where it is not installed."""
    opened = _opened("libext2fs.so.2")
    opened.initialize_ext2_error_table()
    return opened


@cache
def version() -> str:
    """The library's version, as 1.47.0."""
    text = ffi.new("const char **")
    library().ext2fs_get_library_version(text, ffi.NULL)
    return _text(text[0])


def _text(string: Any) -> str:  # noqa: ANN401  # as above
    return cast(bytes, ffi.string(string)).decode()


@cache
def _com_err() -> Any:  # noqa: ANN401  # as above
    library()  # it registers its own messages
    return _opened("libcom_err.so.2")


def _opened(name: str) -> Any:  # noqa: ANN401  # as above
    try:
        return ffi.dlopen(name)
    except OSError as error:
        raise ProcessError(
            f"the library {name} is missing", "it comes with e2fsprogs; on Debian: make setup"
        ) from error
