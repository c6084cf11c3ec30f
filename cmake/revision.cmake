# SPDX-License-Identifier: GPL-2.0-or-later
# What a build is made from, as a header: at each build, since a commit changes nothing
# that a configuration depends on. Whoever builds from something else than a clone says
# what that is.
#
#     cmake -D SOURCE=DIR -D GIVEN=TEXT -D OUT=FILE -P revision.cmake
set(revision "${GIVEN}")
# Of a clone of this, and not of one that this lies in.
if(revision STREQUAL "" AND EXISTS ${SOURCE}/.git)
    execute_process(
        COMMAND git -C ${SOURCE} describe --always --abbrev=12 --exclude=* --dirty=+
        OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE
        ERROR_QUIET RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        set(revision "")
    elseif(revision MATCHES "^(.*)\\+$")
        set(revision "commit ${CMAKE_MATCH_1} with changes")
    else()
        set(revision "commit ${revision}")
    endif()
endif()
if(revision STREQUAL "")
    set(revision "files without a version control")
endif()
if(NOT revision MATCHES "^[A-Za-z0-9 .,:;()~+_-]+$")
    message(FATAL_ERROR "IPIDEFER_REVISION=${revision}: use letters, digits, blanks and .,:;()~+_-")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/../base/revision.hpp.in ${OUT} @ONLY)
