// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmm/shm/src/error.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace ipidefer::shm {

void fail(ipidefer_shm_error* error, int code, const char* format, ...) noexcept
{
    if (error == nullptr) return;
    error->code = code;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
}

void fail_errno(ipidefer_shm_error* error, const char* what,
                const char* on) noexcept
{
    const int code = errno;
    fail(error, code, "cannot %s '%s': %s", what, on, strerrordesc_np(code));
}

}  // namespace ipidefer::shm
