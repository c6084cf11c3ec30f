/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libipidefer-shm: where a VM's segment lives. A VMM creates it as a file of
 * shared memory, with identity and clock filled in; host tools list, open and
 * clean up. What is in a segment: <ipidefer/segment.h>; docs/SEGMENT.md.
 *
 *   start     shm = ipidefer_shm_create(&options, &error)
 *             vm = ipidefer_shm_vm(shm); ipidefer_shm_guard()
 *             the first policy; ipidefer_shm_publish(shm, &error)
 *   timer     ipidefer_tick(vm, ...); now and then ipidefer_shm_set_clock(shm)
 *   end       ipidefer_shm_destroy(shm)
 *
 * A segment appears under its name complete, with the policy that the VMM starts
 * with, or not at all: what a tool finds there is the VM's, and what it writes
 * there stays. Until then it is a file without a name, which a VMM that is
 * killed cannot leave behind.
 *
 * Each user's segments are in a folder of this user's own. A file is named after
 * its VM and a random number, so that no other file is in its way; who looks for
 * a VM believes the file's owner, and not its name.
 *
 * A VMM holds a write lock on its file (an open file description lock) for as
 * long as it has it open: so everybody who can open the file can tell whether
 * the VM runs, also from another pid namespace. The file of a VMM that was
 * killed stays, until the same user starts a VM of the same name or somebody
 * removes it.
 *
 * Threads: all functions may run on any thread; one object at a time.
 * No exception leaves them.
 */
#ifndef IPIDEFER_SHM_H
#define IPIDEFER_SHM_H

#include <ipidefer/ipidefer.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where the folders of all users are: IPIDEFER_SHM_PARENT/ipidefer-UID. Where
 *  another user's is in the way, ".", eight hexadecimal digits follow. */
#define IPIDEFER_SHM_PARENT "/dev/shm"
#define IPIDEFER_SHM_FOLDER "ipidefer-"
/** What the file names of segments begin with. The VM's name follows, in which
 *  all bytes but letters, digits and _.+:@- are written as %XX; then "~" and
 *  eight hexadecimal digits. What follows the prefix is the segment's ID. */
#define IPIDEFER_SHM_PREFIX "ipidefer."
/** Bytes of an ID, with its NUL. */
#define IPIDEFER_SHM_ID 256u

/** Why something could not be done. */
struct ipidefer_shm_error {
    int code; /**< as errno */
    char text[384];
};

/** Bytes of a name as ipidefer_shm_show_name() writes it, with its NUL. */
#define IPIDEFER_SHM_SHOWN (3u * (IPIDEFER_SEGMENT_NAME - 1) + 1)

/** A VM's name, which is any bytes, as text for a terminal, a log, JSON or a
 *  label: UTF-8, where % and whatever is no printable character are %XX.
 *  Different names are shown differently.
 *  @param name  at most IPIDEFER_SEGMENT_NAME - 1 bytes are shown
 *  @param shown IPIDEFER_SHM_SHOWN bytes
 *  @return shown */
const char *ipidefer_shm_show_name(const char *name, char *shown);
/** The name that is shown like this.
 *  @param name IPIDEFER_SEGMENT_NAME bytes
 *  @return false when no name is */
bool ipidefer_shm_read_name(const char *shown, char *name);

/* ---- VMM -------------------------------------------------------------- */

struct ipidefer_shm_options {
    const char *directory; /**< NULL: the user's own, see above, which is made
                                where there is none. Any other must be root's
                                or the user's, and either sticky or not
                                writable by others */
    const char *name;      /**< of the VM, 1..127 bytes; need not be unique */
    const char *producer;  /**< the VMM and its version; cut to 63 bytes */
    uint32_t vcpus;
    uint32_t ring_entries; /**< see ipidefer_segment_bytes() */
    mode_t mode;           /**< permission bits; 0: 0600. Whoever may write can
                                set the policy and falsify what is shown */
    gid_t group;           /**< (gid_t)-1: leave it */
};

typedef struct ipidefer_shm ipidefer_shm;

/** Create the segment, without a name yet, and its VM; takes 20 ms to measure
 *  the TSC.
 *  @return NULL on failure */
ipidefer_shm *ipidefer_shm_create(const struct ipidefer_shm_options *options,
                                  struct ipidefer_shm_error *error);

/** Let others find the segment, once. Removes segments of this name and user
 *  whose VMM is gone. Other VMs of the name are no obstacle: they have other IDs.
 *  @return 0, or -1 with error set */
int ipidefer_shm_publish(ipidefer_shm *shm, struct ipidefer_shm_error *error);

/** The VM, until ipidefer_shm_destroy(). */
ipidefer_vm *ipidefer_shm_vm(ipidefer_shm *shm);

/** Take a new clock sample. Corrects drift between the clocks, and improves
 *  the TSC's frequency with the time that has passed since creation. */
void ipidefer_shm_set_clock(ipidefer_shm *shm);

/** The guest's TSC minus the host's, for who merges traces of both. */
void ipidefer_shm_set_guest_tsc_offset(ipidefer_shm *shm, int64_t offset);

/** The segment's ID; empty before ipidefer_shm_publish(). */
const char *ipidefer_shm_id(const ipidefer_shm *shm);

/** Mark the segment as ended and remove its name. The VM can still be used: for
 *  a way out on which threads that use it cannot be stopped, as in an atexit(3)
 *  handler. */
void ipidefer_shm_end(ipidefer_shm *shm);

/** Do the same, and destroy the VM. NULL: no effect. */
void ipidefer_shm_destroy(ipidefer_shm *shm);

/** Survive the truncation of a segment, which whoever may write it can do, and
 *  which makes the next access a SIGBUS: install a handler that puts zeroed
 *  private memory in its place. Zeroes mean "deliver everything", and look
 *  like no segment to readers. Other SIGBUS go to the handler that was there
 *  before. For the whole process, once; install own handlers before. A thread
 *  that blocks SIGBUS is killed by its access all the same.
 *  @return 0, or -1 with error set */
int ipidefer_shm_guard(struct ipidefer_shm_error *error);

/**
 * A thread that blocks SIGBUS, to take memory errors from a signalfd for example
 * (BUS_MCEERR_AO), lets it through while it uses the VM: ipidefer_shm_enter() to
 * ipidefer_shm_leave(), which may be nested. A signal that tells of no access of
 * this thread is kept meanwhile, and raised again with all that it says when the
 * mask is as before: it never gets to the process's own handler within the
 * scope. Any other SIGBUS that is not about a segment ends the process, as it
 * would where it is blocked.
 */
struct ipidefer_shm_scope {
    bool entered;
    sigset_t before;
};
void ipidefer_shm_enter(struct ipidefer_shm_scope *scope);
/** No effect on a zeroed scope, and on one that has been left. */
void ipidefer_shm_leave(struct ipidefer_shm_scope *scope);

/** The calling thread lets SIGBUS through from now on, and its signals go to the
 *  process's own handler. For threads that need no scope, such as vCPUs: then
 *  entering one has no effect. */
void ipidefer_shm_unblock(void);

/**
 * A spot to come back to when guest memory turns out to be inaccessible: a page
 * that is poisoned, or beyond the end of its file.
 *
 *     struct ipidefer_shm_trap trap;
 *     if (IPIDEFER_SHM_TRAPPED(&trap))
 *         ... trap.address, trap.bytes: where; nothing was accessed there
 *     else
 *         access, ipidefer_shm_disarm(&trap);
 *
 * As with setjmp(3): locals that change in between are indeterminate, and the
 * function may not return while the trap is armed. One that was sprung is not
 * armed any more. What is left by it holds no lock and owns nothing, as is true
 * of all functions of libipidefer. Needs ipidefer_shm_guard(), and SIGBUS not
 * blocked.
 */
struct ipidefer_shm_trap {
    sigjmp_buf jump;
    struct ipidefer_shm_trap *outer;
    void *address; /**< first byte that cannot be accessed */
    size_t bytes;  /**< how many from there on, as far as is known */
};
sigjmp_buf *ipidefer_shm_arm(struct ipidefer_shm_trap *trap);
void ipidefer_shm_disarm(struct ipidefer_shm_trap *trap);
#define IPIDEFER_SHM_TRAPPED(trap) \
    (sigsetjmp(*ipidefer_shm_arm(trap), 0) != 0)

/* ---- Tools ------------------------------------------------------------ */

/** Where to look for segments, and whose to believe. */
struct ipidefer_shm_place {
    const char *directory; /**< NULL: the owners' folders. Any other must be
                                root's or one owner's, and either sticky or not
                                writable by others */
    const uid_t *owners;   /**< NULL: root and the calling process's user */
    size_t owner_count;
};

/** A file that calls itself a segment. */
struct ipidefer_shm_entry {
    char id[IPIDEFER_SHM_ID];
    char name[IPIDEFER_SEGMENT_NAME]; /**< of the VM, as its file says; any
                                           bytes but NUL */
    uid_t owner;
    uint64_t published_ns; /**< CLOCK_REALTIME, by the file system */
};

/** What is in the folders, but is not listed. */
struct ipidefer_shm_left_out {
    size_t foreign; /**< named like segments, and somebody else's */
    size_t other;   /**< an owner's, and no regular file or without an ID */
};

/** Call `each` with every segment, in no order.
 *  @param left_out NULL: do not count
 *  @return 0, or -1 with error set */
int ipidefer_shm_list(const struct ipidefer_shm_place *place,
                      void (*each)(void *opaque,
                                   const struct ipidefer_shm_entry *entry),
                      void *opaque, struct ipidefer_shm_left_out *left_out,
                      struct ipidefer_shm_error *error);

/** Call `each` with every folder that ipidefer_shm_list() reads now.
 *  @return 0, or -1 with error set */
int ipidefer_shm_folders(const struct ipidefer_shm_place *place,
                         void (*each)(void *opaque, const char *path),
                         void *opaque, struct ipidefer_shm_error *error);

/** The VM's name, from a file name; false when it is not one of a segment.
 *  @param name IPIDEFER_SEGMENT_NAME bytes */
bool ipidefer_shm_name_of_file(const char *file, char *name);

/** A mapped file that calls itself a segment; nothing in it is checked. */
typedef struct ipidefer_shm_map ipidefer_shm_map;

/** @param writable to set the policy
 *  @return NULL on failure: ENOENT when there is no such segment, EPERM when it
 *          is somebody else's, EINVAL when the file is too small */
ipidefer_shm_map *ipidefer_shm_open(const struct ipidefer_shm_place *place,
                                    const char *id, bool writable,
                                    struct ipidefer_shm_error *error);
void *ipidefer_shm_memory(ipidefer_shm_map *map);
size_t ipidefer_shm_bytes(const ipidefer_shm_map *map);
/** Of the file. */
uid_t ipidefer_shm_owner(const ipidefer_shm_map *map);
/** Has ipidefer_shm_guard()'s handler replaced the memory? */
bool ipidefer_shm_truncated(const ipidefer_shm_map *map);
void ipidefer_shm_close(ipidefer_shm_map *map);

enum ipidefer_shm_life {
    IPIDEFER_SHM_RUNS,
    IPIDEFER_SHM_GONE,
    IPIDEFER_SHM_UNKNOWN /**< the file system does not tell of locks */
};

/** Does the VMM still have its segment open? Takes no lock itself. */
enum ipidefer_shm_life ipidefer_shm_life_of(const ipidefer_shm_map *map);

/** Remove the segment of a VMM that is gone, and no other.
 *  @return 0, or -1 with error set: EBUSY when its VMM runs, ENOENT when there
 *          is none, EPERM when it is somebody else's */
int ipidefer_shm_remove_stale(const struct ipidefer_shm_place *place,
                              const char *id,
                              struct ipidefer_shm_error *error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPIDEFER_SHM_H */
