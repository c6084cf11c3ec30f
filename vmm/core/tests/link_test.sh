#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Install into a fresh tree, then build and run a C program against it the way
# C projects would: pkg-config and the C compiler, shared and fully static; and
# CMake's find_package().
# usage: link_test.sh BUILD_DIR CC SOURCE PACKAGE
set -euo pipefail
build=$1 cc=$2 source=$3 package=$4
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

cmake --install "$build" --prefix "$tree" >"$tree/log" || {
    cat "$tree/log"
    exit 1
}
pc=$(find "$tree" -name ipidefer.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
config() { pkg-config "$@" "$package"; }
strict=(-Wall -Wextra -Wpedantic -Wconversion -Werror -std=c11)

read -ra flags < <(config --cflags --libs)
"$cc" "${strict[@]}" "$source" "${flags[@]}" -o "$tree/shared"
LD_LIBRARY_PATH=$(config --variable=libdir) "$tree/shared"

read -ra flags < <(config --static --cflags --libs)
"$cc" "${strict[@]}" -static "$source" "${flags[@]}" -o "$tree/static"
"$tree/static"

case $package in
    ipidefer-shm) target=shm ;;
    *) target=shared ;;
esac
mkdir "$tree/project"
cp "$source" "$tree/project/main.c"
cat >"$tree/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(consumer LANGUAGES C CXX)
find_package(ipidefer $(config --modversion) EXACT REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer PRIVATE ipidefer::$target)
set_target_properties(consumer PROPERTIES LINKER_LANGUAGE CXX)
END
if ! { cmake -S "$tree/project" -B "$tree/project/build" -DCMAKE_PREFIX_PATH="$tree" &&
    cmake --build "$tree/project/build"; } >"$tree/log"; then
    cat "$tree/log"
    exit 1
fi
"$tree/project/build/consumer"
