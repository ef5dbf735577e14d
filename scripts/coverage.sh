#!/usr/bin/env bash
# Prints a coverage figure for each language. Rust's counts what the Rust tests and the Python tests reach together, since the
# bindings are tested from Python only. From make: PYTHON, an interpreter with foliot and the test group installed.
set -euo pipefail

work=target/coverage
host=$(rustc -vV | sed -n 's/^host: //p')

# rustc writes profile format 10, which LLVM reads from version 19 on. The Rust toolchain's own copy fits best
# (rustup component add llvm-tools); Debian has them as llvm-19.
find_llvm() {
    local tool=$1 candidate
    for candidate in "$(rustc --print sysroot)/lib/rustlib/$host/bin/$tool" "$tool"-{25,24,23,22,21,20,19} "$tool"; do
        if "$candidate" --version 2>/dev/null | grep -Eq 'LLVM version (19|[2-9][0-9])'; then
            echo "$candidate"
            return
        fi
    done
}
profdata=$(find_llvm llvm-profdata)
cov=$(find_llvm llvm-cov)
if [ -z "$profdata" ] || [ -z "$cov" ]; then
    echo "coverage of Rust needs llvm-profdata and llvm-cov 19 or newer: rustup component add llvm-tools, or apt install llvm-19" >&2
    exit 1
fi

rm -rf "$work/profiles" "$work/site"
mkdir -p "$work/profiles" "$work/site"

# Instrumented builds have a folder of their own, so that they and the ordinary ones do not rebuild each other.
export CARGO_TARGET_DIR=$work RUSTFLAGS="-C instrument-coverage" LLVM_PROFILE_FILE="$PWD/$work/profiles/%p-%m.profraw"
export PYO3_BUILD_EXTENSION_MODULE=1 PYO3_PYTHON=$PYTHON
cargo test --locked --workspace --tests --quiet
cargo test --locked --workspace --tests --no-run --message-format=json 2>/dev/null >"$work/tests.json"
cargo build --locked --package foliot-py --profile test

# A copy of the package with the instrumented module shadows the one installed in place.
cp -R python/foliot "$work/site/"
rm -f "$work"/site/foliot/_core*.so
built=$(find "$work/debug" -maxdepth 1 \( -name 'lib_core.so' -o -name 'lib_core.dylib' \))
cp "$built" "$work/site/foliot/_core.abi3.so"
export PYTHONPATH="$PWD/$work/site"
# Whole trainings and what is shipped run too slowly with counters, and reach no further code.
"$PYTHON" -m pytest --quiet --ignore=tests/demo --ignore=tests/release tests
unset PYTHONPATH
rm -f .coverage .coverage.*
"$PYTHON" -m pytest --quiet --cov=foliot --cov-report= tests
"$PYTHON" -m pytest --quiet --cov=foliot --cov-report= --cov-append --doctest-modules python/foliot

"$profdata" merge -sparse "$work"/profiles/*.profraw -o "$work/merged.profdata"
objects=("$work/site/foliot/_core.abi3.so")
while IFS= read -r binary; do
    objects+=(-object "$binary")
done < <("$PYTHON" -c '
import json, sys
for line in open(sys.argv[1]):
    message = json.loads(line)
    if message.get("executable") and message["profile"]["test"]:
        print(message["executable"])
' "$work/tests.json")

echo "== Python coverage"
"$PYTHON" -m coverage report
echo "== Rust coverage"
"$cov" report --instr-profile="$work/merged.profdata" "${objects[@]}" \
    --ignore-filename-regex='(/registry/|/rustc/|/rustlib/|/tests/|/benches/)' --show-region-summary=false \
    --show-branch-summary=false
