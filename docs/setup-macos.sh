#!/bin/sh
# Sets preheat up on a Mac, natively, so that it reaches the GPU: checks the machine, builds, and shows the devices.
# Run it at the top of the repository: sh docs/setup-macos.sh
set -eu

fail() {
    printf 'setup-macos: %s\n' "$1" >&2
    exit 1
}

[ "$(uname -s)" = Darwin ] || fail "this is $(uname -s), not macOS: docs/devices.md has the other systems"
[ "$(uname -m)" = arm64 ] || fail "this process is $(uname -m): the GPU needs Apple silicon and a terminal that does not run under Rosetta"
version=$(sw_vers -productVersion)
[ "${version%%.*}" -ge 14 ] || fail "macOS $version is too old: libtorch's mps needs macOS 14"
xcode-select -p >/dev/null 2>&1 || fail "no command line tools: xcode-select --install"
command -v cargo >/dev/null || fail "no cargo: https://rustup.rs installs it"

cargo build --release --locked
cargo xtask setup torch
target/release/preheat devices
