/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is skipped for a CPU outside of the kernel: a sender unlinks a page table,
 * looks at the target's context word, and frees the table; the target walks page
 * tables with interrupts off, in its kernel code and in NMIs. I5, I6 and I8 are
 * the invariants of docs/ORDERING.md.
 *
 * What is modelled
 *   word     the context word: WATCHING, and USER, which stays while an NMI
 *            handler runs on top of userspace
 *   linked   the table can be found by those who begin to walk
 *   freed    the sender has freed it
 *   walking  a walk is under way that has found the table
 *   irq      the function call that the sender waits for
 *
 * The sender's store to linked goes through a TSO store buffer, which drains
 * when it likes, or at a full barrier. The target's walks are loads, which x86
 * keeps in order, and its atomic operations are full barriers. ftrace and RCU
 * Tasks Rude go by the same look: "linked" is then the function that traced code
 * calls, and a walk is a call.
 *
 * The safety property (I5): nobody is in a walk of the table when it is freed.
 *
 * Each -DMUT_... breaks one rule, and must fail. -DREACH=... asks for a run to a
 * state in which something worth proving happens.
 */

#ifndef ENTRIES
#define ENTRIES 3       /* times that the target enters the kernel at most */
#endif
#ifndef NMIS
#define NMIS 2          /* NMIs on top of userspace at most */
#endif

/* What can be reached; see COVER(). */
#define SKIPPED         1
#define CALLED          2
#define CALLED_FOR_NMI  3
#define WALK_IN_NMI     4

#ifndef REACH
#define REACH 0
#endif
#define COVER(what) assert(REACH != what)       /* -DREACH=what fails here */

#define WATCHING        1
#define USER            2

byte word = WATCHING;
bool linked = true, freed, walking, irq, ended;
bool unlinking;         /* the store is in the sender's buffer */

#ifdef MUT_NAIVE_GATE                   /* I8: the state alone */
#define OUTSIDE(w) ((w & USER) != 0)
#else
#define OUTSIDE(w) (w == USER)
#endif

active proctype StoreBuffer() {
end:	do
	:: atomic { unlinking -> linked = false; unlinking = false }
	od
}

active proctype Sender() {
	byte seen;

#ifdef MUT_EARLY_LOOK                   /* I6: the look comes first */
	seen = word;
#endif
	unlinking = true;
#ifndef MUT_NO_BARRIER                  /* I6: nothing between change and look */
	atomic { linked = false; unlinking = false };
#endif
#ifndef MUT_EARLY_LOOK
	seen = word;
#endif
	if
#ifdef MUT_CALL_NOBODY                  /* I5: whoever may be walking */
	:: true
#else
	:: OUTSIDE(seen) -> COVER(SKIPPED)
	:: !OUTSIDE(seen) ->
		atomic {
			COVER(CALLED);
			if
			:: (seen & USER) != 0 -> COVER(CALLED_FOR_NMI)
			:: else
			fi;
			/* Sending it is a full barrier. */
			linked = false; unlinking = false;
			irq = true
		};
		/* Or the target is gone, with nothing under way. */
		!irq || ended
#endif
	fi;
	atomic {
		assert(!(walking && freed));
		freed = true;
		assert(!(walking && freed))
	}
}

/* With interrupts off; NMIs do it too. */
inline walk() {
	if
	:: linked -> atomic { walking = true; assert(!(walking && freed)) };
		/* it is read here, for as long as it takes */
		atomic { assert(!(walking && freed)); walking = false }
	:: !linked
	:: true
	fi
}

active proctype Target() {
	byte entries = 0, nmis = 0;

	do
	:: /* kernel code; interrupts are on between two walks */
		walk();
		if
		:: atomic { irq -> irq = false }
		:: true
		fi;

		/* exit_to_user_mode(): nothing here walks */
		word = USER;
#ifdef MUT_WALK_LATE                    /* I5: it does */
		walk();
#endif
		/* userspace */
		do
		:: nmis < NMIS ->
			nmis++;
			word = USER | WATCHING;
			if
			:: linked -> COVER(WALK_IN_NMI)
			:: true
			fi;
			walk();
			word = USER
		:: break
		od;
		if
		:: entries == ENTRIES -> break
		:: else -> entries++
		fi;
		/* entry code: nothing here walks */
#ifdef MUT_WALK_EARLY                   /* I5: it does */
		walk();
#endif
		word = WATCHING;
		/* The entry may have been by the interrupt. */
		if
		:: atomic { irq -> irq = false }
		:: true
		fi
	od;
	ended = true
}
