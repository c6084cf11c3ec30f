/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE /* asprintf */
#include "host/blame/tracefs.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <tracefs.h>

bool blame_tracefs_usable(void)
{
    return tracefs_tracing_dir() != NULL && tracefs_dir_exists(NULL, "events");
}

struct tep_handle* blame_tracefs_events(const char* const* systems)
{
    return tracefs_local_events_system(NULL, systems);
}

struct tracefs_instance* blame_instance_make(const char* name,
                                             const char* clock)
{
    struct tracefs_instance* const instance = tracefs_instance_create(name);

    if (!instance) return NULL;
    tracefs_trace_off(instance);
    if (tracefs_instance_file_write(instance, "trace_clock", clock) < 0) {
        const int error = errno;

        blame_instance_remove(instance);
        errno = error;
        return NULL;
    }
    return instance;
}

void blame_instance_remove(struct tracefs_instance* instance)
{
    if (!instance) return;
    tracefs_trace_off(instance);
    tracefs_event_disable(instance, NULL, NULL);
    tracefs_instance_destroy(instance);
    tracefs_instance_free(instance);
}

void blame_instance_remove_named(const char* name)
{
    if (tracefs_instance_exists(name))
        blame_instance_remove(tracefs_instance_alloc(NULL, name));
}

int blame_instance_enable(struct tracefs_instance* instance, const char* system,
                          const char* event, const char* filter)
{
    if (filter)
        tracefs_event_file_write(instance, system, event, "filter", filter);
    return tracefs_event_enable(instance, system, event);
}

int blame_instance_stacks(struct tracefs_instance* instance, const char* system,
                          const char* event, const char* filter)
{
    char* conditional = NULL;
    int written = -1;

    if (filter && asprintf(&conditional, "stacktrace if %s", filter) > 0) {
        written = tracefs_event_file_write(instance, system, event, "trigger",
                                           conditional);
        free(conditional);
    }
    if (written < 0)
        written = tracefs_event_file_write(instance, system, event, "trigger",
                                           "stacktrace");
    return written < 0 ? -1 : 0;
}

void blame_instance_switch(struct tracefs_instance* instance, bool on)
{
    if (on)
        tracefs_trace_on(instance);
    else
        tracefs_trace_off(instance);
}

void blame_instance_follow_missed(struct tracefs_instance* instance,
                                  blame_take* missed, void* context)
{
    tracefs_follow_missed_events(instance, missed, context);
}

int blame_instance_read(struct tep_handle* events,
                        struct tracefs_instance* instance, blame_take* take,
                        void* context)
{
    return tracefs_iterate_raw_events(events, instance, NULL, 0, take, context);
}
