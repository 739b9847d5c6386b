#!/bin/bash
# bioscan-1m: 12 small runs on Vulcan, University of Alberta.
# Written by `bioscan-hpc sweep render`; edit it freely, nothing reads it back.
# Which run an index is: experiments.tsv. Some of them again: sbatch --array=6,7 slurm/vulcan/train-small-vit_base_patch16_224.sh
#
#SBATCH --job-name=bioscan-1m-train-small-vit_base_patch16_224
# No --account here: `export SBATCH_ACCOUNT=aip-yourpi` before sbatch, or render again with --account.
#SBATCH --time=0-07:00:00                    # 7.0 h a run (assumed: 350 images/s of vit_base_patch16_224 on an H100); this cluster's bins are not known
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16                   # what goes with this GPU here: decoding threads
#SBATCH --gpus-per-node=l40s:1               # the model must be named
#SBATCH --mem=64G                            # assumed to be ample
# No --partition: the scheduler chooses it from the time and the GPU.
#SBATCH --array=6-11,18-23                   # indices of experiments.tsv
#SBATCH --signal=B:USR1@300                  # five minutes before the time limit, to this script alone: time for a checkpoint
#SBATCH --requeue                            # after a node failure or a preemption, start again from the checkpoint
#SBATCH --open-mode=append                   # a second life must not wipe the log of the first
#SBATCH --output=logs/%x-%A_%a.out           # make the folder `logs` first: without it Slurm ends the job without a word

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

# Where a grid is longer than an array may be, its later part comes as another array, with an offset.
task=$(( SLURM_ARRAY_TASK_ID + ${BIOSCAN_ARRAY_OFFSET:-0} ))
indices=$task

# The checkpoints of this task's runs, by name: a life that adds none made no progress, and another would make none either.
checkpoints() {
    local index id
    while IFS=$'\t' read -r index id; do
        [[ " $indices " != *" $index "* ]] || printf '%s\n' "${SCRATCH}"/bioscan-1m/results/runs/"$id"/checkpoint-*
    done <slurm/vulcan/experiments.tsv
}
before=$(checkpoints)

# --stage: one copy in large pieces to each node's own disk, instead of random reads from the shared file system in every epoch.

# In the background, because bash runs traps only between commands. srun no longer inherits --cpus-per-task by itself.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" "$bioscan" train "$job" --index "$indices" --stage &
pids=("$!")
finish

if [[ -n $unfinished ]]; then
    # SLURM_RESTART_COUNT is unset, not 0, in a first life. The bound keeps a job that never gets anywhere from running for ever.
    if (( ${SLURM_RESTART_COUNT:-0} < ${BIOSCAN_MAX_RESTARTS:-10} )) && [[ $(checkpoints) != "$before" ]]; then
        # This task alone: SLURM_JOB_ID of an array's last task is the id of the whole array.
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" && exit 85
        echo "requeue was refused: go on with sbatch --array=$SLURM_ARRAY_TASK_ID${BIOSCAN_ARRAY_OFFSET:+ --export=ALL,BIOSCAN_ARRAY_OFFSET=$BIOSCAN_ARRAY_OFFSET} $(printf '%q' slurm/vulcan/train-small-vit_base_patch16_224.sh)" >&2
    fi
    exit 85
fi
exit "$code"
