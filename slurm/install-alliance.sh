#!/bin/bash
# From `module load` to a built and checked bioscan-hpc. Run it on a login node of an Alliance cluster, in a checkout of this project:
#
#   slurm/install-alliance.sh                            # into ~/bioscan-hpc
#   BIOSCAN_PREFIX=$PROJECT/bioscan slurm/install-alliance.sh
#   TORCH=2.10 slurm/install-alliance.sh                 # that one of the cluster's torch wheels, and no other
#
# It may be run again: what is there and fits is kept. Compute nodes need no internet and no part of this but the result.
set -eo pipefail

prefix=${BIOSCAN_PREFIX:-$HOME/bioscan-hpc}
# The first five are those that the jobs load (jobs/clusters/*.toml); the others are for building.
modules=(StdEnv/2023 gcc/12.3 openmpi/4.1.5 cuda/12.6 hdf5/1.14.2 python/3.11 rust clang cmake nasm)
# Which tch goes with which torch. The first pair is the one in Cargo.toml, which all tests run on; the README says what is known of the
# others. A wheel is looked for in this order.
pairs=(2.11.0=0.24.0 2.10.0=0.23.0 2.13.0=0.26.0 2.9.0=0.22.0)

say() { printf 'install: %s\n' "$*" >&2; }
die() { say "$*"; exit 6; }

# 2.10.1+computecanada → 2.10: patch releases of libtorch keep its interface.
minor_of() { local plain=${1%%+*}; printf '%s\n' "${plain%.*}"; }

# The tch for a torch version, or nothing.
tch_for() {
    local pair
    for pair in "${pairs[@]}"; do
        if [[ $(minor_of "$1") == "$(minor_of "${pair%=*}")" ]]; then printf '%s\n' "${pair#*=}"; return; fi
    done
}

load_modules() {
    type module >/dev/null 2>&1 || die "there is no \`module\` command: this script is for the login node of an Alliance cluster"
    module --force purge
    local name
    for name in "${modules[@]}"; do
        # A module that is missing under this name may not be needed: what is needed is asked for below.
        module load "$name" || say "no module $name here: \`module spider ${name%%/*}\` lists what there is"
    done
    for name in cargo mpicc cmake nasm virtualenv; do
        type "$name" >/dev/null 2>&1 || die "\`$name\` is missing: load the module that brings it, add it to \`modules\` in this script, and run it again"
    done
}

# The cluster's own wheel: built for its CPUs, its CUDA and its driver.
install_torch() {
    [[ -e $prefix/torch/bin/activate ]] || virtualenv --no-download "$prefix/torch"
    # shellcheck source=/dev/null
    source "$prefix/torch/bin/activate"
    local wanted=()
    if [[ -n ${TORCH:-} ]]; then
        wanted=("$TORCH")
    else
        local pair
        for pair in "${pairs[@]}"; do wanted+=("$(minor_of "${pair%=*}")"); done
    fi
    local version
    for version in "${wanted[@]}"; do
        # `2.10` is any patch of it, `2.10.1` is that one alone.
        if [[ $version == *.*.* ]]; then version="==$version"; else version="==$version.*"; fi
        if pip install --quiet --no-index "torch$version"; then return; fi
    done
    die "the cluster's wheelhouse has no torch that a tch is known for (${wanted[*]}); \`avail_wheels torch\` lists what it has"
}

torch_version() { python -c 'from importlib.metadata import version; print(version("torch"))'; }

# Prints the folder to build in: this checkout where it is for that pair, else a copy with the pair changed.
source_for() {
    local torch=$1 tch=$2 here=$3 copy
    if grep -q "^tch = { version = \"=$tch\"" "$here/Cargo.toml" && grep -q "^torch = \"$torch\"" "$here/Cargo.toml"; then
        printf '%s\n' "$here"
        return
    fi
    copy=$prefix/source-torch-$torch
    rm -rf "$copy"
    mkdir -p "$copy"
    tar -C "$here" --exclude=./target --exclude=./.venv --exclude=./.bench --exclude=./results -cf - . | tar -C "$copy" -xf -
    mkdir -p "$copy/results"
    [[ ! -d $here/results/published ]] || cp -r "$here/results/published" "$copy/results/"
    # Three lines: the two crates, and the pin that build.rs checks.
    sed -i -e "s/^tch = { version = \"=[0-9.]*\"/tch = { version = \"=$tch\"/" \
        -e "s/^torch-sys = { version = \"=[0-9.]*\"/torch-sys = { version = \"=$tch\"/" \
        -e "s/^torch = \"[0-9.]*\"/torch = \"$torch\"/" "$copy/Cargo.toml"
    printf '%s\n' "$copy"
}

build() {
    local torch=$1 tch=$2 here=$3 folder
    local locked=(--locked)
    folder=$(source_for "$torch" "$tch" "$here")
    if [[ $folder != "$here" ]]; then
        say "tch $tch goes with torch $torch, and no test of this project ran on that pair: built in $folder"
        # Its lock file is for the other tch.
        locked=()
    fi
    # The crate wants exactly the release it was made for; a patch release of the same minor is taken aloud.
    if [[ " ${pairs[*]} " != *" $torch=$tch "* ]]; then
        say "torch $torch is a patch release of the one that tch $tch is made for"
        export LIBTORCH_BYPASS_VERSION_CHECK=1
    fi
    # An absolute place, because the program is linked to the torch of this environment and nothing else of it.
    export LIBTORCH_USE_PYTORCH=1 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$folder/target}
    (cd "$folder" && cargo build --release "${locked[@]}")
    mkdir -p "$prefix/bin"
    install -m 755 "$CARGO_TARGET_DIR/release/bioscan-hpc" "$prefix/bin/bioscan-hpc.new"
    # A rename: jobs that run the old one keep it.
    mv "$prefix/bin/bioscan-hpc.new" "$prefix/bin/bioscan-hpc"
}

main() {
    local here torch tch
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    [[ -z ${SLURM_JOB_ID:-} ]] || die "this is a job: build on a login node, which reaches the internet"
    load_modules
    mkdir -p "$prefix"
    install_torch
    torch=$(torch_version)
    torch=${torch%%+*}
    tch=$(tch_for "$torch")
    [[ -n $tch ]] || die "no tch is known for torch $torch; known: ${pairs[*]} (torch=tch). TORCH=2.11 asks for another wheel"
    say "torch $torch, tch $tch"
    build "$torch" "$tch" "$here"
    "$prefix/bin/bioscan-hpc" doctor || die "the program is built, and says above what is wrong"
    say "done. Add this to ~/.bashrc: export PATH=$prefix/bin:\$PATH"
}

main
