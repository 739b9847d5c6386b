#!/bin/bash
# bioscan-1m: the 113 chunks → packs of prepared images, on Rorqual, École de technologie supérieure.
# Written by `bioscan-hpc sweep render`; edit it freely, nothing reads it back.
# The table is divided once before training, in a minute on a login node: bioscan-hpc metadata split jobs/bioscan-1m.toml
#
#SBATCH --job-name=bioscan-1m-preprocess
# No --account here: `export SBATCH_ACCOUNT=def-yourpi` before sbatch, or render again with --account.
#SBATCH --time=0-03:00:00                    # 3.0 h (assumed: 1.1 million images on 32 cores: 15 ms an image and core, the rest for reading the originals), rounded up into the cluster's bins
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=16                 # ranks: they share the 113 chunks
#SBATCH --cpus-per-task=2                    # threads of a rank
#SBATCH --mem=64G                            # assumed to be ample
# No --partition: the scheduler chooses it from the time and the GPU.
#SBATCH --signal=B:USR1@300                  # five minutes before the time limit, to this script alone: time for a checkpoint
#SBATCH --requeue                            # after a node failure or a preemption, start again from the checkpoint
#SBATCH --open-mode=append                   # a second life must not wipe the log of the first
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

# The program saves a checkpoint when told to stop, and then ends with 85. mpirun and srun pass USR1 on to their ranks.
pids=()
stopping=
trap 'stopping=yes; told=yes; kill -USR1 "${pids[@]}" 2>/dev/null || true' USR1 TERM

code=0
unfinished=
finish() {
    local pid ended told
    # A signal that came before there was anything to pass it on to.
    [[ -z $stopping ]] || kill -USR1 "${pids[@]}" 2>/dev/null || true
    for pid in "${pids[@]}"; do
        # A trapped signal ends `wait` early, so wait again: bash keeps the status of a child that has ended.
        told=yes
        while [[ -n $told ]]; do
            told=
            ended=0
            wait "$pid" || ended=$?
        done
        case $ended in
            0) ;;
            # One bad image, or one missing run, must not stop the jobs that wait for this one.
            3) echo "done, but some inputs were quarantined (exit 3): the summary is above, the list in quarantine.csv" ;;
            4) echo "incomplete (exit 4): what is missing is listed above" ;;
            85) unfinished=yes ;;
            *) code=$ended ;;
        esac
    done
    pids=()
}

# In the background, because bash runs traps only between commands.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" "$bioscan" preprocess "$job" &
pids=("$!")
finish

if [[ -n $unfinished ]]; then
    # SLURM_RESTART_COUNT is unset, not 0, in a first life. The bound keeps a job that never gets anywhere from running for ever.
    if (( ${SLURM_RESTART_COUNT:-0} < ${BIOSCAN_MAX_RESTARTS:-10} )); then
        scontrol requeue "$SLURM_JOB_ID" && exit 85
        echo "requeue was refused: submit this script again" >&2
    fi
    exit 85
fi
exit "$code"
