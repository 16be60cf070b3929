#!/usr/bin/env bash
# The steps behind the Makefile: steps.sh GOAL [ARGUMENTS]
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
VENV=$PWD/.venv
goal=$1
shift
step_name=
step_count=0
engines=(threads)
uring_note=

# The name of the step that is running, so that a failure can be named after it.
step() {
    step_name=$1
    step_count=$((step_count + 1))
    printf '\n== %s\n' "$step_name"
}

on_exit() {
    local status=$?
    if [ "$status" -ne 0 ] && [ -n "$step_name" ]; then
        printf '\nmake %s: FAILED in step: %s\n' "$goal" "$step_name" >&2
    fi
}
trap on_exit EXIT

# One line that says everything that is missing, before anything is built.
check_needs() {
    local missing=() wanted
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null; then
        missing+=("cargo (Rust $wanted or later)")
    elif ! version_at_least "$(cargo --version | cut -d' ' -f2)" "$wanted"; then
        missing+=("Rust $wanted or later (cargo here is $(cargo --version | cut -d' ' -f2))")
    fi
    command -v cc >/dev/null || missing+=("a C compiler (cc)")
    if ! command -v "$PYTHON" >/dev/null; then
        missing+=("$PYTHON (Python 3.10 or later)")
    elif ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        missing+=("Python 3.10 or later ($PYTHON is $("$PYTHON" --version 2>&1); choose with PYTHON=…)")
    elif ! "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
        missing+=("Python's venv module (Debian calls it python3-venv)")
    fi
    for need in "$@"; do
        case $need in
        rustfmt) cargo fmt --version >/dev/null 2>&1 || missing+=("rustfmt (rustup component add rustfmt)") ;;
        clippy) cargo clippy --version >/dev/null 2>&1 || missing+=("clippy (rustup component add clippy)") ;;
        valgrind) command -v valgrind >/dev/null || missing+=("valgrind (Debian calls the package valgrind)") ;;
        git) git rev-parse --git-dir >/dev/null 2>&1 || missing+=("git and a clone, not an archive") ;;
        esac
    done
    [ ${#missing[@]} -eq 0 ] && return
    printf 'make %s needs: ' "$goal"
    (IFS='|' && printf '%s\n' "${missing[*]}" | sed 's/|/; /g')
    exit 1
}

version_at_least() { # VERSION WANTED
    [ "$(printf '%s\n%s\n' "$2" "${1%%-*}" | sort -V | head -n 1)" = "$2" ]
}

make_venv() { # FOLDER PYTHON
    local running
    running=$("$1/bin/python" -c 'import sys; print(sys.version)' 2>/dev/null || true)
    if [ "$running" != "$("$2" -c 'import sys; print(sys.version)')" ]; then
        "$2" -m venv --clear "$1"
    fi
    # The first pip that reads dependency groups.
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
}

# Builds the wheel for a venv's Python and installs it there, as `pip install .` would.
install_wheel() { # VENV
    local wheels
    wheels=$PWD/target/wheels/$(basename "$1")
    rm -rf "$wheels"
    echo "building (minutes the first time, seconds after that)"
    "$1/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$wheels" .
    AFX_WHEEL=$(echo "$wheels"/afxio-*.whl)
    export AFX_WHEEL
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$AFX_WHEEL"
}

# Cargo finds the Python of the venv, whatever is first on PATH, and so rebuilds nothing in between.
use_venv() { # VENV
    export PYO3_PYTHON=$1/bin/python
}

find_engines() {
    local reason
    if reason=$("$PYTHON" buildtools/uring_probe.py); then
        engines=(uring threads)
        uring_note="both engines"
    else
        uring_note="threads only (uring skipped: $reason)"
    fi
    echo "engines to test: ${engines[*]} ($uring_note)"
}

lint_rust() {
    step "cargo fmt"
    cargo fmt --all --check
    step "cargo clippy"
    cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings
    step "cargo clippy, with monoio"
    cargo clippy --package afx-core --package afx-cli --features engine-monoio --all-targets --locked --quiet -- \
        --deny warnings
}

lint_python() {
    step "ruff"
    "$VENV/bin/ruff" check --quiet .
    "$VENV/bin/ruff" format --check --quiet .
    step "docs/reference/python.md"
    "$VENV/bin/python" buildtools/python_reference.py --check
}

# mypy reads the installed stubs, so it follows the build.
check_types() {
    step "mypy --strict"
    "$VENV/bin/mypy" --no-error-summary
    step "stubtest"
    # Without the python_version of pyproject.toml: the stubs know what this Python has.
    "$VENV/bin/python" -m mypy.stubtest aiofile._native aiofile.os aiofile.ospath aiofile.tempfile \
        --allowlist buildtools/stubtest-allowlist.txt
}

test_rust() {
    local engine
    for engine in "${engines[@]}"; do
        step "cargo test, engine $engine"
        AFX_ENGINE=$engine cargo test --workspace --locked --quiet
    done
    test_monoio
}

# The engine that is in no wheel: the core's tests on it, and the command built with it.
test_monoio() {
    if [ "${engines[0]}" != uring ]; then
        echo "monoio skipped: it needs io_uring"
        return
    fi
    step "cargo test, engine monoio"
    cargo test --package afx-core --features engine-monoio --locked --quiet
    AFX_ENGINE=monoio cargo test --package afx-cli --features engine-monoio --locked --quiet
}

test_python() { # VENV [PYTEST OPTIONS]
    local venv=$1 engine
    shift
    for engine in "${engines[@]}"; do
        step "pytest, $("$venv/bin/python" --version), engine $engine"
        AFX_ENGINE=$engine "$venv/bin/python" -m pytest --quiet "$@" </dev/null
    done
}

run_examples() {
    local engine example
    for engine in "${engines[@]}"; do
        for example in examples/python/*.py; do
            step "$example, engine $engine"
            AFX_ENGINE=$engine "$VENV/bin/python" -X dev -W error "$example" </dev/null
        done
        for example in examples/rust/*.rs; do
            step "$example, engine $engine"
            AFX_ENGINE=$engine cargo run --quiet --locked --package afx-core \
                --example "$(basename "$example" .rs)" </dev/null
        done
    done
}

# The tests of aiofiles on the installed wheel, where they can be downloaded.
test_parity() { # PYTHON
    local venv status=0
    venv=$PWD/target/venvs/parity-$("$1" -c 'import platform; print(platform.python_version())')
    step "parity with aiofiles, $("$1" --version)"
    mkdir -p "$(dirname "$venv")"
    make_venv "$venv" "$1"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --group parity
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$AFX_WHEEL"
    "$venv/bin/python" buildtools/parity.py target/parity "${engines[@]}" || status=$?
    [ "$status" -ne 3 ] || [ "$goal" = parity ] || status=0
    return "$status"
}

prepare() { # DEPENDENCY GROUPS
    local group groups=()
    step ".venv"
    make_venv "$VENV" "$PYTHON"
    use_venv "$VENV"
    for group in "$@"; do groups+=(--group "$group"); done
    if [ ${#groups[@]} -gt 0 ]; then
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "${groups[@]}"
    fi
    "$VENV/bin/python" --version
}

run_tests() {
    # The same cases in every run; make test-all tries new ones.
    [ "$goal" = test-all ] || export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
    prepare lint test web
    find_engines
    lint_rust
    lint_python
    step "pip wheel and install"
    install_wheel "$VENV"
    check_types
    test_rust
    test_python "$VENV" "$@"
    run_examples
    test_parity "$VENV/bin/python"
}

run_long_tests() {
    local version python venv tested
    export PROPTEST_CASES=${PROPTEST_CASES:-5000} AFX_PROPERTY_CASES=${AFX_PROPERTY_CASES:-2500}
    export AFX_CANCELS=${AFX_CANCELS:-100000}
    run_tests -m "slow or not slow"
    tested=$("$VENV/bin/python" -c 'import platform; print(platform.python_version())')
    while read -r version python <&3; do
        [ "$version" != "$tested" ] || continue
        venv=$PWD/target/venvs/$version
        step "install on Python $version"
        mkdir -p "$(dirname "$venv")"
        make_venv "$venv" "$python"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --group test
        install_wheel "$venv"
        test_python "$venv"
        test_parity "$venv/bin/python"
    done 3< <("$PYTHON" buildtools/pythons.py)
}

summary() {
    step_name=
    printf '\nmake %s: all %d steps passed in %d s, %s\n' "$goal" "$step_count" "$SECONDS" "$uring_note"
}

case $goal in
demo)
    check_needs
    prepare
    step "pip wheel and install"
    install_wheel "$VENV"
    step "examples/demo.py"
    "$VENV/bin/python" examples/demo.py
    echo "To go on with aiofile and afx in this shell: source .venv/bin/activate"
    ;;
test)
    check_needs rustfmt clippy
    run_tests
    summary
    ;;
test-all)
    check_needs rustfmt clippy git
    run_long_tests
    summary
    ;;
lint)
    check_needs rustfmt clippy
    prepare lint test web
    lint_rust
    lint_python
    step "pip wheel and install"
    install_wheel "$VENV"
    check_types
    uring_note="nothing was run"
    summary
    ;;
parity)
    check_needs
    prepare
    find_engines
    step "pip wheel and install"
    install_wheel "$VENV"
    test_parity "$VENV/bin/python"
    summary
    ;;
bench)
    check_needs
    prepare
    step "pip wheel and install"
    install_wheel "$VENV"
    step "bench"
    "$VENV/bin/python" -m bench "$@"
    ;;
bench-scaling)
    check_needs
    prepare
    step "pip wheel and install"
    install_wheel "$VENV"
    step "bench-scaling"
    "$VENV/bin/python" -m bench.scaling "$@"
    ;;
bench-plots)
    check_needs
    prepare bench
    step "bench-plots"
    "$VENV/bin/python" -m bench.scaling.plots "$@"
    ;;
bench-guard)
    check_needs git valgrind
    prepare
    step "bench-guard"
    "$VENV/bin/python" -m bench.guard "$@"
    ;;
docs)
    check_needs
    prepare lint
    step "docs/reference/python.md"
    "$VENV/bin/python" buildtools/python_reference.py
    step "docs/reference/cli.md"
    AFX_WRITE_REFERENCE=1 cargo test -p afx-cli --bin afx --locked --quiet reference >/dev/null
    step "cargo doc"
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet
    echo "target/doc/afx_core/index.html"
    ;;
*)
    echo "steps.sh: no goal '$goal'" >&2
    exit 2
    ;;
esac
