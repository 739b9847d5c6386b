#!/usr/bin/env bash
# Installs what this machine lacks to build (`setup.sh build`), to test (`setup.sh build test`), to measure (`setup.sh build bench`) and to
# let others read (`setup.sh build compat`) bioscan-hpc, and nothing it has.
#
# Debian and Ubuntu packages come from apt; libtorch comes from the torch wheel, in its lean form, into `.venv`. On a cluster both are
# the site's business: load its modules and set LIBTORCH or LIBTORCH_USE_PYTORCH=1, and this script installs nothing.
# The peers of the benchmark and the third-party clients, of pinned versions, come into environments of their own, `.bench` and `.compat`.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 6; }
have() { command -v "$1" >/dev/null 2>&1; }
# Daemons lie where only root's PATH leads.
have_daemon() { have "$1" || [ -x "/usr/sbin/$1" ]; }
pin() { sed -n "/^\[package.metadata.libtorch\]/,/^\[/s/^$1 *= *\"\(.*\)\"/\1/p" Cargo.toml; }

# Each line: a test that succeeds where the thing is there, and the package that brings it.
needs_build() {
  have cc || echo gcc
  have c++ || echo g++
  have make || echo make
  have pkg-config || echo pkg-config
  have cmake || echo cmake
  have nasm || echo nasm
  have mpicc || echo libopenmpi-dev
  have mpirun || echo openmpi-bin
  [ -n "${HDF5_DIR:-}" ] || pkg-config --exists hdf5 2>/dev/null || echo libhdf5-dev
  [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang[.-][0-9s]*' >/dev/null || echo libclang-dev
  libtorch_is_given || python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}
needs_test() {
  # Opens the report's page, and any of these will do. Ubuntu's package of the name is a stub for its own store: there the test skips.
  have chromium || have chromium-browser || have google-chrome || ! on_debian || printf '%s\n' chromium fonts-liberation
  have shellcheck || echo shellcheck
  have git || echo git
  # A real Slurm of four daemons, started by the tests themselves as whoever runs them; nothing of it runs as a service.
  have_daemon slurmctld || echo slurmctld
  have_daemon slurmd || echo slurmd
  have sbatch || echo slurm-client
  have_daemon munged || echo munge
  compgen -G '/usr/lib/*/slurm-wlm/select_cons_tres.so' >/dev/null || compgen -G '/usr/lib*/slurm/select_cons_tres.so' >/dev/null || echo slurm-wlm-basic-plugins
  # The h5py that reads our files back must be the one of the python3 that the tests call.
  /usr/bin/python3 -c 'import h5py' 2>/dev/null || echo python3-h5py
}
needs_compat() { python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv; }
on_debian() { grep -qx 'ID=debian' /etc/os-release 2>/dev/null; }
needs_bench() {
  # Another program of that name is no ImageMagick.
  convert --version 2>/dev/null | grep -q ImageMagick || echo imagemagick
  ldconfig -p | grep -q 'libvips\.so\.42' || echo libvips42
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}

libtorch_is_given() { [ -n "${LIBTORCH_USE_PYTORCH:-}" ] || { [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$PWD/.venv/torch" ]; }; }

install_packages() {
  local missing=("$@") sudo=()
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "missing: ${missing[*]}. This machine has no apt-get: load or install what provides them."
  if [ "$(id -u)" -ne 0 ]; then have sudo || die "missing: ${missing[*]}. Ask an administrator to install them."; sudo=(sudo); fi
  say "installing with apt-get: ${missing[*]}"
  [[ " ${missing[*]} " != *' chromium '* ]] || say "chromium is the largest of them: about 300 MB installed"
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_libtorch() {
  local torch runtime cupti site
  torch=$(pin torch) runtime=$(pin cuda-runtime) cupti=$(pin cuda-cupti)
  if libtorch_is_given; then say "libtorch is given by the environment"; return; fi
  if [ "$(cat .venv/torch-version 2>/dev/null)" = "$torch" ] && [ -e .venv/torch/lib/libtorch_cpu.so ]; then return; fi
  say "installing libtorch $torch from its wheel into .venv (540 MB to download)"
  rm -rf .venv
  python3 -m venv .venv
  # Without its dependencies: of NVIDIA's libraries the CPU half needs these two alone, and they save 2 GB.
  .venv/bin/pip install --quiet --disable-pip-version-check --no-deps \
    "torch==$torch" "nvidia-cuda-runtime==$runtime" "nvidia-cuda-cupti==$cupti"
  site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # A path without Python's version in it, so that .cargo/config.toml can name it.
  ln -sfn "$(realpath --relative-to=.venv "$site/torch")" .venv/torch
  # Last, so that a set-up that was cut off is done again.
  echo "$torch" >.venv/torch-version
}

# Makes the Python environment $1 hold what the list $2 says.
install_environment() {
  local folder=$1 wanted=$2
  if cmp -s "$wanted" "$folder/requirements.txt"; then return; fi
  say "installing into $folder: $(paste -sd ' ' "$wanted") (3 GB, most of it PyTorch)"
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
  # Last, as above.
  cp "$wanted" "$folder/requirements.txt"
}

have cargo || die "Rust is missing. Install it from https://rustup.rs (or \`module load rust\` on a cluster), then try again."
mapfile -t packages < <(for purpose in "$@"; do "needs_$purpose"; done)
install_packages "${packages[@]}"
for purpose in "$@"; do
  case $purpose in
    build) install_libtorch ;;
    bench) install_environment .bench tests/bench/requirements.txt ;;
    compat) install_environment .compat tests/compat/requirements.txt ;;
  esac
done
