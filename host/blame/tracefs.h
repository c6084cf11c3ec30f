/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of libtracefs is used here; its own header is C, and no C++ compiler
 * takes it. */
#ifndef IPIDEFER_BLAME_TRACEFS_H
#define IPIDEFER_BLAME_TRACEFS_H

#include <event-parse.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tracefs_instance;

/** Is there a tracefs that we may use? */
bool blame_tracefs_usable(void);
/** The events of these systems, of which NULL is the end, as there are some
 * thousand others to be parsed; NULL and errno if they cannot be read. */
struct tep_handle* blame_tracefs_events(const char* const* systems);

/** An instance, off, with this clock; NULL and errno on failure. */
struct tracefs_instance* blame_instance_make(const char* name,
                                             const char* clock);
/** Stops and removes it, and frees what names it; NULL is no instance. */
void blame_instance_remove(struct tracefs_instance* instance);
/** The same by its name, if there is one. */
void blame_instance_remove_named(const char* name);

/** @param filter NULL for all. One that the kernel refuses is left out.
 * @return 0, or -1 and errno */
int blame_instance_enable(struct tracefs_instance* instance, const char* system,
                          const char* event, const char* filter);
/** From now on the kernel writes a stack behind each of these events that
 * passes the filter: the event's own does not hold for it.
 * @param filter NULL for all. One that the kernel refuses is left out.
 * @return 0, or -1 and errno */
int blame_instance_stacks(struct tracefs_instance* instance, const char* system,
                          const char* event, const char* filter);
void blame_instance_switch(struct tracefs_instance* instance, bool on);

typedef int blame_take(struct tep_event* event, struct tep_record* record,
                       int cpu, void* context);
/** Calls `missed` for each gap that blame_instance_read() finds. */
void blame_instance_follow_missed(struct tracefs_instance* instance,
                                  blame_take* missed, void* context);
/** Calls `take` for all that is there. @return 0, or -1 and errno */
int blame_instance_read(struct tep_handle* events,
                        struct tracefs_instance* instance, blame_take* take,
                        void* context);

#ifdef __cplusplus
}
#endif

#endif /* IPIDEFER_BLAME_TRACEFS_H */
