# SPDX-License-Identifier: GPL-2.0-or-later
# How our own code is compiled: warnings and sanitizers.

find_package(Threads REQUIRED)

if(NOT IPIDEFER_SANITIZE STREQUAL "")
    if(NOT IPIDEFER_SANITIZE MATCHES "^(address|undefined|thread|address,undefined|undefined,address)$")
        message(FATAL_ERROR "IPIDEFER_SANITIZE=${IPIDEFER_SANITIZE}: use "
            "address, undefined, thread, or address,undefined")
    endif()
    add_compile_options(-fsanitize=${IPIDEFER_SANITIZE}
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${IPIDEFER_SANITIZE})
endif()

# A usage requirement of every target whose source is ours.
add_library(ipidefer-warnings INTERFACE)
target_compile_options(ipidefer-warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wswitch-enum -Wconversion -Werror)
if(CMAKE_UNITY_BUILD)
    # A source file that is included looks like a header to the compiler, and a
    # type of an anonymous namespace in a class like one that many will have.
    target_compile_options(ipidefer-warnings INTERFACE -Wno-subobject-linkage)
endif()
if(IPIDEFER_SANITIZE MATCHES "thread")
    # TSan does not model fences; libstdc++ headers contain some.
    target_compile_options(ipidefer-warnings INTERFACE -Wno-error=tsan)
endif()
