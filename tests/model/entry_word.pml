/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deferral of kernel TLB flushes (KERNEL_TLBI): two senders, the VMM, a
 * target CPU, its TLB, and NMIs and machine checks on it. I1-I10 are the
 * invariants of docs/ORDERING.md.
 *
 * What is modelled
 *   pte      what the page tables say of an address of the first sender's: the
 *            version of the page that is mapped there, or 0 for nothing. The
 *            second has an address too; as it is nothing to the first, what
 *            goes for one goes for the other.
 *   tlb      what the target has cached of that, or 0 for nothing
 *   acked    the version that is mapped there next, from when the sender's wait
 *            has ended: then the pages of older ones are somebody else's
 *   word     the entry word: USER and PENDING
 *   req,     requests counted, requests done. One counter serves all senders
 *   done     in the kernel; here each has one, so that counting can be a plain
 *            store. What the target reads at once says the same: which
 *            requests were counted by then.
 *   level    what runs on the target: 0 its task or interrupt handler, 1 an
 *            NMI, 2 a machine check; a lower level does not move meanwhile
 *
 * A sender's stores to pte and req go through a TSO store buffer, which drains
 * when it likes, or at a locked instruction. The real sender counts with one;
 * as in ipi_defer.pml, nothing counts on it, so that the RMW on the word alone
 * has to order the stores (I6). -DLOCKED_REQ is the real sender.
 *
 * The target's stores to done and word go through another. A flush drains it:
 * INVPCID and writes to CR4 are serializing. Returns to userspace need not.
 *
 * Guest and hypervisor mode differ in who does the CAS. In guest mode a sender
 * whose CAS succeeds does not wait at all; -DHV_ONLY is without that.
 *
 * The TLB may fill at any time and on any level, from what the page tables
 * say, speculation included. In the model it always has what may harm most: it
 * fills as soon as it can, since what it fills later is never older, and evicts
 * nothing.
 *
 * The safety property (I5): while code runs on the target that may use the
 * address, the TLB has nothing older than what is acked.
 *
 * Each -DMUT_... breaks one rule. A model that passes with one of them would
 * prove nothing; the tests run each and want it to fail. -DREACH=... asks for
 * a run to a state in which something worth proving happens: without these
 * the property might hold because nothing happens at all.
 */

#ifndef ROUNDS
#define ROUNDS 2        /* requests that one sender makes, either of them */
#endif
#ifndef ROUNDS2
#define ROUNDS2 1       /* requests that the other makes */
#endif
#ifndef EXITS
#define EXITS 2         /* times that the target's task leaves the kernel at most */
#endif
#ifndef NMIS
#define NMIS 1          /* NMIs at most */
#endif
#ifndef MCES
#define MCES 0          /* machine checks at most */
#endif

/* What can be reached; see COVER(). */
#define NMI_BEFORE_FLUSH        1
#define MCE_BEFORE_NMI_FLUSH    2
#define NMI_IN_EXIT_WINDOW      3
#define NMI_TOOK_USER           4
#define NMI_BEFORE_LOCK         5
#define IRQ_WITHOUT_USER        6
#define COALESCED               7
#define CAS_FAILED              8
#define ENDED_BY_WORD           9
#define ENDED_BY_DONE           10
#define STALE_IN_USER           11
#define DONE_IS_NEWER           12
#define USER_NOT_VISIBLE        13
#define ZERO_NOT_VISIBLE        14

#ifndef REACH
#define REACH 0
#endif
#define COVER(what) assert(REACH != what)       /* -DREACH=what fails here */

#define USER    1
#define PENDING 2
#define NONE    255     /* nothing in this slot of a store buffer */

/* Memory, as other CPUs see it. */
byte pte = 1;
byte req[2], done[2];
byte word;

/* The target. */
byte tlb = 1;
bool irq_pending;       /* the typed vector stands in the IRR */
byte level;
bool in_user;           /* user code runs: CPL 3 */
bool kcode[3];          /* this level runs code that may use the address */

/*
 * Its store buffer, oldest first: done, word := 0, word := USER. All three fit
 * at once. What comes in another order waits until it is empty.
 */
bool buf_done, buf_zero, buf_user;
byte buf_done_to[2];

#define OWN_WORD (buf_user -> USER : (buf_zero -> 0 : word))
#define OWN_DONE(i) (buf_done -> buf_done_to[i] : done[i])

/* The senders. */
byte acked;
byte finished;

/* Their store buffers: pte, then req. */
byte buf_pte = NONE;
byte buf_req[2] = NONE;

#ifdef MUT_NO_GATE                      /* I2: in the kernel too */
#define ACCEPTS(w) (true)
#else
#define ACCEPTS(w) ((w & USER) != 0)
#endif

#ifdef MUT_WAIT_IGNORES_USER            /* I5: any PENDING will do */
#define WILL_FLUSH(w) ((w & PENDING) != 0)
#else
#define WILL_FLUSH(w) (w == (USER | PENDING))
#endif

#define CAN_STORE(i) (buf_req[i] == NONE && (i != 0 || buf_pte == NONE))

inline fill_tlb() {
	if
	:: tlb == 0 -> tlb = pte
	:: else
	fi
}

inline drain_pte() {
	pte = buf_pte; buf_pte = NONE;
	fill_tlb()
}

inline drain_sender(i) {
	if
	:: i == 0 && buf_pte != NONE -> drain_pte()
	:: else
	fi;
	if
	:: buf_req[i] != NONE -> req[i] = buf_req[i]; buf_req[i] = NONE
	:: else
	fi
}

inline drain_target() {
	if
	:: buf_done ->
		done[0] = buf_done_to[0]; done[1] = buf_done_to[1];
		buf_done_to[0] = 0; buf_done_to[1] = 0; buf_done = false
	:: else
	fi;
	if
	:: buf_zero -> word = 0; buf_zero = false
	:: else
	fi;
	if
	:: buf_user -> word = USER; buf_user = false
	:: else
	fi
}

active proctype StoreBuffers() {
end:	do
	:: atomic { buf_pte != NONE -> drain_pte() }
	:: atomic { buf_pte == NONE && buf_req[0] != NONE ->
		req[0] = buf_req[0]; buf_req[0] = NONE }
	:: atomic { buf_req[1] != NONE -> req[1] = buf_req[1]; buf_req[1] = NONE }
	:: atomic { buf_done ->
		done[0] = buf_done_to[0]; done[1] = buf_done_to[1];
		buf_done_to[0] = 0; buf_done_to[1] = 0; buf_done = false }
	:: atomic { !buf_done && buf_zero -> word = 0; buf_zero = false }
	:: atomic { !buf_done && !buf_zero && buf_user -> word = USER; buf_user = false }
	od
}

/* ---- senders and VMM --------------------------------------------------- */

proctype Sender(byte i; byte rounds) {
	byte mine = 0, seen;
	bool is_recorded, is_delivered;

	do
	:: mine < rounds ->
		/* unmap, count the request: plain stores */
		atomic { CAN_STORE(i) ->
			mine++;
			buf_req[i] = mine;
			if
			:: i == 0 -> buf_pte = 0
			:: else
			fi;
#ifdef LOCKED_REQ
			drain_sender(i)
#endif
		};

		/*
		 * ICR write: the VMM decides, in the sender's thread. Or the
		 * sender itself does, and writes to the ICR if need be.
		 */
		atomic {
			seen = word;
			if
			:: in_user && buf_user -> COVER(USER_NOT_VISIBLE)
			:: kcode[0] && buf_zero -> COVER(ZERO_NOT_VISIBLE)
			:: else
			fi
		};
		do
		:: atomic { /* does not accept, or policy, contention, doubt (I4) */
			drain_sender(i);
			is_delivered = true; irq_pending = true;
			break }
		:: ACCEPTS(seen) ->
#ifdef MUT_SKIP_RMW                     /* I6: the bit is there, why bother */
			if
			:: (seen & PENDING) != 0 -> is_recorded = true; break
			:: else
			fi;
#endif
			atomic {        /* the CAS: a full barrier either way */
				drain_sender(i);
				if
#ifdef MUT_PLAIN_OR                     /* I2: not a compare-and-swap */
				:: true ->
#else
				:: word != seen -> COVER(CAS_FAILED);
					seen = word
#ifdef MUT_DROP_ON_FAIL                 /* I1: neither */
					; break
#endif
				:: word == seen ->
#endif
					if
					:: (word & PENDING) != 0 -> COVER(COALESCED)
					:: else
					fi;
					word = word | PENDING;
					is_recorded = true;
					break
				fi
			}
		od;
		atomic {
#ifdef MUT_BOTH                         /* I1: both */
			is_delivered = true; irq_pending = true;
#endif
			/* I1: exactly one */
			assert(is_recorded + is_delivered == 1)
		};

		/* the wait: one load of each, in this order */
		atomic {
			if
#ifndef HV_ONLY
			:: is_recorded  /* guest mode */
#endif
#ifdef MUT_NO_WAIT                      /* I5: fire and forget */
			:: true
#endif
			:: done[i] >= mine -> COVER(ENDED_BY_DONE)
			:: WILL_FLUSH(word) -> COVER(ENDED_BY_WORD)
			fi;
			if
			:: i == 0 -> acked = mine + 1;
				if
				:: in_user && tlb != 0 -> COVER(STALE_IN_USER)
				:: else
				fi
			:: else
			fi;
			seen = 0; is_recorded = false; is_delivered = false
		};
		/* The address is used again: another page is mapped there. */
		if
		:: atomic { i == 0 && mine < rounds && CAN_STORE(i) ->
			buf_pte = mine + 1 }
		:: i != 0 || mine == rounds
		fi
	:: else -> break
	od;
	finished++
}

/* ---- what runs on the target ------------------------------------------- */

/*
 * Steps of a context at level `l` wait until it is the one that runs. Each is
 * one instruction that others can see the effect of, so that handlers and
 * senders may come in between. `s` and `saw` are the context's own: the
 * requests that it read, and what it saw of the word.
 */
#define ON(l) (level == l)

inline store_zero() {
	if
	:: buf_user -> drain_target()
	:: else
	fi;
	buf_zero = true
}

inline read_req() {
	s[0] = req[0]; s[1] = req[1]
}

inline flush_tlb() {
	drain_target();
	tlb = 0; fill_tlb()
}

/* done := max(done, s), by a cmpxchg that is atomic on its own CPU. */
inline publish() {
	if
	:: s[0] < OWN_DONE(0) || s[1] < OWN_DONE(1) -> COVER(DONE_IS_NEWER)
	:: else
	fi;
	if
#ifdef MUT_NO_MAX                       /* I9: a plain store */
	:: true ->
#else
	:: s[0] > OWN_DONE(0) || s[1] > OWN_DONE(1) ->
#endif
		/* done never goes back */
		assert(s[0] >= OWN_DONE(0) && s[1] >= OWN_DONE(1));
		if
		:: buf_done || buf_zero || buf_user -> drain_target()
		:: else
		fi;
		buf_done = true;
		buf_done_to[0] = s[0]; buf_done_to[1] = s[1]
	:: else
	fi;
	s[0] = 0; s[1] = 0
}

inline do_and_publish(l) {
#ifdef MUT_LATE_REQ                     /* I9: req read after the flush */
	atomic { ON(l) -> flush_tlb() };
	atomic { ON(l) -> read_req() };
	atomic { ON(l) -> publish() }
#else
#ifdef MUT_EARLY_DONE                   /* I9: published before the flush */
	atomic { ON(l) -> read_req() };
	atomic { ON(l) -> publish() };
	atomic { ON(l) -> flush_tlb() }
#else
	atomic { ON(l) -> read_req() };
	atomic { ON(l) -> flush_tlb() };
	atomic { ON(l) -> publish() }
#endif
#endif
}

/* IPI_DEFER_ENTER: all that runs before kernel code proper. */
inline enter(l) {
	atomic { ON(l) -> saw = OWN_WORD };
	if
#ifdef MUT_TEST_USER                    /* I10: looks for USER alone */
	:: (saw & USER) == 0
	:: (saw & USER) != 0 ->
#else
	:: saw == 0
	:: saw != 0 ->
#endif
#ifdef MUT_XCHG                         /* I10: takes both flags at once */
		atomic { ON(l) ->
			drain_target();
			saw = word & ~USER;
			word = 0 };
#else
#ifdef MUT_UNLOCKED_AND                 /* I5: not a locked instruction */
		atomic { ON(l) -> saw = OWN_WORD & ~USER };
		atomic { ON(l) -> drain_target(); word = saw };
#else
		atomic { ON(l) ->
			drain_target();
			if
			:: word == 0 -> COVER(NMI_BEFORE_LOCK)
			:: else
			fi;
			word = word & ~USER;
			saw = word };
#endif
#endif
		if
		:: saw == 0
		:: saw != 0 ->
#ifdef MUT_KCODE_FIRST                  /* I5: flush in context tracking */
			atomic { ON(l) -> kcode[l] = true };
#endif
#ifdef MUT_CLEAR_FIRST                  /* I10: the flush is still to come */
			atomic { ON(l) -> store_zero() };
#endif
#ifdef MUT_NO_FLUSH                     /* I5: the flush is lost */
			atomic { ON(l) -> read_req() };
			atomic { ON(l) -> publish() };
#else
			do_and_publish(l);
#endif
#ifndef MUT_CLEAR_FIRST
			atomic { ON(l) -> store_zero() }
#endif
		fi
	fi;
	saw = 0
}

/* IPI_DEFER_EXIT, a plain store. What follows uses nothing that can be unmapped. */
inline leave(l) {
#ifdef MUT_EARLY_EXIT                   /* I5: before loads that come first */
	atomic { ON(l) -> buf_user = true };
	atomic { ON(l) -> kcode[l] = false }
#else
	atomic { ON(l) -> kcode[l] = false; buf_user = true }
#endif
#ifdef MUT_EXIT_TWICE                   /* I1: PENDING is overwritten */
	; atomic { ON(l) -> buf_user = true }
#endif
}

/* The typed vector's handler, interrupts off. */
inline handle_irq() {
	do_and_publish(0)
}

active proctype Target() {
	byte s[2];
	byte exits = 0, saw;
	bool by_irq, stays;

	atomic {
		if
		:: run Sender(0, ROUNDS); run Sender(1, ROUNDS2)
		:: ROUNDS != ROUNDS2 ->
			run Sender(0, ROUNDS2); run Sender(1, ROUNDS)
		fi;
		run Handler(1, NMIS); run Handler(2, MCES);
		kcode[0] = true
	};
end:	do
	:: atomic { ON(0) && irq_pending -> irq_pending = false };
		/* in the kernel, with interrupts on */
		handle_irq()
	:: exits < EXITS ->
		/* leave for userspace, interrupts off */
		exits++;
		leave(0);
		atomic { ON(0) ->
			in_user = true;
			if
			:: OWN_WORD == 0 -> COVER(NMI_TOOK_USER)
			:: else
			fi
		};

		/* userspace, perhaps for ever */
		if
		:: stays = true
		:: stays = false
		fi;
end_user:	if
		:: atomic { ON(0) && !stays ->  /* system call, fault, timer */
			in_user = false }
		:: atomic { ON(0) && irq_pending -> /* our vector */
			irq_pending = false; in_user = false; by_irq = true;
			if
			:: OWN_WORD == 0 -> COVER(IRQ_WITHOUT_USER)
			:: else
			fi
		  }
		fi;
		stays = false;

		enter(0);
		atomic { ON(0) -> kcode[0] = true };
		if
		:: by_irq -> by_irq = false; handle_irq()
		:: else
		fi
	od
}

/*
 * An NMI (1) or machine check (2) that may come at any point. From user mode
 * it comes and goes like any other entry, and sets USER again; nothing depends
 * on that. From the kernel it may find USER set, in the last steps of an exit
 * or the first of an entry, and takes it away.
 */
proctype Handler(byte l; byte most) {
	byte s[2];
	byte times = 0, below, saw;
	bool from_user;

end:	do
	:: times < most ->
		atomic { level < l ->
			below = level; level = l; times++;
			from_user = in_user; in_user = false;
			if
			:: !from_user && below == 0 && OWN_WORD == PENDING ->
				COVER(NMI_BEFORE_FLUSH)
			:: below == 1 && OWN_WORD == PENDING && !kcode[0] && !kcode[1] ->
				COVER(MCE_BEFORE_NMI_FLUSH)
			:: !from_user && OWN_WORD == (USER | PENDING) ->
				COVER(NMI_IN_EXIT_WINDOW)
			:: else
			fi
		};
#ifdef MUT_NMI_NO_FLUSH                 /* I10: entries from user mode only */
		if
		:: from_user -> enter(l)
		:: else
		fi;
#else
		enter(l);
#endif
		atomic { ON(l) -> kcode[l] = true };
		if
		:: from_user -> leave(l)
		:: true                 /* it need not */
#ifdef MUT_NMI_SETS_USER                /* I5: whatever was interrupted */
			-> leave(l)
#endif
		fi;
		atomic { ON(l) ->
			kcode[l] = false;
			in_user = from_user; from_user = false;
			level = below; below = 0 }
	:: else -> break
	od
}

/* I5, at every step. */
#define stale (kcode[level] && tlb != 0 && tlb < acked)

active proctype Monitor() {
end:	atomic { stale -> assert(!stale) }
}

/* Nobody waits for ever: needs weak fairness. */
ltl answered { <> (finished == 2) }
