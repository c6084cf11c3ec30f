# SPDX-License-Identifier: GPL-2.0-or-later

set(source_dir ${CMAKE_CURRENT_SOURCE_DIR}/src)
set(support_dir ${CMAKE_CURRENT_SOURCE_DIR}/tests)

set(unit_tests
    src/binding_test.cpp
    src/context_word_test.cpp
    src/counters_test.cpp
    src/destination_test.cpp
    src/doorbell_test.cpp
    src/fault_test.cpp
    src/icr_test.cpp
    src/policy_test.cpp
    src/segment_test.cpp
    src/trace_leases_test.cpp
    src/vm_test.cpp)
set(property_tests
    src/binding_property_test.cpp
    src/destination_sweep_test.cpp
    src/doorbell_sweep_test.cpp
    src/icr_sweep_test.cpp)

ipidefer_gtest(ipidefer-core-unit-test unit
    SOURCES ${unit_tests} LIBRARIES ipidefer-static)
ipidefer_gtest(ipidefer-core-property-test property
    SOURCES ${property_tests} LIBRARIES ipidefer-static)
ipidefer_gtest(ipidefer-core-race-test race
    SOURCES src/trace_leases_race_test.cpp src/vm_race_test.cpp
    LIBRARIES ipidefer-static)

ipidefer_sanitized_gtest(ipidefer-core-race-tsan race thread
    SOURCES src/trace_leases_race_test.cpp src/vm_race_test.cpp
        ${IPIDEFER_CORE_SOURCES})
ipidefer_sanitized_gtest(ipidefer-core-asan-ubsan sanitizer address,undefined
    SOURCES ${unit_tests} ${property_tests} ${IPIDEFER_CORE_SOURCES})

# The sanitizers bring their own allocator and symbols.
if(IPIDEFER_SANITIZE STREQUAL "")
    ipidefer_gtest(ipidefer-core-alloc-test unit
        SOURCES src/vm_alloc_test.cpp LIBRARIES ipidefer-static)
    # It replaces both; the compiler, which inlines one of them, cannot know.
    target_compile_options(ipidefer-core-alloc-test PRIVATE
        -Wno-mismatched-new-delete)
    target_link_options(ipidefer-core-alloc-test PRIVATE
        -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc)

    add_test(NAME core-symbols
        COMMAND ${support_dir}/symbols_test.sh
            ${CMAKE_CURRENT_SOURCE_DIR}/include/ipidefer/ipidefer.h
            $<TARGET_FILE:ipidefer-shared> $<TARGET_FILE:ipidefer-static>)
    add_test(NAME core-links-from-c
        COMMAND ${support_dir}/link_test.sh
            ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${support_dir}/link_test.c
            ipidefer)
    set_tests_properties(core-symbols core-links-from-c PROPERTIES LABELS unit)
endif()

ipidefer_fuzz(ipidefer-core-fuzz 200000
    SOURCES ${source_dir}/core_fuzz.cpp ${IPIDEFER_CORE_SOURCES})
ipidefer_fuzz(ipidefer-core-segment-fuzz 50000
    SOURCES ${source_dir}/segment_fuzz.cpp ${IPIDEFER_CORE_SOURCES})

# Each invariant's test must fail when its invariant is broken.
ipidefer_mutants(${CMAKE_CURRENT_SOURCE_DIR}/mutants.toml)
