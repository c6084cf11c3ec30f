/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The deferral protocol between a sender, the VMM, a target CPU, and NMIs and
 * machine checks on that CPU. I1-I10 are the invariants of docs/ORDERING.md.
 *
 * What is modelled
 *   text     the thing that senders change; its value is a version
 *   synced   the version that the target's last sync_core() made it see
 *   acked    the version of the last request whose sender's wait has ended
 *   word     the context word: watching bit, USER or not, one work bit
 *   level    what runs on the target: 0 its task or interrupt handler, 1 an
 *            NMI, 2 a machine check; a lower level does not move meanwhile
 *
 * The sender's stores to text and req go through a TSO store buffer, which
 * drains when it likes, or at a locked instruction. The real sender increments
 * req with one; the model does not count on it, so that the RMW on the word
 * alone has to order the stores (I6).
 *
 * The safety property (I5): while code runs on the target that may be harmed
 * by a missing sync, nothing is acked that the target has not synced.
 *
 * Each -DMUT_... breaks one rule. A model that passes with one of them would
 * prove nothing; the tests run each and want it to fail.
 */

#ifndef ROUNDS
#define ROUNDS 3        /* requests that the sender makes */
#endif
#ifndef ENTRIES
#define ENTRIES 3       /* times that the target leaves the kernel at most */
#endif
#ifndef NMIS
#define NMIS 2          /* NMIs at most */
#endif
#ifndef MCES
#define MCES 1          /* machine checks at most */
#endif

/* Memory, as other CPUs see it. */
byte text, req, done;

/* The context word. */
bool watching = true;
bool user = false;
bool work = false;

/* The target. */
byte synced;
bool work_done;         /* context_tracking.work_done */
bool irq_pending;       /* the typed vector stands in the IRR */
byte level;
bool kcode[3];          /* this level runs code that may be harmed */

/* The sender. */
byte acked;
bool finished;

/* Its store buffer: text, then req. 0 means empty. */
byte buf_text, buf_req;

#ifdef MUT_NAIVE_GATE                   /* I8: gate on the state alone */
#define ACCEPTS (user)
#else
#define ACCEPTS (user && !watching)
#endif

inline drain_one() {
	if
	:: buf_text != 0 -> text = buf_text; buf_text = 0
	:: buf_text == 0 && buf_req != 0 -> req = buf_req; buf_req = 0
	fi
}

inline drain_all() {
	if
	:: buf_text != 0 -> text = buf_text; buf_text = 0
	:: else
	fi;
	if
	:: buf_req != 0 -> req = buf_req; buf_req = 0
	:: else
	fi
}

active proctype StoreBuffer() {
end:	do
	:: atomic { (buf_text != 0 || buf_req != 0) -> drain_one() }
	od
}

/* ---- sender and VMM ---------------------------------------------------- */

active proctype Sender() {
	byte mine = 0;
	bool w_watching, w_user, w_work, is_recorded, is_delivered;

	do
	:: mine < ROUNDS ->
		mine++;
		/* change, count the request: plain stores */
		(buf_text == 0 && buf_req == 0);
		buf_text = mine;
		buf_req = mine;

		/* ICR write: the VMM decides, in the sender's thread. */
		is_recorded = false;
		is_delivered = false;
		atomic {
			w_watching = watching; w_user = user; w_work = work;
		}
		do
		:: /* policy, contention, doubt: always allowed (I4) */
			is_delivered = true; break
#ifdef MUT_NAIVE_GATE
		:: !w_user -> is_delivered = true; break
		:: w_user ->
#else
		:: (!w_user || w_watching) -> is_delivered = true; break
		:: w_user && !w_watching ->
#endif
#ifdef MUT_SKIP_RMW                     /* I6: the bit is there, why bother */
			if
			:: w_work -> is_recorded = true; break
			:: else
			fi;
#endif
#ifdef MUT_PLAIN_OR                     /* I2: not a compare-and-swap */
			atomic { drain_all(); work = true; is_recorded = true };
			break
#else
			atomic {        /* the CAS: a full barrier either way */
				drain_all();
				if
				:: watching == w_watching && user == w_user &&
				   work == w_work ->
					work = true;
					is_recorded = true
				:: else ->
					w_watching = watching;
					w_user = user;
					w_work = work
				fi
			};
			if
			:: is_recorded -> break
			:: else
#ifdef MUT_DROP_ON_FAIL                 /* I1: neither */
				-> break
#endif
			fi
#endif
		od;
#ifdef MUT_BOTH                         /* I1: both */
		is_delivered = true;
#endif
		if
		:: is_delivered -> atomic { drain_all(); irq_pending = true }
		:: else
		fi;
		/* I1: exactly one */
		assert(is_recorded + is_delivered == 1);

		/* the wait: one load of each, in this order */
		do
		:: done >= mine -> break
#ifdef MUT_WAIT_IGNORES_ACCEPT          /* I5: any bit will do */
		:: work -> break
#else
		:: atomic { ACCEPTS && work -> break }
#endif
#ifdef MUT_NO_WAIT                      /* I5: fire and forget */
		:: break
#endif
		od;
		atomic {
			acked = mine;
			w_watching = false; w_user = false; w_work = false;
			is_recorded = false; is_delivered = false
		}
	:: else -> break
	od;
	finished = true
}

/* ---- what runs on the target ------------------------------------------- */

/*
 * Steps of a context at level `l` wait until it is the one that runs. The
 * read of req, the work and the publication are steps of their own, so that
 * handlers and the sender may come in between.
 */
#define ON(l) (level == l)

inline sync_and_publish(l, r) {
#ifdef MUT_LATE_REQ                     /* I9: req read after the work */
	atomic { ON(l) -> synced = text };
	atomic { ON(l) -> r = req };
	atomic { ON(l) -> assert(r >= done); done = r }
#else
#ifdef MUT_EARLY_DONE                   /* I9: published before the work */
	atomic { ON(l) -> r = req };
	atomic { ON(l) -> assert(r >= done); done = r };
	atomic { ON(l) -> synced = text }
#else
	atomic { ON(l) -> r = req };
	atomic { ON(l) -> synced = text };
	/* also: done never goes back */
	atomic { ON(l) -> assert(r >= done); done = r }
#endif
#endif
}

/* Work found by the entry atomic of this level. */
inline flush(l, r, found) {
	if
	:: found ->
#ifndef MUT_NO_FLUSH                    /* I5: the flush is lost */
		sync_and_publish(l, r);
#endif
		atomic { ON(l) -> work_done = true }
	:: else
	fi
}

/* The kernel exit: not watching, and bits cleared, in one atomic. */
inline exit_atomic(l) {
#ifndef MUT_STALE_WORK_DONE             /* I10: the last stay's flag is kept */
	atomic { ON(l) -> work_done = (work -> false : work_done) };
#endif
#ifdef MUT_CLEAR_LATE                   /* I9: cleared when others may set */
	atomic { ON(l) -> watching = false };
	atomic { ON(l) -> work = false }
#else
	atomic { ON(l) -> watching = false; work = false }
#endif
}

inline entry_atomic(l, found) {
	atomic { ON(l) -> watching = true; found = work }
}

/* The typed vector's handler, in the kernel, interrupts off. */
inline handle_irq(r) {
	if
	:: atomic { ON(0) && irq_pending -> irq_pending = false };
		sync_and_publish(0, r)
	:: ON(0) && !irq_pending
	fi
}

active proctype Target() {
	byte r, entries = 0;
	bool found;

	atomic { ON(0) -> kcode[0] = true };
	do
	:: atomic { ON(0) && irq_pending -> irq_pending = false };
		/* in the kernel, with interrupts on */
		sync_and_publish(0, r)
	:: entries < ENTRIES ->
		/* leave for userspace, interrupts off */
		entries++;
		atomic { ON(0) -> kcode[0] = false; r = 0; found = false };
		atomic { ON(0) -> user = true };
		/* USER and not watching come with one atomic for a tracked
		 * CPU; the step before models one that is not tracked. */
		exit_atomic(0);

		/* userspace, until something brings us back */
		if
		:: ON(0)                /* system call, fault, timer */
		:: ON(0) && irq_pending /* our vector */
		fi;

		entry_atomic(0, found);
		atomic { ON(0) -> user = false };
		flush(0, r, found);
		atomic { ON(0) -> kcode[0] = true };
		handle_irq(r)
	:: entries == ENTRIES -> break
	od;
	/* It stays in the kernel, and takes what is left. */
end:	do
	:: atomic { ON(0) && irq_pending -> irq_pending = false };
		sync_and_publish(0, r)
	od
}

/* An NMI (1) or machine check (2) that may come at any point. */
proctype Handler(byte l; byte most) {
	byte r, times = 0, below;
	bool outermost, found;

end:	do
	:: times < most ->
		atomic { level < l -> below = level; level = l };
		times++;
		if
		:: atomic { ON(l) && !watching -> outermost = true }
		:: atomic { ON(l) && watching -> outermost = false }
		fi;
		if
		:: outermost ->
			entry_atomic(l, found);
			flush(l, r, found)
		:: !outermost ->
#ifdef MUT_NMI_NO_FLUSH                 /* I10 */
			skip
#else
			if
			:: atomic { ON(l) && work && !work_done ->
#ifdef MUT_NMI_PUBLISHES                /* I9: who was interrupted does */
				r = req; done = r;
#endif
				synced = text }
			:: atomic { ON(l) && !(work && !work_done) -> skip }
			fi
#endif
		fi;
		atomic { ON(l) -> kcode[l] = true };
		atomic { ON(l) -> kcode[l] = false };
		if
		:: outermost -> exit_atomic(l)
		:: !outermost
		fi;
		atomic { ON(l) ->
			outermost = false; found = false; r = 0; level = below }
	:: times == most -> break
	od
}

init {
	atomic { run Handler(1, NMIS); run Handler(2, MCES) }
}

/* I5, at every step. */
#define harmed (kcode[level] && synced < acked)

active proctype Monitor() {
end:	atomic { harmed -> assert(!harmed) }
}

/* Nobody waits for ever: needs weak fairness. */
ltl answered { <> finished }
