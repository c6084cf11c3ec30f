/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VMM in C against an installed tree: a segment from start to end. */
#define _DEFAULT_SOURCE
#include <ipidefer/shm.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    char folder[] = "/tmp/ipidefer-link-XXXXXX";
    struct ipidefer_shm_options options = {
        .directory = mkdtemp(folder),
        .name = "link",
        .producer = "link test",
        .vcpus = 2,
        .ring_entries = 16,
        .group = (gid_t)-1,
    };
    struct ipidefer_shm_error error;

    if (!options.directory)
        return 1;
    ipidefer_shm *shm = ipidefer_shm_create(&options, &error);
    if (!shm || ipidefer_shm_guard(&error) ||
        ipidefer_shm_publish(shm, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    ipidefer_vm *vm = ipidefer_shm_vm(shm);
    bool good = ipidefer_vm_vcpus(vm) == 2 &&
                !ipidefer_tracing(vm, IPIDEFER_TRACE_ALL) &&
                ipidefer_tick(vm, 1, NULL, NULL) != 0;
    ipidefer_shm_destroy(shm);
    return good && remove(folder) == 0 ? 0 : 1;
}
