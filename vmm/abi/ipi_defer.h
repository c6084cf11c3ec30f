/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * ipi_defer: the guest/VMM contract, ABI version 1.
 *
 * A guest tells its VMM, per vCPU and interrupt vector, where a 32-bit
 * "context word" lives and when it accepts work. An IPI of such a "typed"
 * vector to a vCPU whose word accepts is then recorded as one bit in the word
 * instead of interrupting the vCPU; the guest does the recorded work on its
 * next kernel entry. Everything here fails towards today's behaviour: without
 * the CPUID signature, with an unknown version or after a refused
 * registration, a typed vector is an ordinary IPI.
 *
 * This one file is shared by the hypervisor side (C and C++) and the guest
 * kernel; the copies are compared byte for byte by a test. All values are
 * little endian, as x86 is.
 */
#ifndef IPI_DEFER_ABI_H
#define IPI_DEFER_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#include <cstddef>
#define IPI_DEFER_ASSERT(cond)	static_assert(cond, #cond)
#else
#ifdef __KERNEL__
#include <linux/stddef.h>
#else
#include <stddef.h>
#endif
#define IPI_DEFER_ASSERT(cond)	_Static_assert(cond, #cond)
#endif

/*
 * Discovery. Scan EAX = 0x40000000, 0x40000100, ... 0x4000ff00 for the
 * signature in EBX, ECX, EDX (12 bytes, in this order). The base is not
 * necessarily below the maximum that leaf 0x40000000 reports, so compare the
 * signature and nothing else. Never probe by touching the MSRs: an unknown
 * MSR is ignored by some hypervisors and faults under others.
 *
 * base + 0: EAX = highest leaf of this range, EBX/ECX/EDX = signature
 * base + 1: EAX = ABI version, EBX = features (IPI_DEFER_F_*),
 *           ECX = most bindings a table may hold, EDX = 0 (reserved)
 */
#define IPI_DEFER_CPUID_FIRST		0x40000000u
#define IPI_DEFER_CPUID_LAST		0x4000ff00u
#define IPI_DEFER_CPUID_STEP		0x100u
#define IPI_DEFER_CPUID_DEFAULT		0x40000400u	/* where our VMMs put it */
#define IPI_DEFER_CPUID_LEAVES		2u
#define IPI_DEFER_SIGNATURE		"IpiDeferVMM"	/* with its NUL: 12 bytes */
#define IPI_DEFER_SIGNATURE_EBX		0x44697049u	/* "IpiD" */
#define IPI_DEFER_SIGNATURE_ECX		0x72656665u	/* "efer" */
#define IPI_DEFER_SIGNATURE_EDX		0x004d4d56u	/* "VMM\0" */

#define IPI_DEFER_VERSION		1u

/* The VMM sees writes to the local APIC's ICR: the guest just sends. */
#define IPI_DEFER_F_ICR			(1u << 0)
/*
 * IPI_DEFER_MSR_ICR exists. Without F_ICR typed vectors must go through it, or
 * they are delivered.
 */
#define IPI_DEFER_F_DOORBELL		(1u << 1)
/* IPI_DEFER_MSR_ICR_MULTI exists too: many targets for one exit. */
#define IPI_DEFER_F_DOORBELL_MULTI	(1u << 2)

/*
 * MSR_REGISTER, read/write, one per vCPU.
 *
 *  63                                   8 7     4 3      1    0
 * +--------------------------------------+-------+--------+--------+
 * | GPA of the binding table, bits 63:8  | count | 0      | enable |
 * +--------------------------------------+-------+--------+--------+
 *
 * Writing 0 unregisters. Writing with the enable bit makes the VMM copy
 * `count` bindings (1..8) from the table, once, and replaces the vCPU's
 * previous registration. The table is 256-byte aligned, thus never crosses a
 * page. Any fault in the value or in the table is #GP(0), and leaves the
 * previous registration as it was. Reading gives the value last accepted,
 * 0 when there is no registration. Reset, INIT and removal of the vCPU end a
 * registration; but without F_ICR, INIT may not: that VMM need not see it. So
 * a vCPU that starts writes 0 before typed vectors can be sent to it. When the
 * RAM behind a word goes, its vector is delivered until the next registration.
 */
#define IPI_DEFER_MSR_REGISTER		0x49504900u
#define IPI_DEFER_REG_ENABLE		(1u << 0)
#define IPI_DEFER_REG_RESERVED		0x0eu
#define IPI_DEFER_REG_COUNT_SHIFT	4
#define IPI_DEFER_REG_COUNT_MASK	0xf0u
#define IPI_DEFER_REG_GPA_MASK		(~(__u64)0xff)
#define IPI_DEFER_MAX_BINDINGS		8u
#define IPI_DEFER_TABLE_BYTES		256u

/*
 * MSR_ICR, the doorbell, write only; exists when F_DOORBELL is set. The format
 * of the x2APIC ICR (SDM vol. 3A 11.12.9), whatever mode the local APIC is in,
 * and the same effect as that write has where the VMM sees it: each target has
 * the IPI recorded or delivered. Of what an ICR can say it takes:
 *
 *  63          32 31  20 19  18 17 16 15 14 13 12 11 10 8 7      0
 * +--------------+------+------+-----+--+--+-----+--+----+--------+
 * | APIC ID      | 0    | sh   | 0   |0 |lv| 0   |0 | 0  | vector |
 * +--------------+------+------+-----+--+--+-----+--+----+--------+
 *
 * vector: VECTOR_FIRST..VECTOR_LAST, bound or not. APIC ID: all 32 bits, a
 * physical destination, 0xffffffff is all; 0xff is the APIC of this number.
 * sh: the shorthand; with one, the APIC ID is ignored. lv, the level bit, is
 * ignored. Any other bit, that is a logical destination, another delivery mode
 * than fixed, a level trigger, is #GP(0), and nothing is sent. Reading is
 * #GP(0). An ID that no vCPU has names nobody.
 */
#define IPI_DEFER_MSR_ICR		0x49504901u

/*
 * MSR_ICR_MULTI, write only; exists when F_DOORBELL_MULTI is set. The value is
 * the GPA of a request, 64-byte aligned, in RAM. The VMM reads the request
 * once, before the write returns, so the next write may use the same memory.
 * It has the effect of one fixed IPI of `vector` to each APIC ID named: ID
 * base + n is named by bit n % 64 of mask[n / 64]. The IDs named must lie below
 * 0xffffffff. Any fault in value or request is #GP(0), and nothing is sent.
 * Reading is #GP(0).
 *
 * In memory, not in the value: a value has room for some 40 bits of mask, and
 * machines with more isolated vCPUs are those that gain most.
 */
#define IPI_DEFER_MSR_ICR_MULTI		0x49504902u
#define IPI_DEFER_MULTI_BYTES		64u
#define IPI_DEFER_MULTI_WORDS		7u
#define IPI_DEFER_MULTI_IDS		448u

/* Zeroed memory is not a valid request. An empty mask names nobody. */
struct ipi_defer_multi {
	/* VECTOR_FIRST..VECTOR_LAST */
	__u32 vector;
	/* APIC ID of bit 0 of mask[0]; any. */
	__u32 base;
	__u64 mask[IPI_DEFER_MULTI_WORDS];
};

IPI_DEFER_ASSERT(offsetof(struct ipi_defer_multi, vector) == 0);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_multi, base) == 4);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_multi, mask) == 8);
IPI_DEFER_ASSERT(sizeof(struct ipi_defer_multi) == IPI_DEFER_MULTI_BYTES);
IPI_DEFER_ASSERT(IPI_DEFER_MULTI_WORDS * 64 == IPI_DEFER_MULTI_IDS);

/* Vectors that may be bound or rung for: not an exception, not the reset SVR's vector. */
#define IPI_DEFER_VECTOR_FIRST		0x20u
#define IPI_DEFER_VECTOR_LAST		0xfeu

/*
 * One binding, 32 bytes. Zeroed memory is not a valid binding.
 *
 * Recording is allowed iff (word & accept_mask) == accept_value, and sets
 * work_bit with one atomic read-modify-write, also when it is set already
 * (the RMW is what orders the sender's earlier stores). The VMM writes the
 * word in no other way.
 *
 * The state fields serve statistics and the VMM's user/guest/idle policy
 * only: the vCPU's state is (word & state_mask) >> state_shift, and the three
 * state_* bytes say which value is which. With state_mask 0 the state is
 * unknown, and the VMM records only if its policy allows all three.
 */
struct ipi_defer_binding {
	/* GPA of the context word, 4-byte aligned, in writable RAM. */
	__u64 word_gpa;
	/* Bits to look at; not 0, none of them a work bit of this table. */
	__u32 accept_mask;
	/* What they must be; no bit outside accept_mask. */
	__u32 accept_value;
	/* Exactly one bit; no other binding of the same word has it. */
	__u32 work_bit;
	/* 0, or the contiguous bits of the state, none of them a work bit. */
	__u32 state_mask;
	/* Lowest set bit of state_mask; 0 when state_mask is 0. */
	__u8 state_shift;
	/* VECTOR_FIRST..VECTOR_LAST, once per table. */
	__u8 vector;
	/* Values of the state; distinct, within the mask; 0 when it is 0. */
	__u8 state_user;
	__u8 state_guest;
	__u8 state_idle;
	/* Zero. */
	__u8 reserved[3];
};

IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, word_gpa) == 0);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, accept_mask) == 8);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, accept_value) == 12);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, work_bit) == 16);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, state_mask) == 20);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, state_shift) == 24);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, vector) == 25);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, state_user) == 26);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, state_guest) == 27);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, state_idle) == 28);
IPI_DEFER_ASSERT(offsetof(struct ipi_defer_binding, reserved) == 29);
IPI_DEFER_ASSERT(sizeof(struct ipi_defer_binding) == 32);
IPI_DEFER_ASSERT(sizeof(struct ipi_defer_binding) * IPI_DEFER_MAX_BINDINGS ==
		 IPI_DEFER_TABLE_BYTES);

#endif /* IPI_DEFER_ABI_H */
