// SPDX-License-Identifier: GPL-2.0-or-later
#include "host/libvirt/library.hpp"

#include <dlfcn.h>

#include <string>

#include "base/failure.hpp"

namespace ipidefer::libvirt {
namespace {

constexpr const char* kFile = "libvirt.so.0";

[[noreturn]] void missing(const std::string& what)
{
    const char* why = ::dlerror();
    std::string text = what;
    text += ": ";
    text += why == nullptr ? "no reason given" : why;
    text += "; on Debian, libvirt0 has it";
    throw Failure{Exit::kNotPossible, text};
}

/// libvirt prints errors unless somebody else takes them; all of them also come
/// back from the call that fails.
void silent(void*, virErrorPtr) {}

Library load()
{
    // Never closed: it has threads of its own, and this is for all of the
    // process's life.
    void* file = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) missing("cannot load libvirt");
    Library library;
    const auto find = [file](auto& function, const char* name) {
        void* found = ::dlsym(file, name);
        if (found == nullptr) missing("this libvirt is too old");
        function =
            reinterpret_cast<std::remove_reference_t<decltype(function)>>(
                found);
    };
#define IPIDEFER_LIBVIRT_FIND(name) find(library.name, #name);
    IPIDEFER_LIBVIRT_FUNCTIONS(IPIDEFER_LIBVIRT_FIND)
#undef IPIDEFER_LIBVIRT_FIND
    if (library.virInitialize() < 0)
        throw Failure{Exit::kCannotRun, "libvirt does not start"};
    library.virSetErrorFunc(nullptr, silent);
    // libvirt takes one event loop for good, before the first connection: its
    // own. Whoever follows domains runs it (domain_watch.hpp).
    if (library.virEventRegisterDefaultImpl() < 0)
        throw Failure{Exit::kCannotRun, "libvirt's event loop does not start"};
    return library;
}

}  // namespace

const Library& library()
{
    static const Library loaded = load();
    return loaded;
}

}  // namespace ipidefer::libvirt
