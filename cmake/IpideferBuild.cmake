# SPDX-License-Identifier: GPL-2.0-or-later
# How our own code is compiled: includes, warnings and sanitizers.

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

if(IPIDEFER_COVERAGE)
    # Atomic, as tests have threads. What has no libraries counts nothing.
    add_compile_options(--coverage -fprofile-update=atomic)
    add_link_options(--coverage)
endif()

# Programs lie in the build as they do once installed, and find each other the same
# way in both (base/installed.hpp). The helpers are not for people.
set(IPIDEFER_BIN ${CMAKE_INSTALL_BINDIR})
set(IPIDEFER_SBIN ${CMAKE_INSTALL_SBINDIR})
set(IPIDEFER_HELPERS ${CMAKE_INSTALL_LIBEXECDIR}/ipidefer)

# ipidefer_program(NAME DESTINATION): install NAME below the prefix.
function(ipidefer_program name destination)
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${destination})
    install(TARGETS ${name} DESTINATION ${destination})
endfunction()

# For code that waits for VMs and for people; -O3 takes the compiler a third longer.
# With -O1 it inlines only one of Asio's two allocation functions of a coroutine,
# and takes them for a pair that does not match.
macro(ipidefer_code_that_waits)
    add_compile_options("$<$<CONFIG:Release>:-O1>"
        "$<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-Wno-mismatched-new-delete>")
endmacro()

# Where our own headers are: those of the project under their path from its root,
# "host/trace/filter.hpp", and the libraries' as those who install them have them,
# <ipidefer/ipidefer.h>. The contract has one source, vmm/abi.
set(IPIDEFER_ABI_HEADER ${PROJECT_SOURCE_DIR}/vmm/abi/ipi_defer.h)
set(IPIDEFER_GENERATED ${PROJECT_BINARY_DIR}/generated)
configure_file(${IPIDEFER_ABI_HEADER}
    ${IPIDEFER_GENERATED}/ipidefer/ipi_defer.h COPYONLY)
set(IPIDEFER_INCLUDES
    ${PROJECT_SOURCE_DIR}
    ${PROJECT_SOURCE_DIR}/vmm/core/include
    ${PROJECT_SOURCE_DIR}/vmm/shm/include
    ${IPIDEFER_GENERATED})

# A usage requirement of every target whose source is ours.
add_library(ipidefer-ours INTERFACE)
target_include_directories(ipidefer-ours INTERFACE ${IPIDEFER_INCLUDES})
target_compile_options(ipidefer-ours INTERFACE
    -Wall -Wextra -Wpedantic -Wswitch-enum -Wconversion
    # A package is built by compilers that nobody here has seen.
    $<$<BOOL:${IPIDEFER_WERROR}>:-Werror>
    # GCC 12 warns about every "literal" + std::string{...} (GCC bug 105651).
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>)
if(CMAKE_UNITY_BUILD)
    # A source file that is included looks like a header to the compiler, and a
    # type of an anonymous namespace in a class like one that many will have.
    target_compile_options(ipidefer-ours INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
if(IPIDEFER_SANITIZE MATCHES "thread")
    # TSan does not model fences; libstdc++ headers contain some.
    target_compile_options(ipidefer-ours INTERFACE -Wno-error=tsan)
endif()

# ipidefer_man(PAGE...): makes and installs man pages from PAGE.scd.
find_program(IPIDEFER_SCDOC scdoc DOC "for the man pages")
function(ipidefer_man)
    if(NOT IPIDEFER_SCDOC)
        return()
    endif()
    foreach(source ${ARGN})
        cmake_path(GET source FILENAME page)
        cmake_path(GET source EXTENSION LAST_ONLY section)
        string(REPLACE "." "" section ${section})
        add_custom_command(OUTPUT ${page}
            COMMAND sh -c "\"$1\" <\"$2\" >\"$3\"" sh ${IPIDEFER_SCDOC}
                ${CMAKE_CURRENT_SOURCE_DIR}/${source}.scd ${page}
            DEPENDS ${source}.scd
            VERBATIM)
        add_custom_target(man-${page} ALL DEPENDS ${page})
        install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${page}
            DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    endforeach()
endfunction()
