#!/bin/bash
# bioscan-1m: all runs → the mean ± std tables and one page of figures, on Trillium, University of Toronto. A matter of seconds.
# Written by `bioscan-hpc sweep render`; edit it freely, nothing reads it back.
# This cluster rents whole nodes: the same command on a login node costs nothing.
# Submit it from $SCRATCH: the other file systems are read-only in jobs.
#
#SBATCH --job-name=bioscan-1m-aggregate
# No --account here: `export SBATCH_ACCOUNT=def-yourpi` before sbatch, or render again with --account.
#SBATCH --time=0-00:15:00                    # the shortest that is welcome here
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=192
# No --mem: this cluster ignores it, memory follows the cores and GPUs.
# No --partition: the scheduler chooses it from the time and the GPU.
#SBATCH --output=logs/%x-%j.out              # make the folder `logs` first: without it Slurm ends the job without a word

# A job inherits the modules of the shell it was submitted from, so it starts from none.
module --force purge
module load StdEnv/2023 gcc/12.3 openmpi/4.1.5 cuda/12.6 hdf5/1.14.2

# After the modules, whose own functions read variables that are not set.
set -euo pipefail

# The program: on PATH, or where BIOSCAN_HPC says.
bioscan=${BIOSCAN_HPC:-bioscan-hpc}
job=jobs/bioscan-1m.toml
[[ -f $job ]] || { echo "no $job in $PWD: start this from the folder it was rendered in" >&2; exit 2; }

for step in aggregate report; do
    code=0
    "$bioscan" "$step" "$job" || code=$?
    if [[ $code -eq 4 ]]; then
        echo "incomplete (exit 4): what $step wrote stands, and says which runs are missing"
        code=0
    fi
    [[ $code -eq 0 ]] || exit "$code"
done
