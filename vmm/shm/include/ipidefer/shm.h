/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libipidefer-shm: where a VM's segment lives. A VMM creates it as a POSIX
 * shared memory object, /ipidefer.NAME, with identity and clock filled in;
 * host tools list, open and clean up. What is in a segment:
 * <ipidefer/segment.h>; docs/SEGMENT.md.
 *
 *   start     shm = ipidefer_shm_create(&options, &error)
 *             vm = ipidefer_shm_vm(shm); ipidefer_shm_guard()
 *             the first policy; ipidefer_shm_publish(shm, &error)
 *   timer     ipidefer_tick(vm, ...); now and then ipidefer_shm_set_clock(shm)
 *   end       ipidefer_shm_destroy(shm)
 *
 * A segment appears under its name complete, with the policy that the VMM starts
 * with, or not at all: what a tool finds there is the VM's, and what it writes
 * there stays. That of a VMM that died stays, until a VM of the same name starts or somebody removes it; it
 * names its owner's pid and start time, by which everybody can tell.
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

/** Where POSIX shared memory objects are. */
#define IPIDEFER_SHM_DIRECTORY "/dev/shm"
/** What the file names of segments begin with; the VM's name follows, in which
 *  all bytes but letters, digits and _.+:@- are written as %XX. */
#define IPIDEFER_SHM_PREFIX "ipidefer."

/** Why something could not be done. */
struct ipidefer_shm_error {
    int code; /**< as errno */
    char text[384];
};

/* ---- VMM -------------------------------------------------------------- */

struct ipidefer_shm_options {
    const char *directory; /**< NULL: IPIDEFER_SHM_DIRECTORY */
    const char *name;      /**< 1..127 bytes */
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

/** Let others find the segment, once. One of the same name whose owner is gone
 *  is replaced.
 *  @return 0, or -1 with error set: EEXIST when a running VM has the name */
int ipidefer_shm_publish(ipidefer_shm *shm, struct ipidefer_shm_error *error);

/** The VM, until ipidefer_shm_destroy(). */
ipidefer_vm *ipidefer_shm_vm(ipidefer_shm *shm);

/** Take a new clock sample. Corrects drift between the clocks, and improves
 *  the TSC's frequency with the time that has passed since creation. */
void ipidefer_shm_set_clock(ipidefer_shm *shm);

/** The guest's TSC minus the host's, for who merges traces of both. */
void ipidefer_shm_set_guest_tsc_offset(ipidefer_shm *shm, int64_t offset);

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

/** A mapped file that calls itself a segment; nothing in it is checked. */
typedef struct ipidefer_shm_map ipidefer_shm_map;

/** @param writable to set the policy
 *  @return NULL on failure: ENOENT when there is no such VM, EINVAL when the
 *          file is too small to be a segment */
ipidefer_shm_map *ipidefer_shm_open(const char *directory, const char *name,
                                    bool writable,
                                    struct ipidefer_shm_error *error);
void *ipidefer_shm_memory(ipidefer_shm_map *map);
size_t ipidefer_shm_bytes(const ipidefer_shm_map *map);
/** Has ipidefer_shm_guard()'s handler replaced the memory? */
bool ipidefer_shm_truncated(const ipidefer_shm_map *map);
void ipidefer_shm_close(ipidefer_shm_map *map);

/** Call `each` with the VM name of every segment, in no order.
 *  @return 0, or -1 with error set */
int ipidefer_shm_list(const char *directory,
                      void (*each)(void *opaque, const char *name),
                      void *opaque, struct ipidefer_shm_error *error);

/** The VM's name, from a file name; false when it is not one of a segment.
 *  @param name IPIDEFER_SEGMENT_NAME bytes */
bool ipidefer_shm_name_of_file(const char *file, char *name);

enum ipidefer_shm_life {
    IPIDEFER_SHM_RUNS,
    IPIDEFER_SHM_GONE,
    IPIDEFER_SHM_UNKNOWN /**< of another pid namespace, or hidden */
};

/** Does the process still run that wrote this into its segment? The three are
 *  the header's fields of these names. */
enum ipidefer_shm_life ipidefer_shm_owner(uint64_t pid, uint64_t pid_start,
                                           uint64_t pid_ns);

/** Remove the segment of a VMM that is gone, and no other.
 *  @return 0, or -1 with error set: EBUSY when its owner runs or cannot be
 *          told, ENOENT when there is none, EINVAL when it is no segment */
int ipidefer_shm_remove_stale(const char *directory, const char *name,
                              struct ipidefer_shm_error *error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPIDEFER_SHM_H */
