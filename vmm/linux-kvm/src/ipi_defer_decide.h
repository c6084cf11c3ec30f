/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of one typed IPI to one vCPU: the work that it stands for is
 * recorded in a word of the target's memory, or it has to be delivered.
 *
 * This file knows nothing of KVM, so that a program in userspace, in C++ even,
 * can compile it too, and compare it with the library by which a VMM decides.
 * Who includes it provides u8, u32, u64, READ_ONCE(), smp_store_release(),
 * __always_inline, noinline and
 *
 *   struct typed_ipi_memory  guest memory, as it is while a request lasts
 *   struct typed_ipi_word    what it needs to find a word there
 *   typed_ipi_read()     read it: 0, or negative if that is not possible now
 *   typed_ipi_cmpxchg()  change it: 0, or 1 if it was not what was expected,
 *                        which is then updated, or negative as above. Fully
 *                        ordered, or at least a release.
 *   typed_ipi_count()    add one to a counter, atomically
 *   typed_ipi_number()   the same; returns what it was
 *   typed_ipi_claim()    compare and exchange 64 bits, acquire; true if done
 *   typed_ipi_clock()    the host's TSC
 *
 * Nothing here sleeps, allocates, or takes longer for what a guest does. Words
 * of the segment may be changed by others at any time, and are read once for
 * each use: whatever they say is a policy, or falsifies what is shown.
 */
#ifndef __KVM_X86_IPI_DEFER_DECIDE_H
#define __KVM_X86_IPI_DEFER_DECIDE_H

/* Most attempts of one decision: a guest may rewrite its word forever. */
#define TYPED_IPI_MAX_TRIES	16

struct typed_ipi_slot {
	struct ipi_defer_binding binding;
	struct ipidefer_segment_counters *line;	/* of this vCPU and vector */
	struct typed_ipi_word word;
	bool lost;	/* the memory behind the word went away */
	u64 since;	/* when the work bit was newly set, last; 0: never */
	u32 guess;	/* the word with the bit, as it was last */
	u32 needs;	/* contexts that policy must allow for @guess, */
#define TYPED_IPI_NO_GUESS	0x80000000u	/* or this */
};

struct typed_ipi_target {
	const u64 *isolated;	/* @isolated_bit there says whether it is */
	u64 isolated_bit;
	u32 row;	/* in the segment */
	u32 count;
	struct typed_ipi_slot slot[IPI_DEFER_MAX_BINDINGS];
};

struct typed_ipi_vm {
	struct ipidefer_segment *header;
	struct ipidefer_segment_policy *policy;
	struct ipidefer_segment_counters *counters;
	u8 *ring;
	u32 ring_entries;	/* 0, or a power of two */
	u32 ring_entry_bytes;
	u32 vcpus;
	/* By vector: index of its counters plus one, 0 if no vCPU has bound it. */
	u8 number[256];
};

/* One IPI, to one target or to many: what is the same for all of them. */
struct typed_ipi_request {
	struct typed_ipi_memory memory;
	u32 sender;	/* row, or IPIDEFER_NO_VCPU */
	u8 vector;
	u8 number;	/* of @vector, as in the VM */
	bool allowed;	/* neither all nor the vector is switched off */
	u32 denied;	/* contexts that policy does not allow */
	u32 denied_again;	/* the same for typed_ipi_again() */
	u32 likely_slot;
	u32 trace;	/* what is traced */
	u64 now;
};

static inline int typed_ipi_read(const struct typed_ipi_memory *memory,
				 struct typed_ipi_slot *slot, u32 *seen);
static inline int typed_ipi_cmpxchg(const struct typed_ipi_memory *memory,
				    struct typed_ipi_slot *slot,
				    u32 *seen, u32 next);

static __always_inline bool typed_ipi_bit(const u64 *words, u32 n)
{
	return READ_ONCE(words[n / 64]) >> n % 64 & 1;
}

static inline u32 typed_ipi_tracing(const struct typed_ipi_vm *vm)
{
	return READ_ONCE(vm->policy->trace) & IPIDEFER_TRACE_ALL;
}

/* Policy is read when an IPI is sent: what changes later holds for the next. */
static inline struct typed_ipi_request
typed_ipi_request(const struct typed_ipi_vm *vm, struct typed_ipi_memory memory,
		  u32 sender, u8 vector)
{
	const struct ipidefer_segment_policy *policy = vm->policy;
	struct typed_ipi_request request;

	request.memory = memory;
	request.sender = sender;
	request.vector = vector;
	request.number = READ_ONCE(vm->number[vector]);
	request.allowed = READ_ONCE(policy->enabled) & 1 &&
			  !typed_ipi_bit(policy->denied, vector);
	request.denied = ~(READ_ONCE(policy->contexts) & IPIDEFER_CONTEXTS_ALL);
	request.trace = typed_ipi_tracing(vm);
	request.denied_again = request.allowed &&
			       !(request.trace & IPIDEFER_TRACE_VERDICT) ?
			       request.denied : ~0u;
	/* Most vCPUs register the same in the same order, which numbers it. */
	request.likely_slot = request.number - 1u;
	request.now = typed_ipi_clock();
	return request;
}

/* RCU does not watch: the gate, and not the state, says whether work may wait. */
static __always_inline bool typed_ipi_accepts(const struct ipi_defer_binding *b, u32 word)
{
	return (word & b->accept_mask) == b->accept_value;
}

/* What policy must allow for this word: all, if the state is not known. */
static __always_inline u32 typed_ipi_contexts(const struct ipi_defer_binding *b, u32 word)
{
	u32 state;

	if (!b->state_mask)
		return IPIDEFER_CONTEXTS_ALL;
	state = (word & b->state_mask) >> b->state_shift;
	if (state == b->state_user)
		return IPIDEFER_CONTEXT_USER;
	if (state == b->state_guest)
		return IPIDEFER_CONTEXT_GUEST;
	if (state == b->state_idle)
		return IPIDEFER_CONTEXT_IDLE;
	return IPIDEFER_CONTEXTS_ALL;
}

/*
 * The only write is from a value that accepts work to the same value with the
 * work bit. It is made also if the bit is set: it orders what the sender stored
 * before its IPI ahead of the operation by which the target enters its kernel.
 */
static __always_inline enum ipidefer_verdict
typed_ipi_record(const struct typed_ipi_request *request,
		 struct typed_ipi_slot *slot, u32 *seen)
{
	const struct ipi_defer_binding *b = &slot->binding;
	int tries, ret;
	u32 needs;

	slot->needs = TYPED_IPI_NO_GUESS;
	if (typed_ipi_read(&request->memory, slot, seen))
		return IPIDEFER_DELIVERED_BAD_WORD;
	for (tries = 0; tries < TYPED_IPI_MAX_TRIES; tries++) {
		if (!typed_ipi_accepts(b, *seen))
			return IPIDEFER_DELIVERED_IN_KERNEL;
		needs = typed_ipi_contexts(b, *seen);
		if (needs & request->denied)
			return IPIDEFER_DELIVERED_POLICY;
		ret = typed_ipi_cmpxchg(&request->memory, slot, seen,
					*seen | b->work_bit);
		if (!ret) {
			slot->guess = *seen | b->work_bit;
			slot->needs = needs;
			return *seen & b->work_bit ? IPIDEFER_COALESCED :
						     IPIDEFER_DEFERRED;
		}
		if (ret < 0)
			return IPIDEFER_DELIVERED_BAD_WORD;
	}
	return IPIDEFER_DELIVERED_CONTENDED;
}

/*
 * Write an event, unless its entry of the ring is still being written. Others
 * number events too, from the same word; what they put there is masked.
 */
static inline void typed_ipi_trace(struct typed_ipi_vm *vm,
				   const struct ipidefer_trace_entry *event,
				   const u64 *mask, u32 mask_words)
{
	const u32 fixed = sizeof(*event) / sizeof(u64);
	u64 n = typed_ipi_number(&vm->header->trace_next);
	const u64 *from = (const u64 *)event;
	u64 busy = 2 * n + 1;
	u64 *at, seen;
	u32 i;

	if (!vm->ring_entries)
		goto drop;

	at = (u64 *)(vm->ring + (n & (vm->ring_entries - 1)) *
		     (u64)vm->ring_entry_bytes);
	seen = READ_ONCE(at[0]);
	/* Odd: it is being written. Newer: we were overtaken by a round. */
	if (seen & 1 || seen > busy || !typed_ipi_claim(&at[0], seen, busy))
		goto drop;

	for (i = 1; i < fixed; i++) {
		/* After the odd number: pairs with the acquires of readers. */
		smp_store_release(&at[i], from[i]);
	}
	for (; i < vm->ring_entry_bytes / sizeof(u64); i++) {
		u64 more = i - fixed < mask_words ? mask[i - fixed] : 0;

		/* As above. */
		smp_store_release(&at[i], more);
	}
	/* Complete: pairs with the readers' acquire of the number. */
	smp_store_release(&at[0], busy + 1);
	return;
drop:
	typed_ipi_count(&vm->header->trace_dropped);
}

static inline u8 typed_ipi_trace_context(const struct ipi_defer_binding *b,
					 u32 word)
{
	if (!typed_ipi_accepts(b, word))
		return IPIDEFER_TRACE_KERNEL;
	switch (typed_ipi_contexts(b, word)) {
	case IPIDEFER_CONTEXT_USER:
		return IPIDEFER_TRACE_USER;
	case IPIDEFER_CONTEXT_GUEST:
		return IPIDEFER_TRACE_GUEST;
	case IPIDEFER_CONTEXT_IDLE:
		return IPIDEFER_TRACE_IDLE;
	default:
		return IPIDEFER_TRACE_UNKNOWN;
	}
}

static noinline void
typed_ipi_trace_verdict(struct typed_ipi_vm *vm,
			const struct typed_ipi_request *request,
			struct typed_ipi_target *target,
			enum ipidefer_verdict verdict,
			struct typed_ipi_slot *slot, bool looked, u32 word)
{
	struct ipidefer_trace_entry event = {};

	event.tsc = typed_ipi_clock();
	event.sender = request->sender;
	event.cpu = target->row;
	event.kind = IPIDEFER_TRACE_VERDICT;
	event.vector = request->vector;
	event.verdict = verdict;
	if (slot && !slot->lost &&
	    (looked || !typed_ipi_read(&request->memory, slot, &word))) {
		event.word = word;
		event.context = typed_ipi_trace_context(&slot->binding, word);
	}
	typed_ipi_trace(vm, &event, NULL, 0);
}

/*
 * Does an interrupt command ask for something that hardware knows?  The SDM,
 * vol. 3A 11.6.1; the level bit means nothing.
 */
static inline bool typed_ipi_icr_legal(u32 icr, bool x2apic)
{
	u32 shorthand = icr >> 18 & 3;
	bool fixed_only = shorthand == 1 || shorthand == 2;

	if (icr & 1u << 15 || (x2apic && icr & 0xfff33000u))
		return false;
	switch (icr >> 8 & 7) {
	case 0:	/* fixed */
		return (icr & 0xff) >= 16;
	case 1:	/* lowest priority */
		return !fixed_only && (icr & 0xff) >= 16;
	case 2:	/* SMI */
	case 4:	/* NMI */
	case 5:	/* INIT */
	case 6:	/* start-up */
		return !fixed_only;
	default:
		return false;
	}
}

/* Whoever wants to know what a guest sends: everything that goes through ICR. */
static inline void typed_ipi_trace_send(struct typed_ipi_vm *vm, u32 sender,
					u32 icr, u32 dest, bool x2apic,
					const u64 *targets)
{
	struct ipidefer_trace_entry event = {};

	event.tsc = typed_ipi_clock();
	event.sender = sender;
	event.cpu = IPIDEFER_NO_VCPU;
	event.dest = dest;
	event.kind = IPIDEFER_TRACE_SEND;
	event.vector = icr;
	event.delivery = icr >> 8 & 7;
	event.shorthand = icr >> 18 & 3;
	if (icr & 1u << 11)
		event.flags |= IPIDEFER_TRACE_LOGICAL;
	if (x2apic)
		event.flags |= IPIDEFER_TRACE_X2APIC;
	if (typed_ipi_icr_legal(icr, x2apic))
		event.flags |= IPIDEFER_TRACE_LEGAL;
	typed_ipi_trace(vm, &event, targets, (vm->vcpus + 63) / 64);
}

static __always_inline struct typed_ipi_slot *
typed_ipi_find(struct typed_ipi_target *target, u8 vector)
{
	u32 i;

	for (i = 0; i < target->count; i++) {
		if (target->slot[i].binding.vector == vector)
			return &target->slot[i];
	}
	return NULL;
}

/* A binding whose word is not there any more is not guessed for. */
static inline void typed_ipi_lose(struct typed_ipi_slot *slot)
{
	slot->lost = true;
	slot->needs = TYPED_IPI_NO_GUESS;
}

static inline void typed_ipi_set_row(const struct typed_ipi_vm *vm,
				     struct typed_ipi_target *target, u32 row)
{
	target->row = row;
	target->isolated = &vm->policy->isolated[row / 64];
	target->isolated_bit = 1ull << row % 64;
}

/* The counters of a target and a vector that has the number (less one). */
static inline struct ipidefer_segment_counters *
typed_ipi_line(const struct typed_ipi_vm *vm, u32 row, u8 number)
{
	return &vm->counters[(u64)number * (vm->vcpus + 1) + row];
}

/*
 * Decide a fixed IPI to one target, whose bindings the caller keeps in place.
 * Each has one verdict, and is counted once, unless nobody has bound its vector.
 *
 * Most find the word as the one before left it, with the bit: then nothing is
 * read, it is coalesced, and that is all. If it is not so, this returns false,
 * nothing was changed, and the caller goes on to typed_ipi_decide_anew().
 */
static __always_inline bool
typed_ipi_again(const struct typed_ipi_request *request,
		struct typed_ipi_target *target)
{
	struct typed_ipi_slot *slot = &target->slot[request->likely_slot];
	u32 seen;

	if (request->likely_slot >= target->count ||
	    slot->binding.vector != request->vector ||
	    slot->needs & request->denied_again ||
	    !(READ_ONCE(*target->isolated) & target->isolated_bit))
		return false;
	seen = slot->guess;
	if (typed_ipi_cmpxchg(&request->memory, slot, &seen, seen))
		return false;
	typed_ipi_count(&slot->line->verdict[IPIDEFER_COALESCED - 1]);
	return true;
}

static inline enum ipidefer_verdict
typed_ipi_decide_anew(struct typed_ipi_vm *vm,
		      const struct typed_ipi_request *request,
		      struct typed_ipi_target *target)
{
	struct typed_ipi_slot *slot = typed_ipi_find(target, request->vector);
	struct ipidefer_segment_counters *line;
	enum ipidefer_verdict verdict;
	bool looked = false;
	u32 word = 0;

	if (!slot) {
		if (!request->number)
			return IPIDEFER_PASSED;
		verdict = IPIDEFER_DELIVERED_NOT_BOUND;
		line = typed_ipi_line(vm, target->row, request->number - 1);
	} else {
		line = slot->line;
		if (!request->allowed) {
			verdict = IPIDEFER_DELIVERED_POLICY;
		} else if (!(READ_ONCE(*target->isolated) &
			     target->isolated_bit)) {
			verdict = IPIDEFER_DELIVERED_NOT_ISOLATED;
		} else if (slot->lost) {
			verdict = IPIDEFER_DELIVERED_BAD_WORD;
		} else {
			verdict = typed_ipi_record(request, slot, &word);
			looked = verdict != IPIDEFER_DELIVERED_BAD_WORD;
		}
		if (verdict == IPIDEFER_DEFERRED)
			slot->since = request->now;
	}

	typed_ipi_count(&line->verdict[verdict - 1]);
	if (request->trace & IPIDEFER_TRACE_VERDICT)
		typed_ipi_trace_verdict(vm, request, target, verdict, slot,
					looked, word);
	return verdict;
}

static inline bool typed_ipi_suppresses(enum ipidefer_verdict verdict)
{
	return verdict == IPIDEFER_DEFERRED || verdict == IPIDEFER_COALESCED;
}

/* The interrupts that a doorbell takes: what an ICR of an x2APIC may ask for. */
static inline bool typed_ipi_vector_valid(u32 vector)
{
	return vector >= IPI_DEFER_VECTOR_FIRST &&
	       vector <= IPI_DEFER_VECTOR_LAST;
}

/*
 * A doorbell takes fixed, edge-triggered interrupts to physical destinations
 * and to shorthands; the level bit, 14, means nothing.
 */
#define TYPED_IPI_BELL_SHORTHAND	0x000c0000u
#define TYPED_IPI_BELL_TAKEN		(0xffu | 1u << 14 | TYPED_IPI_BELL_SHORTHAND)

static inline bool typed_ipi_bell_valid(u64 value)
{
	return !((u32)value & ~TYPED_IPI_BELL_TAKEN) &&
	       typed_ipi_vector_valid((u8)value);
}

/*
 * The highest ID that a request names has to be below that of a broadcast. An
 * empty one names nobody, whatever its base.
 */
static inline bool typed_ipi_multi_valid(const struct ipi_defer_multi *multi)
{
	int word, bit;

	if (!typed_ipi_vector_valid(multi->vector))
		return false;
	for (word = IPI_DEFER_MULTI_WORDS - 1; word >= 0; word--) {
		if (multi->mask[word]) {
			bit = 63 - __builtin_clzll(multi->mask[word]);
			return word * 64u + bit < 0xffffffffu - multi->base;
		}
	}
	return true;
}

#endif /* __KVM_X86_IPI_DEFER_DECIDE_H */
