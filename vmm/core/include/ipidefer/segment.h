/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The per-VM segment: the one block of memory that a VMM shares with the host
 * tools. Layout version 2; docs/SEGMENT.md says how to read it.
 *
 * libipidefer lays it out (ipidefer_vm_create_in()), and writes everything
 * but the identity and the clock, which are the VMM's (vmm/shm). Where the
 * host's KVM decides, it counts and traces here too (vmm/linux-kvm, which has a
 * copy of this file). Tools read everything and write the policy words only;
 * the leases of those who trace are among them.
 *
 * Trust: the VMM reads nothing from here but the policy words, each through a
 * mask, and the number of the next event, of which it uses the entry of the
 * ring that it stands for. Sizes, offsets, other indices and times that it
 * relies on are kept elsewhere, so whoever can write here can change the policy
 * and falsify what is shown, and no more (I7). Readers in turn believe nothing before they have
 * checked it against the size of what they mapped.
 *
 * All values are little endian. Fields that change while the VM runs are read
 * and written with single aligned accesses. Times are values of the host's
 * TSC; 0 means never.
 */
#ifndef IPIDEFER_SEGMENT_H
#define IPIDEFER_SEGMENT_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#ifdef __cplusplus
#define IPIDEFER_SEGMENT_ASSERT(cond) static_assert(cond, #cond)
extern "C" {
#else
#define IPIDEFER_SEGMENT_ASSERT(cond) _Static_assert(cond, #cond)
#endif

/** "IPIDSEG1" as bytes. */
#define IPIDEFER_SEGMENT_MAGIC 0x3147455344495049ull
/**
 * Counts up with each change that older readers would misread. What is only
 * appended to the header shows in header_bytes, and is no new version.
 */
#define IPIDEFER_SEGMENT_VERSION 2u
/** Every part starts at a multiple of this. */
#define IPIDEFER_SEGMENT_ALIGN 4096u

#define IPIDEFER_SEGMENT_NAME 128u
#define IPIDEFER_SEGMENT_PRODUCER 64u
#define IPIDEFER_SEGMENT_TYPED 32u
#define IPIDEFER_SEGMENT_SLOTS 8u
#define IPIDEFER_SEGMENT_MAX_VCPUS 4096u
/** Most entries of the trace ring; their number is 0 or a power of two. */
#define IPIDEFER_SEGMENT_MAX_RING (1u << 20)
/** Most readers that can have a VM traced at a time. */
#define IPIDEFER_SEGMENT_LEASES 32u

enum ipidefer_segment_state {
	IPIDEFER_SEGMENT_BUILDING = 0, /**< not complete yet */
	IPIDEFER_SEGMENT_LIVE = 1,
	IPIDEFER_SEGMENT_ENDED = 2 /**< the VMM ended in an orderly way */
};

/** The same moment on three clocks. */
struct ipidefer_clock_sample {
	uint64_t tsc;
	uint64_t monotonic_ns; /**< CLOCK_MONOTONIC */
	uint64_t realtime_ns;  /**< CLOCK_REALTIME */
};

/** At offset 0. */
struct ipidefer_segment {
	uint64_t magic;        /**< IPIDEFER_SEGMENT_MAGIC, written last */
	uint32_t version;      /**< IPIDEFER_SEGMENT_VERSION */
	uint32_t header_bytes; /**< sizeof(struct ipidefer_segment), or more */
	uint64_t total_bytes;
	uint32_t state; /**< enum ipidefer_segment_state */
	uint32_t vcpus; /**< 1..IPIDEFER_SEGMENT_MAX_VCPUS */

	uint64_t policy_offset;    /**< struct ipidefer_segment_policy */
	uint64_t counters_offset;  /**< see struct ipidefer_segment_counters */
	uint64_t view_offset;      /**< struct ipidefer_segment_view[vcpus] */
	uint64_t ring_offset;      /**< ring_entries entries */
	uint32_t ring_entries;     /**< 0: no trace ring */
	uint32_t ring_entry_bytes; /**< struct ipidefer_trace_entry and its mask */

	/*
	 * Vectors that have counters: the first typed_used. When there are too many
	 * of them, one that no vCPU has bound any more gives way to another: then
	 * its entry is 0 while its counters are zeroed. So a reader looks at the
	 * entry before and after it reads counters.
	 */
	uint32_t typed_used;
	uint32_t reserved0;
	uint8_t typed_vector[IPIDEFER_SEGMENT_TYPED];
	uint64_t trace_dropped; /**< events that found their entry still in use */

	/* Identity, by the VMM. */
	char name[IPIDEFER_SEGMENT_NAME];         /**< NUL-terminated */
	char producer[IPIDEFER_SEGMENT_PRODUCER]; /**< program; NUL-terminated */
	uint64_t pid;    /**< for people: who runs is told by the file's lock */
	uint64_t pid_ns; /**< inode of the pid namespace that pid is from */
	uint64_t reserved1;

	/* Clock, by the VMM: odd while it is being written. */
	uint32_t clock_seq;
	uint32_t guest_tsc_known; /**< guest_tsc_offset means something */
	struct ipidefer_clock_sample clock;
	uint64_t tsc_hz;          /**< 0: not known */
	int64_t guest_tsc_offset; /**< guest's TSC minus host's TSC */

	/* On a cache line of its own: written by each event. */
	uint64_t trace_next; /**< number of the next event; see the trace ring */
	uint64_t reserved2[7];
};

/**
 * What became of one typed IPI to one target (invariant I1: exactly one).
 * DEFERRED and COALESCED: recorded in the target's word; send nothing.
 * Everything else: go on as if the core did not exist.
 */
enum ipidefer_verdict {
	IPIDEFER_PASSED = 0,             /**< not a typed vector; not counted */
	IPIDEFER_DEFERRED,               /**< work bit newly set */
	IPIDEFER_COALESCED,              /**< work bit was set already */
	IPIDEFER_DELIVERED_IN_KERNEL,    /**< the word does not accept work now */
	IPIDEFER_DELIVERED_NOT_ISOLATED, /**< policy: target not isolated */
	IPIDEFER_DELIVERED_NOT_BOUND,    /**< target has no binding for the vector */
	IPIDEFER_DELIVERED_POLICY,       /**< switched off: all, vector or context */
	IPIDEFER_DELIVERED_BAD_WORD,     /**< the word's memory is gone */
	IPIDEFER_DELIVERED_CONTENDED,    /**< the bounded CAS loop ran out */
	IPIDEFER_VERDICTS                /**< number of verdicts */
};

/** Contexts that policy may allow deferral in; OR them. */
enum ipidefer_context {
	IPIDEFER_CONTEXT_USER = 1u << 0,
	IPIDEFER_CONTEXT_GUEST = 1u << 1,
	IPIDEFER_CONTEXT_IDLE = 1u << 2,
	IPIDEFER_CONTEXTS_ALL = 7u
};

/**
 * What the operator allows. Any value of any field is valid: unknown bits
 * are ignored. All zeroes: everything is delivered.
 */
struct ipidefer_segment_policy {
	uint32_t enabled;    /**< bit 0: the kill switch is not pulled */
	uint32_t contexts;   /**< OR of enum ipidefer_context */
	uint64_t denied[4];  /**< bit v: vector v is not deferred */
	uint64_t max_age_ns; /**< deliver what has waited longer; 0: never */
	/**
	 * What is traced now, OR of enum ipidefer_trace_kind: trace_base and all
	 * leases.
	 */
	uint32_t trace;
	uint32_t changes;    /**< counted up by whoever has changed a field */
	uint32_t trace_base; /**< what is traced with no reader, by the VMM */
	uint32_t reserved;
	uint64_t isolated[IPIDEFER_SEGMENT_MAX_VCPUS / 64]; /**< bit per vCPU */
	/**
	 * What readers want to have traced: ipidefer_lease_take(). A word is 0, or
	 * a holder's random number in [63:32], a count that the holder changes
	 * while it lives in [31:8], and kinds in [7:0]; it changes by
	 * compare-and-swap only. The VMM ends a lease whose word has not changed
	 * for IPIDEFER_LEASE_NS.
	 */
	uint64_t lease[IPIDEFER_SEGMENT_LEASES];
};

/**
 * Verdicts of one (typed vector, target), indexed
 * [typed index * (vcpus + 1) + target]; the last target stands for all that
 * are out of range.
 */
struct ipidefer_segment_counters {
	uint64_t verdict[8]; /**< by enum ipidefer_verdict, less one */
	uint64_t max_age;    /**< delivered in addition, for their age */
	/**
	 * Of all that was delivered: found the vector pending in the local APIC;
	 * 0 where the VMM does not see.
	 */
	uint64_t merged;
	uint64_t reserved[6];
};

/** One bound word, as the VMM last saw it. */
struct ipidefer_segment_slot {
	/* Constant while bound; read under the view's seq. */
	uint64_t word_gpa;
	uint32_t accept_mask;
	uint32_t accept_value;
	uint32_t work_bit;
	uint32_t state_mask;
	uint8_t state_shift;
	uint8_t vector;
	uint8_t state_user;
	uint8_t state_guest;
	uint8_t state_idle;
	uint8_t lost; /**< 1: the memory behind the word is gone */
	uint8_t reserved0[2];
	/* Change at any time. */
	uint32_t word;
	uint32_t reserved1;
	uint64_t seen;          /**< when `word` was read */
	/**
	 * When the work bit was set (with a max_age) or first seen set by a
	 * tick; 0: neither yet.
	 */
	uint64_t pending_since;
	uint64_t reserved2;
};

/** The bindings of one vCPU. */
struct ipidefer_segment_view {
	uint32_t seq;   /**< odd while it is being written */
	uint32_t count; /**< slots in use, 0..IPIDEFER_SEGMENT_SLOTS */
	uint64_t reserved[7];
	struct ipidefer_segment_slot slot[IPIDEFER_SEGMENT_SLOTS];
};

/** What to trace. */
enum ipidefer_trace_kind {
	IPIDEFER_TRACE_SEND = 1u << 0,    /**< every ICR write */
	IPIDEFER_TRACE_VERDICT = 1u << 1, /**< what became of typed ones */
	IPIDEFER_TRACE_ALL = 3u
};

/** How long a lease lasts that is not renewed, nanoseconds. */
#define IPIDEFER_LEASE_NS 3000000000ull

/**
 * `verdict` of an event that is no IPI's verdict: recorded work had waited
 * longer than max_age, and its vector was delivered in addition.
 */
#define IPIDEFER_TRACE_MAX_AGE 0x80u

/** What a target did, by its word, when it was looked at. */
enum ipidefer_trace_context {
	IPIDEFER_TRACE_UNKNOWN = 0, /**< no word, or a state that says nothing */
	IPIDEFER_TRACE_KERNEL = 1,  /**< the word did not accept work */
	IPIDEFER_TRACE_USER = 2,
	IPIDEFER_TRACE_GUEST = 3,
	IPIDEFER_TRACE_IDLE = 4
};

/** Bits of an ipi_send event's `flags`. */
enum ipidefer_trace_flag {
	IPIDEFER_TRACE_LOGICAL = 1u << 0, /**< destination mode */
	IPIDEFER_TRACE_X2APIC = 1u << 1,  /**< dest is 32 bits wide */
	IPIDEFER_TRACE_LEGAL = 1u << 2    /**< see struct ipidefer_icr */
};

/** No such vCPU: an unknown sender. */
#define IPIDEFER_NO_VCPU 0xffffffffu

/**
 * One event. The event with number n (0, 1, ...), below the header's
 * trace_next, lies in entry n modulo ring_entries, and is complete while seq is
 * 2n + 2; with 2n + 1 it is being written. A reader copies the entry between two reads of seq.
 */
struct ipidefer_trace_entry {
	uint64_t seq;
	uint64_t tsc;
	uint32_t sender; /**< vCPU, or IPIDEFER_NO_VCPU */
	uint32_t cpu;    /**< verdict: the target; send: IPIDEFER_NO_VCPU */
	uint32_t dest;   /**< send: destination field of the ICR */
	uint32_t word;   /**< verdict: the target's word, where it was looked at */
	uint8_t kind;    /**< one of enum ipidefer_trace_kind */
	uint8_t vector;
	uint8_t delivery;  /**< enum ipidefer_delivery */
	uint8_t shorthand; /**< send: enum ipidefer_shorthand */
	uint8_t flags;     /**< send: OR of enum ipidefer_trace_flag */
	uint8_t verdict;   /**< verdict: enum ipidefer_verdict, or MAX_AGE */
	uint8_t context;   /**< verdict: enum ipidefer_trace_context */
	uint8_t reserved;
	/* Then (vcpus + 63) / 64 words of target mask, up to ring_entry_bytes. */
};

IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment, policy_offset) == 32);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment, typed_used) == 72);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment, name) == 120);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment, pid) == 312);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment, clock) == 344);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment, trace_next) == 384);
IPIDEFER_SEGMENT_ASSERT(sizeof(struct ipidefer_segment) == 448);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment_policy, isolated) ==
						64);
IPIDEFER_SEGMENT_ASSERT(offsetof(struct ipidefer_segment_policy, lease) ==
						576);
IPIDEFER_SEGMENT_ASSERT(sizeof(struct ipidefer_segment_policy) == 832);
IPIDEFER_SEGMENT_ASSERT(sizeof(struct ipidefer_segment_counters) == 128);
IPIDEFER_SEGMENT_ASSERT(sizeof(struct ipidefer_segment_slot) == 64);
IPIDEFER_SEGMENT_ASSERT(sizeof(struct ipidefer_segment_view) == 576);
IPIDEFER_SEGMENT_ASSERT(sizeof(struct ipidefer_trace_entry) == 40);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPIDEFER_SEGMENT_H */
