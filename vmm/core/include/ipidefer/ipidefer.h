/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libipidefer: C interface of the deferral core.
 *
 * The core decides; the caller acts. It makes no system calls, reads no clock
 * but the TSC, starts no threads, and allocates only in ipidefer_vm_create()
 * and ipidefer_vm_create_in(). No exception leaves it. A VMM uses it like this:
 *
 *   start     vm = ipidefer_vm_create(n); set the policy
 *   WRMSR     ipidefer_register_decode(), copy the table from guest memory,
 *             ipidefer_table_decode(), resolve each word_gpa to a host pointer
 *             that it keeps alive, ipidefer_bind(); #GP where one refuses
 *   ICR       for each (target, vector) of a fixed-mode IPI:
 *             ipidefer_suppresses(ipidefer_decide(vm, target, vector)) ?
 *             mark the word's page dirty : deliver as before
 *   doorbell  ipidefer_doorbell_decode() or ipidefer_multi_address() and
 *             ipidefer_multi_decode(), #GP where one refuses; then as for an
 *             ICR, for each vCPU that ipidefer_icr_names() or
 *             ipidefer_multi_names()
 *   reset     ipidefer_unbind()
 *
 * To let the host tools look on, it gives the VM memory that it shares
 * (ipidefer_vm_create_in(), vmm/shm), traces ICR writes with
 * ipidefer_trace_send(), and calls ipidefer_tick() from a timer.
 *
 * Locking: the caller runs ipidefer_bind() and ipidefer_unbind()
 * of one VM one at a time, and not while ipidefer_tick() runs (QEMU: the BQL);
 * and these and ipidefer_lose_word() for one vCPU not while another of them,
 * ipidefer_decide() or ipidefer_bindings() runs for it (QEMU: a lock for each
 * vCPU, which senders take too); ipidefer_vm_destroy() while nothing else runs.
 * ipidefer_decide() may run on many threads at once, and beside
 * ipidefer_tick(); the policy setters, the counter readers and
 * ipidefer_trace_send() may run at any time, on any thread.
 *
 * Not handled: reading or writing MSRs, mapping guest memory, dirty tracking,
 * raising interrupts.
 */
#ifndef IPIDEFER_IPIDEFER_H
#define IPIDEFER_IPIDEFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ipidefer/ipi_defer.h>
#include <ipidefer/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IPIDEFER_EXPORT __attribute__((visibility("default")))

#define IPIDEFER_VERSION_MAJOR 0
#define IPIDEFER_VERSION_MINOR 1
#define IPIDEFER_VERSION_PATCH 0

/** Most vCPUs of one VM. */
#define IPIDEFER_MAX_VCPUS 4096u

/** Most distinct vectors that the vCPUs of one VM may have bound at a time. A
 *  vector that none has bound any more keeps its counters until there are this
 *  many others. */
#define IPIDEFER_MAX_TYPED 32u

/** Why a registration or a doorbell was refused. Values are stable. */
enum ipidefer_error {
    IPIDEFER_OK = 0,
    IPIDEFER_E_VCPU,          /**< vCPU index out of range */
    IPIDEFER_E_RESERVED,      /**< binding: reserved bytes not zero */
    IPIDEFER_E_NOT_ENABLED,   /**< nonzero value without the enable bit */
    IPIDEFER_E_COUNT,         /**< count 0 or above IPI_DEFER_MAX_BINDINGS */
    IPIDEFER_E_TABLE_SIZE,    /**< fewer bytes copied than count needs */
    IPIDEFER_E_ALIGNMENT,     /**< word_gpa not 4-byte aligned */
    IPIDEFER_E_VECTOR,        /**< vector outside FIRST..LAST */
    IPIDEFER_E_DUPLICATE,     /**< vector twice, or (word, work bit) twice */
    IPIDEFER_E_ACCEPT_MASK,   /**< accept_mask 0 */
    IPIDEFER_E_ACCEPT_VALUE,  /**< accept_value has bits outside the mask */
    IPIDEFER_E_WORK_BIT,      /**< work_bit not exactly one bit */
    IPIDEFER_E_OVERLAP,       /**< a mask covers a work bit of the table */
    IPIDEFER_E_STATE,         /**< state mask, shift or values inconsistent */
    IPIDEFER_E_WORD,          /**< the caller could not map a word */
    IPIDEFER_E_VECTORS,       /**< IPIDEFER_MAX_TYPED vectors are bound */
    IPIDEFER_E_BELL_RESERVED, /**< doorbell: reserved bits not zero */
    IPIDEFER_E_BELL_VECTOR,   /**< doorbell: vector outside FIRST..LAST */
    IPIDEFER_E_DELIVERY,      /**< doorbell: not fixed, or not edge */
    IPIDEFER_E_LOGICAL,       /**< doorbell: logical destination */
    IPIDEFER_E_MULTI_SIZE,    /**< multicast: request not wholly copied */
    IPIDEFER_E_MULTI_ALIGNMENT, /**< multicast: address not 64-byte aligned */
    IPIDEFER_E_MULTI_ID,      /**< multicast: names an ID that cannot exist */
    IPIDEFER_E_REGISTER_RESERVED, /**< MSR_REGISTER: reserved bits not zero */
    IPIDEFER_ERRORS           /**< number of error codes */
};

/** A refused value: which binding, which field's value, and its limit. */
struct ipidefer_fault {
    enum ipidefer_error error;
    uint32_t binding; /**< index in the table; 0 for faults of the MSR value */
    uint64_t value;   /**< the offending value */
    uint64_t limit;   /**< the bound it broke, 0 where there is no number */
};

/** A decoded, valid MSR_REGISTER value. */
struct ipidefer_registration {
    uint64_t table_gpa;   /**< 256-byte aligned */
    uint32_t count;       /**< bindings, 1..8; 0 means unregister */
    uint32_t table_bytes; /**< bytes to copy from table_gpa */
};

/** Verdicts of one (target vCPU, vector) since ipidefer_vm_create(). */
struct ipidefer_counters {
    uint64_t verdict[IPIDEFER_VERDICTS]; /**< by enum; PASSED stays 0 */
};

/** Opaque VM; its first bytes are the gate, read by ipidefer_typed(). */
typedef struct ipidefer_vm ipidefer_vm;
struct ipidefer_gate {
    uint64_t typed[4];     /**< bit v: some vCPU has bound vector v */
    const uint32_t *trace; /**< the policy's word of that name: what is traced
                                now */
};

/* ---- VM and policy ---------------------------------------------------- */

/** @param vcpus 1..IPIDEFER_MAX_VCPUS. NULL when out of range or memory.
 *  Starts enabled, no vCPU isolated, USER and GUEST allowed, IDLE not, every
 *  vector allowed. */
IPIDEFER_EXPORT ipidefer_vm *ipidefer_vm_create(uint32_t vcpus);

/** Bytes of memory that ipidefer_vm_create_in() needs.
 *  @param ring_entries of the trace: 0, or a power of two up to
 *         IPIDEFER_SEGMENT_MAX_RING
 *  @return 0 when an argument is out of range */
IPIDEFER_EXPORT size_t ipidefer_segment_bytes(uint32_t vcpus,
                                              uint32_t ring_entries);

/** Like ipidefer_vm_create(), with policy, counters, live view and trace in
 *  the caller's memory, laid out as <ipidefer/segment.h> says; others may map
 *  it, and may write what they like there (I7). The memory is overwritten, and
 *  must stay until ipidefer_vm_destroy(), which leaves it as it is. The
 *  segment's state is BUILDING; identity, clock and LIVE are the caller's.
 *  @param memory aligned to IPIDEFER_SEGMENT_ALIGN
 *  @return NULL when out of range, misaligned, too few bytes, or no memory */
IPIDEFER_EXPORT ipidefer_vm *ipidefer_vm_create_in(void *memory, size_t bytes,
                                                   uint32_t vcpus,
                                                   uint32_t ring_entries);

IPIDEFER_EXPORT void ipidefer_vm_destroy(ipidefer_vm *vm);
IPIDEFER_EXPORT uint32_t ipidefer_vm_vcpus(const ipidefer_vm *vm);

/** Kill switch. Off takes effect with the next decision; work that is already
 *  recorded stays in the words and is done at the next kernel entry. */
IPIDEFER_EXPORT void ipidefer_set_enabled(ipidefer_vm *vm, bool enabled);
IPIDEFER_EXPORT bool ipidefer_enabled(const ipidefer_vm *vm);

/** E_VCPU when out of range. */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_set_isolated(ipidefer_vm *vm, uint32_t vcpu, bool isolated);
IPIDEFER_EXPORT bool ipidefer_isolated(const ipidefer_vm *vm, uint32_t vcpu);

/** @param contexts OR of enum ipidefer_context; other bits are ignored. */
IPIDEFER_EXPORT void ipidefer_set_contexts(ipidefer_vm *vm, uint32_t contexts);
IPIDEFER_EXPORT uint32_t ipidefer_contexts(const ipidefer_vm *vm);

/** A vector that is not allowed is delivered (reason: policy). */
IPIDEFER_EXPORT void ipidefer_set_vector_allowed(ipidefer_vm *vm,
                                                 uint8_t vector, bool allowed);
IPIDEFER_EXPORT bool ipidefer_vector_allowed(const ipidefer_vm *vm,
                                             uint8_t vector);

/** Work that waits longer than this is delivered by ipidefer_tick(); 0, the
 *  default: never. Takes effect only with memory from ipidefer_vm_create_in(),
 *  since only then are times taken. */
IPIDEFER_EXPORT void ipidefer_set_max_age(ipidefer_vm *vm, uint64_t ns);
IPIDEFER_EXPORT uint64_t ipidefer_max_age(const ipidefer_vm *vm);

/** What to trace when no reader asks for anything.
 *  @param kinds OR of enum ipidefer_trace_kind; other bits are ignored */
IPIDEFER_EXPORT void ipidefer_set_trace(ipidefer_vm *vm, uint32_t kinds);
/** What is traced now: that, and what readers ask for. For VMMs that show their
 *  policy; ipidefer_tracing() is for the way of each ICR write. */
IPIDEFER_EXPORT uint32_t ipidefer_trace(const ipidefer_vm *vm);

/** The policy's words, in the segment or, without one, in the VM's own memory;
 *  valid as long as the VM. To read and write them is to read and change the
 *  policy, with single aligned accesses. */
IPIDEFER_EXPORT struct ipidefer_segment_policy *
ipidefer_policy_words(ipidefer_vm *vm);

/* ---- Registration ----------------------------------------------------- */

/** Decode a value written to IPI_DEFER_MSR_REGISTER. */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_register_decode(uint64_t value, struct ipidefer_registration *out,
                         struct ipidefer_fault *fault);

/** Validate a table copied from guest memory (I7: copy once, then this).
 *  @param raw   table bytes, count * sizeof(struct ipi_defer_binding) used
 *  @param bytes how many were copied
 *  @param out   `count` validated bindings on success, untouched otherwise */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_table_decode(const void *raw, size_t bytes, uint32_t count,
                      struct ipi_defer_binding out[IPI_DEFER_MAX_BINDINGS],
                      struct ipidefer_fault *fault);

/** Replace the vCPU's bindings. The bindings must come from
 *  ipidefer_table_decode(); words[i] is the host address of binding i's word,
 *  4-byte aligned, and stays valid until unbind or the next bind. */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_bind(ipidefer_vm *vm, uint32_t vcpu,
              const struct ipi_defer_binding *bindings, uint32_t *const *words,
              uint32_t count, struct ipidefer_fault *fault);

/** End the vCPU's registration; no effect without one. Counters stay. */
IPIDEFER_EXPORT void ipidefer_unbind(ipidefer_vm *vm, uint32_t vcpu);

/** The memory behind a word went away: until the next bind its vector is
 *  delivered with reason BAD_WORD. @param slot index of the binding. */
IPIDEFER_EXPORT void ipidefer_lose_word(ipidefer_vm *vm, uint32_t vcpu,
                                        uint32_t slot);

/** Bindings of a vCPU, for VMMs that keep no copy of what a guest registered
 *  and want to show or migrate it. @return their number, 0 without a
 *  registration. */
IPIDEFER_EXPORT uint32_t
ipidefer_bindings(const ipidefer_vm *vm, uint32_t vcpu,
                  struct ipi_defer_binding out[IPI_DEFER_MAX_BINDINGS]);

/** The vectors that vCPUs have bound now, each by the index of its counters in
 *  the segment, `[index * (vcpus + 1) + vcpu]`; 0 where there is none. For VMMs
 *  that have somebody else decide (vmm/linux-kvm). */
IPIDEFER_EXPORT void
ipidefer_typed_vectors(const ipidefer_vm *vm,
                       uint8_t out[IPIDEFER_SEGMENT_TYPED]);

/** One line of English for a fault, always NUL-terminated.
 *  @return buf */
IPIDEFER_EXPORT const char *ipidefer_fault_text(const struct ipidefer_fault *f,
                                                char *buf, size_t size);

/* ---- Decision --------------------------------------------------------- */

/** One load and one test: can this vector be typed at all? */
static inline bool ipidefer_typed(const ipidefer_vm *vm, uint8_t vector)
{
    const struct ipidefer_gate *gate = (const struct ipidefer_gate *)(const void *)vm;
    return (__atomic_load_n(&gate->typed[vector >> 6], __ATOMIC_RELAXED) >>
            (vector & 63)) & 1;
}

/** Decide one fixed-mode IPI to one target; on DEFERRED and COALESCED the
 *  word has been written. Bounded, lock-free, allocates nothing. For VMMs that
 *  do not know the sender, or do not trace. */
IPIDEFER_EXPORT enum ipidefer_verdict
ipidefer_decide(ipidefer_vm *vm, uint32_t target, uint8_t vector);

/** The same, and the trace names the vCPU that sends, or IPIDEFER_NO_VCPU. */
IPIDEFER_EXPORT enum ipidefer_verdict
ipidefer_decide_from(ipidefer_vm *vm, uint32_t sender, uint32_t target,
                     uint8_t vector);

static inline bool ipidefer_suppresses(enum ipidefer_verdict v)
{
    return v == IPIDEFER_DEFERRED || v == IPIDEFER_COALESCED;
}

/** Deliver, without a look at the target's word: its memory cannot be accessed
 *  now, or to wait for it would be wrong. As ipidefer_decide_from() otherwise;
 *  counted as DELIVERED_BAD_WORD.
 *  @return a verdict that does not suppress (I4) */
IPIDEFER_EXPORT enum ipidefer_verdict ipidefer_decide_blind(ipidefer_vm* vm,
                                                            uint32_t sender,
                                                            uint32_t target,
                                                            uint8_t vector);

/** Stable lower-case names with dashes: "deferred", "delivered-in-kernel";
 *  "?" out of range. */
IPIDEFER_EXPORT const char *ipidefer_verdict_name(enum ipidefer_verdict v);

/** Counters of (vcpu, vector). Zeroes for what was never counted. All targets
 *  out of range are counted together: any vcpu out of range reads their sum.
 *  @return false when nothing was ever counted for this pair */
IPIDEFER_EXPORT bool ipidefer_counters_get(const ipidefer_vm *vm, uint32_t vcpu,
                                           uint8_t vector,
                                           struct ipidefer_counters *out);

/** Of what was delivered to (vcpu, vector), one more found the vector pending
 *  in the local APIC: the vCPU takes one interrupt for both. For VMMs that see
 *  it. No effect for a vector that no vCPU ever bound. */
IPIDEFER_EXPORT void ipidefer_count_merged(ipidefer_vm* vm, uint32_t vcpu,
                                           uint8_t vector);
/** How often ipidefer_count_merged() was called for them. */
IPIDEFER_EXPORT uint64_t ipidefer_merged(const ipidefer_vm* vm, uint32_t vcpu,
                                         uint8_t vector);

/* ---- Age -------------------------------------------------------------- */

/** How fast the TSC counts; until this is told, max_age has no effect, since
 *  nobody can tell an age. @param hz at most 10^10, more counts as unknown */
IPIDEFER_EXPORT void ipidefer_set_tsc_hz(ipidefer_vm *vm, uint64_t hz);

/** Deliver `vector` to `vcpu`, as any IPI of it. */
typedef void ipidefer_deliver(void *opaque, uint32_t vcpu, uint8_t vector);

/**
 * End trace leases that are over, and look at every bound word: refresh the
 * live view, and have work that has waited longer than max_age delivered as the
 * real vector. The bit stays set, the word is not written (I2); what is
 * delivered in addition to what is recorded is a spurious interrupt, which is
 * correct (I4), and it is counted apart, so that each IPI still has exactly one
 * verdict (I1).
 * @param now the TSC
 * @return nanoseconds after which to call again, 1 ms to 100 ms: the policy
 *         may change at any time, also from outside
 */
IPIDEFER_EXPORT uint64_t ipidefer_tick(ipidefer_vm *vm, uint64_t now,
                                       ipidefer_deliver *deliver, void *opaque);

/** Where somebody else decides: it has newly set the work bit of a binding. The
 *  last time that it tells counts, so it may tell the same one again.
 *  @param slot index of the binding; no effect if there is none
 *  @param since the TSC then; 0: never */
IPIDEFER_EXPORT void ipidefer_recorded(ipidefer_vm *vm, uint32_t vcpu,
                                       uint32_t slot, uint64_t since);

/** How often work of (vcpu, vector) was delivered for its age. */
IPIDEFER_EXPORT uint64_t ipidefer_expired(const ipidefer_vm *vm, uint32_t vcpu,
                                          uint8_t vector);

/* ---- ICR -------------------------------------------------------------- */

/** Bits that are reserved in the low half of an ICR in x2APIC mode, [31:20],
 *  [17:16] and [13:12], where WRMSR refuses them; and in a doorbell's. */
#define IPIDEFER_ICR_X2APIC_RESERVED 0xfff33000u

/** No local APIC takes a vector below it as a fixed or lowest-priority IPI: it
 *  is an error of the sender. SDM vol. 3A 11.5.2. */
#define IPIDEFER_FIRST_LEGAL_VECTOR 16u

/** Delivery modes, SDM vol. 3A 11.6.1. */
enum ipidefer_delivery {
    IPIDEFER_FIXED = 0,
    IPIDEFER_LOWEST = 1,
    IPIDEFER_SMI = 2,
    IPIDEFER_DELIVERY_RESERVED = 3,
    IPIDEFER_NMI = 4,
    IPIDEFER_INIT = 5,
    IPIDEFER_SIPI = 6,
    IPIDEFER_EXTINT = 7 /**< reserved in an ICR */
};

enum ipidefer_shorthand {
    IPIDEFER_NO_SHORTHAND = 0,
    IPIDEFER_SELF = 1,
    IPIDEFER_ALL = 2,
    IPIDEFER_ALL_BUT_SELF = 3
};

/** A decoded ICR write. */
struct ipidefer_icr {
    uint8_t vector;
    uint8_t delivery;  /**< enum ipidefer_delivery */
    uint8_t shorthand; /**< enum ipidefer_shorthand */
    bool logical;      /**< destination mode */
    bool assert_level; /**< level bit */
    bool level_trigger;
    bool x2apic;   /**< dest is 32 bits wide */
    bool legal;    /**< a combination the SDM allows (vol. 3A 11.6.1). Do not
                        drop what is not: hardware sends a level-triggered IPI
                        as edge, and Linux relies on that for INIT */
    bool deferrable; /**< legal, fixed, edge: may be a typed IPI (I3) */
    uint32_t dest;
};

/** What destination matching needs to know of one local APIC. */
struct ipidefer_apic {
    uint32_t id;   /**< x2APIC ID; xAPIC: low 8 bits */
    uint32_t ldr;  /**< LDR: xAPIC bits 31:24; x2APIC cluster<<16 | bit */
    uint32_t dfr;  /**< xAPIC DFR; 0xf in 31:28 is flat, 0 is cluster */
    bool x2apic;   /**< in x2APIC mode */
    bool enabled;  /**< globally enabled; a disabled one matches nothing */
};

IPIDEFER_EXPORT struct ipidefer_icr ipidefer_icr_xapic(uint32_t low,
                                                       uint32_t high);
IPIDEFER_EXPORT struct ipidefer_icr ipidefer_icr_x2apic(uint64_t value);

/** Does this IPI name APIC `target`, which with `is_self` is its sender? For
 *  LOWEST this says "is a candidate": arbitration is the VMM's. */
IPIDEFER_EXPORT bool ipidefer_icr_names(const struct ipidefer_icr *icr,
                                        const struct ipidefer_apic *target,
                                        bool is_self);

/* ---- Doorbell --------------------------------------------------------- */

/** Decode a value written to IPI_DEFER_MSR_ICR. What is not refused is legal,
 *  fixed, edge, and physical or a shorthand: deferrable. Match it with
 *  ipidefer_icr_names(), giving every vCPU's APIC as an x2APIC: its ID has 32
 *  bits here, whatever mode it is in. */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_doorbell_decode(uint64_t value, struct ipidefer_icr *out,
                         struct ipidefer_fault *fault);

/** A decoded, valid multicast request. `base + last` does not overflow. */
struct ipidefer_multi {
    uint8_t vector;
    bool empty;    /**< names nobody; then `last` is 0 */
    uint32_t base; /**< APIC ID of bit 0 */
    uint32_t last; /**< highest bit set: no ID above base + last is named */
    uint64_t mask[IPI_DEFER_MULTI_WORDS];
};

/** Check a value written to IPI_DEFER_MSR_ICR_MULTI, which is the address to
 *  copy IPI_DEFER_MULTI_BYTES from. */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_multi_address(uint64_t value, struct ipidefer_fault *fault);

/** Validate a request copied from guest memory (I7: copy once, then this).
 *  @param bytes how many were copied; more than needed is ignored
 *  @param out   untouched unless the request is valid */
IPIDEFER_EXPORT enum ipidefer_error
ipidefer_multi_decode(const void *raw, size_t bytes, struct ipidefer_multi *out,
                      struct ipidefer_fault *fault);

IPIDEFER_EXPORT bool ipidefer_multi_names(const struct ipidefer_multi *multi,
                                          uint32_t apic_id);

/* ---- Trace ------------------------------------------------------------ */

/** Is any of these traced? One load and one test behind a constant pointer.
 *  @param kinds OR of enum ipidefer_trace_kind */
static inline bool ipidefer_tracing(const ipidefer_vm *vm, uint32_t kinds)
{
    const struct ipidefer_gate *gate = (const struct ipidefer_gate *)(const void *)vm;
    return (__atomic_load_n(gate->trace, __ATOMIC_RELAXED) & kinds) != 0;
}

/** Trace one ICR write, whatever it asks for. Ask ipidefer_tracing(vm,
 *  IPIDEFER_TRACE_SEND) first: this does not. Never waits; an event that finds
 *  its entry of the ring still being written is dropped, and counted.
 *  @param sender  vCPU, or IPIDEFER_NO_VCPU
 *  @param targets bit n of word n / 64: vCPU n is named; as many words as hold
 *                 all vCPUs, bits beyond them are not looked at */
IPIDEFER_EXPORT void ipidefer_trace_send(ipidefer_vm *vm, uint32_t sender,
                                         const struct ipidefer_icr *icr,
                                         const uint64_t *targets);

/* ---- Trace, for readers ------------------------------------------------ */

/** A reader's wish to have something traced. */
struct ipidefer_lease {
    uint64_t word; /**< as last written; 0: ended */
    uint32_t slot;
};

/** Have the VM trace these kinds, from now on until ipidefer_lease_end(), or for
 *  IPIDEFER_LEASE_NS without ipidefer_lease_renew(): then the VM's tick ends it.
 *  Any number of readers do not disturb each other. All three functions may run
 *  in any process that may write the segment.
 *  @param words  of the segment
 *  @param kinds  OR of enum ipidefer_trace_kind; other bits are ignored
 *  @param holder a random number
 *  @return false when all IPIDEFER_SEGMENT_LEASES are taken */
IPIDEFER_EXPORT bool ipidefer_lease_take(struct ipidefer_segment_policy *words,
                                         uint32_t kinds, uint32_t holder,
                                         struct ipidefer_lease *lease);
/** @return false when it has ended meanwhile: nothing is traced on its behalf
 *          since then */
IPIDEFER_EXPORT bool ipidefer_lease_renew(struct ipidefer_segment_policy *words,
                                          struct ipidefer_lease *lease);
/** No effect on what others want. */
IPIDEFER_EXPORT void ipidefer_lease_end(struct ipidefer_segment_policy *words,
                                        struct ipidefer_lease *lease);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPIDEFER_IPIDEFER_H */
