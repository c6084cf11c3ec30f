// SPDX-License-Identifier: GPL-2.0-or-later
// ipi_masks ROUNDS: cause function call IPIs to every set of CPUs, from every CPU.
//
// A thread on each CPU of a set is in userspace while another one takes a page's
// permissions away, so that the kernel has their CPUs flush it from their TLBs.
// Prints when that began and ended, in seconds of CLOCK_MONOTONIC; nothing is
// sent shortly before and after.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define MOST_CPUS 8

static atomic_int stop, running;

static void stay_on(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		perror("sched_setaffinity");
		exit(1);
	}
}

static void *spin(void *cpu)
{
	stay_on((long)cpu);
	atomic_fetch_add(&running, 1);
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	return NULL;
}

static void send(long from, unsigned long to, long cpus, long rounds)
{
	pthread_t threads[MOST_CPUS];
	int count = 0;
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	stay_on(from);
	atomic_store(&stop, 0);
	atomic_store(&running, 0);
	for (long cpu = 0; cpu < cpus; cpu++)
		if (to >> cpu & 1 &&
		    pthread_create(&threads[count++], NULL, spin, (void *)cpu) != 0)
			exit(1);
	while (atomic_load(&running) != count)
		sched_yield();
	for (long i = 0; i < rounds; i++) {
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		*page = 1;
		mprotect(page, PAGE, PROT_READ);
	}
	atomic_store(&stop, 1);
	while (count > 0)
		pthread_join(threads[--count], NULL);
	munmap(page, PAGE);
}

static struct timespec quiet_moment(void)
{
	struct timespec now;

	usleep(50000);
	clock_gettime(CLOCK_MONOTONIC, &now);
	usleep(50000);
	return now;
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const long rounds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

	if (rounds < 1 || cpus > MOST_CPUS) {
		fprintf(stderr, "usage: ipi_masks ROUNDS, on at most %d CPUs\n",
			MOST_CPUS);
		return 1;
	}
	begin = quiet_moment();
	for (long from = 0; from < cpus; from++)
		for (unsigned long to = 1; to < 1UL << cpus; to++)
			if (!(to >> from & 1))
				send(from, to, cpus, rounds);
	end = quiet_moment();
	printf("== from %ld.%09ld to %ld.%09ld\n", (long)begin.tv_sec, begin.tv_nsec,
	       (long)end.tv_sec, end.tv_nsec);
	return 0;
}
