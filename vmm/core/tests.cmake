# SPDX-License-Identifier: GPL-2.0-or-later

set(source_dir ${CMAKE_CURRENT_SOURCE_DIR}/src)
set(support_dir ${CMAKE_CURRENT_SOURCE_DIR}/tests)
set(includes ${source_dir} ${support_dir})
set(all_includes ${includes}
    ${CMAKE_CURRENT_SOURCE_DIR}/include ${IPIDEFER_ABI_INCLUDE})

set(unit_tests
    src/binding_test.cpp
    src/context_word_test.cpp
    src/counters_test.cpp
    src/destination_test.cpp
    src/fault_test.cpp
    src/icr_test.cpp
    src/policy_test.cpp
    src/vm_test.cpp)
set(property_tests
    src/binding_property_test.cpp
    src/destination_sweep_test.cpp
    src/icr_sweep_test.cpp)

ipidefer_gtest(ipidefer-core-unit-test unit
    SOURCES ${unit_tests} LIBRARIES ipidefer-static INCLUDES ${includes})
ipidefer_gtest(ipidefer-core-property-test property
    SOURCES ${property_tests} LIBRARIES ipidefer-static INCLUDES ${includes})
ipidefer_gtest(ipidefer-core-race-test race
    SOURCES src/vm_race_test.cpp LIBRARIES ipidefer-static INCLUDES ${includes})

ipidefer_sanitized_gtest(ipidefer-core-race-tsan race thread
    SOURCES src/vm_race_test.cpp ${IPIDEFER_CORE_SOURCES}
    INCLUDES ${all_includes})
ipidefer_sanitized_gtest(ipidefer-core-asan-ubsan sanitizer address,undefined
    SOURCES ${unit_tests} ${property_tests} ${IPIDEFER_CORE_SOURCES}
    INCLUDES ${all_includes})

# The sanitizers bring their own allocator and symbols.
if(IPIDEFER_SANITIZE STREQUAL "")
    ipidefer_gtest(ipidefer-core-alloc-test unit
        SOURCES src/vm_alloc_test.cpp LIBRARIES ipidefer-static
        INCLUDES ${includes})
    target_link_options(ipidefer-core-alloc-test PRIVATE
        -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc)

    add_test(NAME core-symbols
        COMMAND ${support_dir}/symbols_test.sh
            ${CMAKE_CURRENT_SOURCE_DIR}/include/ipidefer/ipidefer.h
            $<TARGET_FILE:ipidefer-shared> $<TARGET_FILE:ipidefer-static>)
    add_test(NAME core-links-from-c
        COMMAND ${support_dir}/link_test.sh
            ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} ${support_dir}/link_test.c)
    set_tests_properties(core-symbols core-links-from-c PROPERTIES LABELS unit)
endif()

ipidefer_fuzz(ipidefer-core-fuzz 200000
    SOURCES ${source_dir}/core_fuzz.cpp ${IPIDEFER_CORE_SOURCES}
    INCLUDES ${all_includes})

# Each invariant's test must fail when its invariant is broken.
function(core_mutant name)
    ipidefer_mutant(${name} DIRECTORY ${source_dir} LIBRARIES ipidefer-static
        INCLUDES ${support_dir} ${ARGN})
endfunction()

core_mutant(i6-skips-the-rmw
    FILE context_word.hpp TEST context_word_test.cpp
    FROM "if (ref.compare_exchange_weak("
    TO "if ((seen & b.work_bit) != 0 || ref.compare_exchange_weak("
    CAUGHT_BY ContextWord.BitAlreadySetStillDoesTheReadModifyWrite)
core_mutant(i8-ignores-the-gate
    FILE context_word.hpp TEST context_word_test.cpp
    FROM "return (word & b.accept_mask) == b.accept_value"
    TO "return (word & b.accept_mask) == b.accept_value || true"
    CAUGHT_BY ContextWord.WatchingWordThatSaysUserIsDelivered)
core_mutant(i1-records-and-delivers
    FILE context_word.hpp TEST context_word_test.cpp
    FROM ": IPIDEFER_DEFERRED"
    TO ": IPIDEFER_DELIVERED_IN_KERNEL"
    CAUGHT_BY ContextWord.RecordedWorkIsSuppressed)
core_mutant(i4-never-gives-up
    FILE context_word.hpp TEST context_word_test.cpp
    FROM "tries < kMaxTries"
    TO "tries >= 0"
    CAUGHT_BY ContextWord.WordThatNeverHoldsStillIsDeliveredAfterBoundedTries)
core_mutant(i2-writes-another-bit
    FILE context_word.hpp TEST context_word_test.cpp
    FROM "seen, seen | b.work_bit"
    TO "seen, seen | b.work_bit << 1"
    CAUGHT_BY ContextWord.EveryWriteAddsTheWorkBitAndNothingElse)
core_mutant(i5-publishes-nothing
    FILE context_word.hpp TEST context_word_test.cpp
    FROM "std::memory_order_release"
    TO "std::memory_order_relaxed"
    CAUGHT_BY ContextWord.RecordingReleasesTheSendersStores)
core_mutant(i4-writes-a-lost-word
    FILE vm.cpp TEST vm_test.cpp
    FROM "if (slot->word == nullptr) return IPIDEFER_DELIVERED_BAD_WORD"
    TO "if (slot->word == nullptr) return IPIDEFER_DEFERRED"
    CAUGHT_BY VmTest.LostWordIsDeliveredBadWordUntilTheNextBind)
core_mutant(i1-counts-twice
    FILE vm.cpp TEST vm_test.cpp
    FROM "counters_.count(row(target), *typed, verdict)"
    TO "counters_.count(row(target), *typed, verdict), counters_.count(row(target), *typed, verdict)"
    CAUGHT_BY VmTest.EachDecisionIncrementsExactlyOneCounter)
core_mutant(i4-drops-the-gate-early
    FILE typed_vectors.cpp TEST vm_test.cpp
    FROM "if (--vcpus_[vector] != 0) return"
    TO "--vcpus_[vector]"
    CAUGHT_BY VmTest.GateStaysOpenWhileAnyVcpuHasTheVectorBound)
core_mutant(i7-lets-masks-overlap
    FILE binding.cpp TEST binding_property_test.cpp
    FROM "covered != 0"
    TO "false"
    CAUGHT_BY TableProperty.SweepOfSingleBitMasksAndWorkBits)
core_mutant(i3-defers-nmis
    FILE icr.cpp TEST icr_sweep_test.cpp
    FROM "icr.legal && icr.delivery == IPIDEFER_FIXED"
    TO "icr.legal"
    CAUGHT_BY IcrSweep.XapicDecodesEveryCombination)
if(IPIDEFER_SANITIZE STREQUAL "")
    core_mutant(i5-publishes-nothing-in-a-race
        FILE context_word.hpp ALSO vm.cpp TEST vm_race_test.cpp
        FROM "std::memory_order_release"
        TO "std::memory_order_relaxed"
        CAUGHT_BY VmRace.EveryRequestIsDoneAfterTheChangeItAsksFor
        SANITIZER thread REPORT "WARNING: ThreadSanitizer: data race")
    core_mutant(i8-ignores-the-gate-in-a-race
        FILE context_word.hpp ALSO vm.cpp TEST vm_race_test.cpp
        FROM "return (word & b.accept_mask) == b.accept_value"
        TO "return (word & b.accept_mask) == b.accept_value || true"
        CAUGHT_BY VmRace.EachDeferredBitIsSeenByExactlyOneKernelEntry
        SANITIZER thread REPORT "FAILED  \\] VmRace\\.EachDeferredBit")
endif()
