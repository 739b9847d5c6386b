#!/usr/bin/env bash
# Builds libbioscan_cuda.so into the folder given (default: target/release): NCCL, by which several GPU ranks talk, and CUDA graphs.
#
# Needs no CUDA toolkit: headers alone, from NVIDIA's own wheels into `.cuda`, the largest of which is that of NCCL (200 MB). Its nccl.h must
# be the one that libtorch was built with, because a struct's layout depends on it: the pins stand beside libtorch's in Cargo.toml.
set -euo pipefail
out=$(realpath -m "${1:-$(dirname "$0")/../target/release}")
cd "$(dirname "$0")/.."

say() { printf 'cuda: %s\n' "$*" >&2; }
pin() { sed -n "/^\[package.metadata.libtorch\]/,/^\[/s/^$1 *= *\"\(.*\)\"/\1/p" Cargo.toml; }

torch=${LIBTORCH:-.venv/torch}
[ -e "$torch/lib/libtorch_cpu.so" ] || { say "no libtorch in $torch: run \`make setup\`, or set LIBTORCH"; exit 6; }
if [ ! -e .cuda/complete ]; then
  say "fetching the headers into .cuda"
  rm -rf .cuda
  python3 -m venv .cuda
  .cuda/bin/pip install --quiet --disable-pip-version-check --no-deps \
    "nvidia-cuda-runtime==$(pin cuda-runtime)" "nvidia-cuda-crt==$(pin cuda-crt)" "nvidia-cuda-cccl==$(pin cuda-cccl)" \
    "nvidia-nccl-cu13==$(pin nccl)"
  touch .cuda/complete
fi
nvidia=$(echo .cuda/lib/python3*/site-packages/nvidia)
mkdir -p "$out"
# libtorch_cuda's symbols are found when the plug-in is loaded, into a program that has loaded libtorch_cuda.
c++ -std=c++17 -O1 -fPIC -shared -Wall -Wextra -D_GLIBCXX_USE_CXX11_ABI="${LIBTORCH_CXX11_ABI:-1}" \
  -isystem src/comm/bridge/cuda/stubs -isystem "$torch/include" -isystem "$torch/include/torch/csrc/api/include" \
  -isystem "$nvidia/cu13/include" -isystem "$nvidia/cu13/include/cccl" -isystem "$nvidia/nccl/include" \
  src/comm/bridge/cuda/nccl.cpp src/comm/bridge/cuda/graph.cpp -o "$out/libbioscan_cuda.so.part"
mv "$out/libbioscan_cuda.so.part" "$out/libbioscan_cuda.so"
say "$out/libbioscan_cuda.so"
