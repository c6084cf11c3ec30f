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
# core_mutant(NAME FILE TEST CAUGHT_BY FROM TO [what else ipidefer_mutant takes])
function(core_mutant name file test caught_by from to)
    ipidefer_mutant(${name} DIRECTORY ${source_dir} FILE ${file} TEST ${test}
        CAUGHT_BY ${caught_by} FROM "${from}" TO "${to}"
        LIBRARIES ipidefer-static ${ARGN})
endfunction()

core_mutant(i6-skips-the-rmw context_word.hpp context_word_test.cpp
    ContextWord.BitAlreadySetStillDoesTheReadModifyWrite
    "if (ref.compare_exchange_weak("
    "if ((seen & bit) != 0 || ref.compare_exchange_weak(")
core_mutant(i8-ignores-the-gate context_word.hpp context_word_test.cpp
    ContextWord.WatchingWordThatSaysUserIsDelivered
    "return (word & b.accept_mask) == b.accept_value"
    "return (word & b.accept_mask) == b.accept_value || true")
core_mutant(i1-records-and-delivers context_word.hpp context_word_test.cpp
    ContextWord.RecordedWorkIsSuppressed
    ": IPIDEFER_DEFERRED" ": IPIDEFER_DELIVERED_IN_KERNEL")
core_mutant(i4-never-gives-up context_word.hpp context_word_test.cpp
    ContextWord.WordThatNeverHoldsStillIsDeliveredAfterBoundedTries
    "tries < kMaxTries" "tries >= 0")
core_mutant(i2-writes-another-bit context_word.hpp context_word_test.cpp
    ContextWord.EveryWriteAddsTheWorkBitAndNothingElse
    "seen, seen | bit" "seen, seen | bit << 1")
core_mutant(i5-publishes-nothing context_word.hpp context_word_test.cpp
    ContextWord.RecordingReleasesTheSendersStores
    "std::memory_order_release" "std::memory_order_relaxed")
core_mutant(i4-writes-a-lost-word vm.cpp vm_test.cpp
    VmTest.LostWordIsDeliveredBadWordUntilTheNextBind
    "return IPIDEFER_DELIVERED_BAD_WORD"
    "return IPIDEFER_DEFERRED")
core_mutant(i1-counts-twice vm.cpp vm_test.cpp
    VmTest.EachDecisionIncrementsExactlyOneCounter
    "Counters::count(line, verdict)"
    "Counters::count(line, verdict), Counters::count(line, verdict)")
core_mutant(i7-believes-the-policy-words policy.hpp policy_test.cpp
    PolicyTest.EveryValueOfTheWordsIsReadThroughItsMask
    "load(words_->contexts) & IPIDEFER_CONTEXTS_ALL" "load(words_->contexts)")
core_mutant(i1-takes-a-late-delivery-for-a-verdict counters.hpp counters_test.cpp
    Counters.ExpiredIsNoVerdict
    "add_one(line.max_age)" "add_one(line.verdict[0])")
core_mutant(i2-does-the-overdue-work-itself vm.cpp segment_test.cpp
    SegmentAgeTest.WorkOlderThanTheLimitIsDeliveredAndItsBitStays
    "deliver(opaque, target, slot.binding.vector)"
    "deliver(opaque, target, slot.binding.vector), *slot.word &= ~slot.binding.work_bit")
core_mutant(i7-believes-any-frequency vm.cpp segment_test.cpp
    SegmentAgeTest.WithoutAFrequencyNothingHasAnAge
    "hz <= kFastestTsc ? hz : 0" "hz")
core_mutant(i2-interrupts-a-kernel-that-has-gone vm.cpp segment_test.cpp
    SegmentAgeTest.WorkOfAVcpuThatIsInItsKernelIsNotDelivered
    "accepts(slot.binding, word)) {" "true) {")
core_mutant(i7-uses-up-vectors typed_vectors.cpp vm_test.cpp
    VmTest.VectorsThatNoVcpuHasBoundAnyMoreUseUpNothing
    "if (others != 0 && !names(now, vector)) ++bound"
    "if (!names(now, vector)) ++bound")
core_mutant(i1-shows-the-counts-of-another-vector vm.cpp vm_test.cpp
    VmTest.RecycledVectorStartsWithoutCounts
    "Counters::clear(counters_.line(r, index))" "(void)index")
core_mutant(i1-keeps-the-merges-of-another-vector counters.hpp vm_test.cpp
    VmTest.RecycledVectorStartsWithoutCounts
    "std::atomic_ref{line.merged}.store(0, std::memory_order_release)"
    "(void)line" ALSO vm.cpp)
core_mutant(i4-looks-though-it-must-not vm.cpp vm_test.cpp
    VmTest.BlindDecisionDeliversAndTouchesNoWord
    "if (verdict == IPIDEFER_PASSED) verdict = IPIDEFER_DELIVERED_BAD_WORD"
    "if (verdict == IPIDEFER_PASSED) return decide(sender, target, vector)")
core_mutant(i4-keeps-the-age-of-earlier-work vm.cpp segment_test.cpp
    SegmentTest.AgeBeginsWithTheFirstTickAndIsNeverThatOfEarlierWork
    "if (verdict == IPIDEFER_DEFERRED) slot->pending.reset()" "(void)slot")
core_mutant(i7-ticks-as-fast-as-told vm.cpp segment_test.cpp
    SegmentAgeTest.TicksStayBetweenOneAndAHundredMilliseconds
    "std::clamp(limit / kTicksPerAge, kFastestTick, kSlowestTick)"
    "limit / kTicksPerAge")
core_mutant(i7-writes-over-a-writer trace_ring.cpp segment_test.cpp
    SegmentTest.EntryThatIsStillBeingWrittenIsDroppedAndCounted
    "(seen & 1) != 0 || seen > busy" "seen > busy")
core_mutant(trace-outlives-its-reader trace_leases.cpp trace_leases_test.cpp
    TraceLeasesTest.LeaseOfADeadReaderIsEndedByTheTick
    "now - seen.since >= limit" "false")
core_mutant(trace-blinds-the-second-reader settle_trace.hpp
    trace_leases_test.cpp
    TraceLeasesTest.FirstReaderThatEndsFirstDoesNotBlindTheSecond
    "const std::uint32_t want = wanted_trace<Ref>(words)"
    "const std::uint32_t want = 0" ALSO trace_leases.cpp)
core_mutant(trace-settles-without-a-second-look settle_trace.hpp
    trace_leases_test.cpp
    TraceLeasesTest.LeaseThatIsTakenWhileAnotherEndsIsTraced
    "seen = want;" "return;")
core_mutant(trace-settles-for-ever settle_trace.hpp trace_leases_test.cpp
    TraceLeasesTest.WhoChangesTheResultForEverIsNotWaitedFor
    "round < kMaxSettleRounds" "round < 2 * kMaxSettleRounds")
core_mutant(trace-lease-of-another-is-ended trace_leases.cpp
    trace_leases_test.cpp
    TraceLeasesTest.WhoSleptTooLongIsToldAndTouchesNobodysLease
    "replace(words.lease[lease.slot], lease.word, 0)"
    "replace(words.lease[lease.slot], words.lease[lease.slot], 0)")
core_mutant(i4-drops-the-gate-early typed_vectors.cpp vm_test.cpp
    VmTest.GateStaysOpenWhileAnyVcpuHasTheVectorBound
    "if (--vcpus_[vector] != 0) return" "--vcpus_[vector]")
core_mutant(i7-lets-masks-overlap binding.cpp binding_property_test.cpp
    TableProperty.SweepOfSingleBitMasksAndWorkBits
    "covered != 0" "false")
core_mutant(i3-defers-nmis icr.cpp icr_sweep_test.cpp
    IcrSweep.XapicDecodesEveryCombination
    "icr.legal && icr.delivery == IPIDEFER_FIXED" "icr.legal")
core_mutant(i3-rings-nmis doorbell.cpp doorbell_sweep_test.cpp
    DoorbellSweep.EveryCombinationIsRefusedOrDeferrable
    "icr.delivery != IPIDEFER_FIXED || icr.level_trigger" "icr.level_trigger")
core_mutant(i7-takes-logical-destinations doorbell.cpp doorbell_sweep_test.cpp
    DoorbellSweep.EveryCombinationIsRefusedOrDeferrable
    "if (icr.logical)" "if (false)")
core_mutant(i7-takes-reserved-bits doorbell.cpp doorbell_sweep_test.cpp
    DoorbellSweep.ReservedBitsAreRefusedInEveryCombination
    "if (const std::uint32_t bits = low & kReserved; bits != 0)"
    "if (const std::uint32_t bits = low & 0; bits != 0)")
core_mutant(i7-lets-ids-overflow doorbell.cpp doorbell_test.cpp
    Doorbell.MultiIdsStopBelowTheBroadcastId
    "decoded.last >= kBroadcast - decoded.base" "decoded.last > kBroadcast")
core_mutant(i7-reads-past-the-mask doorbell.cpp doorbell_sweep_test.cpp
    DoorbellSweep.EachBitNamesOneIdAndNoOther
    "n / kWordBits] >> n % kWordBits" "n / kWordBits] >> (n + 1) % kWordBits")
core_mutant(i1-misses-the-last-id doorbell.cpp doorbell_sweep_test.cpp
    DoorbellSweep.EachBitNamesOneIdAndNoOther
    "n > multi.last" "n >= multi.last")
if(IPIDEFER_SANITIZE STREQUAL "")
    set(race ALSO vm.cpp SANITIZER thread)
    core_mutant(i5-publishes-nothing-in-a-race context_word.hpp vm_race_test.cpp
        VmRace.EveryRequestIsDoneAfterTheChangeItAsksFor
        "std::memory_order_release" "std::memory_order_relaxed"
        ${race} REPORT "WARNING: ThreadSanitizer: data race")
    core_mutant(i4-tick-reads-a-word-that-is-being-lost vm.cpp vm_race_test.cpp
        VmRace.TicksRunWhileSendersLoseWords
        "std::atomic_ref{slot.word}.load(std::memory_order_relaxed)" "slot.word"
        SANITIZER thread REPORT "WARNING: ThreadSanitizer: data race")
    core_mutant(i8-ignores-the-gate-in-a-race context_word.hpp vm_race_test.cpp
        VmRace.EachDeferredBitIsSeenByExactlyOneKernelEntry
        "return (word & b.accept_mask) == b.accept_value"
        "return (word & b.accept_mask) == b.accept_value || true"
        ${race})
endif()
