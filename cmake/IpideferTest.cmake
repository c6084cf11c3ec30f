# SPDX-License-Identifier: GPL-2.0-or-later
# ctest labels: unit (seconds), property (sweeps and seeded random), race
# (threads under ThreadSanitizer), sanitizer (the same tests under address and
# undefined behaviour sanitizers), mutant, fuzz; those of guests and models have
# theirs where they are declared. A second label, long, is for what looks at the
# same from more sides: ./check leaves it out, ./check --all does not. A test that
# cannot run here exits with 77, and ctest reports it as skipped.

# ipidefer_gtest(NAME LABEL SOURCES... [LIBRARIES ...])
function(ipidefer_gtest name label)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;LIBRARIES")
    add_executable(${name} ${arg_SOURCES})
    # What is under test is compiled as it is used; the tests need no more.
    target_compile_options(${name} PRIVATE -O1)
    target_link_libraries(${name} PRIVATE
        ${arg_LIBRARIES} ipidefer-ours GTest::gtest_main Threads::Threads)
    gtest_discover_tests(${name}
        DISCOVERY_TIMEOUT 60
        PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

# ipidefer_sanitized_gtest(NAME LABEL SANITIZER SOURCES...)
#
# Tests and the code under test, compiled once more with a sanitizer, whatever
# the rest of the build has. One ctest entry: the interest is in the reports.
# Nothing in a build that is sanitized as a whole.
function(ipidefer_sanitized_gtest name label sanitizer)
    cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "SOURCES")
    if(NOT IPIDEFER_SANITIZE STREQUAL "")
        return()
    endif()
    add_executable(${name} ${arg_SOURCES})
    target_compile_options(${name} PRIVATE -O1 -g -fsanitize=${sanitizer}
        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${name} PRIVATE -fsanitize=${sanitizer})
    target_link_libraries(${name} PRIVATE
        ipidefer-ours GTest::gtest_main Threads::Threads)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 300
        ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# ipidefer_mutants(MANIFEST)
#
# The mutants of a room, as its mutants.toml names them and cmake/mutants.py makes
# them. A source that no longer has what a mutant breaks stops the configuration,
# so a mutant cannot quietly become a no-op.
function(ipidefer_mutants manifest)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/mutants)
    execute_process(
        COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/cmake/mutants.py
            ${manifest} ${PROJECT_SOURCE_DIR} ${out}
        COMMAND_ERROR_IS_FATAL ANY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/cmake/mutants.py)
    include(${out}/mutants.cmake)
endfunction()

# What takes the place of FILE in a library, or ALSO: objects of their own there.
function(_ipidefer_replaceable)
    set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# ipidefer_mutant(NAME FILE path-from-root OUT folder TEST file CAUGHT_BY Suite.Test
#                 LIBRARIES ... [ALSO files] [SANITIZER sanitizer] [REPORT regex])
#
# For generated code. The test that must fail for OUT/FILE, a copy of FILE with one
# thing broken, or with REPORT print what matches that. The libraries come after the
# broken objects, which thereby replace theirs.
function(ipidefer_mutant name)
    cmake_parse_arguments(PARSE_ARGV 1 arg ""
        "FILE;OUT;TEST;CAUGHT_BY;SANITIZER;REPORT" "ALSO;LIBRARIES")
    if(arg_SANITIZER AND NOT IPIDEFER_SANITIZE STREQUAL "")
        return()  # It has one already.
    endif()
    set(libraries ${arg_LIBRARIES} GTest::gtest_main Threads::Threads)
    set(options -O0 -g0)
    set(sources)
    if(arg_FILE MATCHES "\\.cpp$")
        list(APPEND sources ${arg_OUT}/${arg_FILE})
    endif()
    if(sources AND NOT arg_SANITIZER AND NOT arg_ALSO)
        # Nobody includes the broken file: one object of the test for all of them.
        file(RELATIVE_PATH test ${PROJECT_SOURCE_DIR} ${arg_TEST})
        string(MAKE_C_IDENTIFIER "mutants-of-${test}" test)
        if(NOT TARGET ${test})
            add_library(${test} OBJECT ${arg_TEST})
            set_target_properties(${test} PROPERTIES UNITY_BUILD OFF)
            target_include_directories(${test} PRIVATE ${IPIDEFER_INCLUDES})
            target_compile_options(${test} PRIVATE ${options})
            target_link_libraries(${test} PRIVATE ${libraries})
        endif()
        list(APPEND sources $<TARGET_OBJECTS:${test}>)
    else()
        list(APPEND sources ${arg_TEST} ${arg_ALSO})
    endif()
    _ipidefer_replaceable(${PROJECT_SOURCE_DIR}/${arg_FILE} ${arg_ALSO})

    set(target mutant-${name})
    add_executable(${target} ${sources})
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
    # A broken header comes before the right one.
    target_include_directories(${target} PRIVATE ${arg_OUT} ${IPIDEFER_INCLUDES})
    target_compile_options(${target} PRIVATE ${options})
    target_link_libraries(${target} PRIVATE ${libraries})
    add_test(NAME ${target}-is-caught
        COMMAND ${target} --gtest_filter=${arg_CAUGHT_BY})
    if(arg_SANITIZER)
        target_compile_options(${target} PRIVATE -fsanitize=${arg_SANITIZER})
        target_link_options(${target} PRIVATE -fsanitize=${arg_SANITIZER})
    endif()
    if(arg_REPORT)
        set(caught "${arg_REPORT}")
    else()
        string(REPLACE "." "\\." caught "${arg_CAUGHT_BY}")
        set(caught "FAILED  \\] ${caught}")
    endif()
    set_tests_properties(${target}-is-caught PROPERTIES
        LABELS mutant
        TIMEOUT 150
        ENVIRONMENT IPIDEFER_PATIENCE=10
        PASS_REGULAR_EXPRESSION "${caught}")
endfunction()

# ipidefer_mutant_program(NAME FILE path-from-root OUT folder SOURCES files
#                         LIBRARIES ...)
#
# For generated code. A program with one bug, for tests of whole programs, in
# IPIDEFER_MUTANT_FOLDER.
set(IPIDEFER_MUTANT_FOLDER ${PROJECT_BINARY_DIR}/mutants)
function(ipidefer_mutant_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "FILE;OUT" "SOURCES;LIBRARIES")
    _ipidefer_replaceable(${PROJECT_SOURCE_DIR}/${arg_FILE})
    add_executable(${name} ${arg_OUT}/${arg_FILE} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES UNITY_BUILD OFF
        RUNTIME_OUTPUT_DIRECTORY ${IPIDEFER_MUTANT_FOLDER})
    target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} ipidefer-ours)
endfunction()

# ipidefer_fuzz(NAME RUNS SOURCES... [INCLUDES...] [LIBRARIES...])
#
# A libFuzzer target, which needs clang whatever compiler the build uses. A
# short run by default; give the program a corpus directory for a long one.
function(ipidefer_fuzz name runs)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "SOURCES;INCLUDES;LIBRARIES")
    find_program(IPIDEFER_FUZZ_CXX NAMES clang++-14 clang++
        DOC "clang++ with libFuzzer")
    if(NOT IPIDEFER_FUZZ_CXX)
        add_test(NAME ${name} COMMAND sh -c
            "echo 'no clang++ found: not fuzzing' && exit 77")
    else()
        list(APPEND arg_INCLUDES ${IPIDEFER_INCLUDES})
        list(TRANSFORM arg_INCLUDES PREPEND -I)
        list(TRANSFORM arg_LIBRARIES PREPEND -l)
        file(GLOB_RECURSE headers CONFIGURE_DEPENDS
            ${PROJECT_SOURCE_DIR}/base/*.hpp ${PROJECT_SOURCE_DIR}/experiments/*.hpp
            ${PROJECT_SOURCE_DIR}/host/*.hpp
            ${PROJECT_SOURCE_DIR}/vmm/*.hpp
            ${PROJECT_SOURCE_DIR}/vmm/*.h)
        add_custom_command(OUTPUT ${name}
            COMMAND ${IPIDEFER_FUZZ_CXX} -std=c++20 -O1 -g
                -fsanitize=fuzzer,address,undefined
                -fno-sanitize-recover=all ${arg_INCLUDES} ${arg_SOURCES}
                ${arg_LIBRARIES} -o ${name}
            DEPENDS ${arg_SOURCES} ${headers} ${IPIDEFER_ABI_HEADER}
            WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
            COMMENT "Building ${name} with clang"
            VERBATIM)
        add_custom_target(${name}-build ALL DEPENDS ${name})
        # What it ends with by itself when it has found something is 77: skipped.
        add_test(NAME ${name} COMMAND ${CMAKE_CURRENT_BINARY_DIR}/${name}
            -runs=${runs} -seed=1 -max_len=320 -print_final_stats=1
            -error_exitcode=1)
    endif()
    set_tests_properties(${name} PROPERTIES
        LABELS fuzz SKIP_RETURN_CODE 77 TIMEOUT 300)
endfunction()
