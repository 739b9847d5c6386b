#!/bin/bash
# bioscan-1m: 24 medium runs on this machine.
# Written by `bioscan-hpc sweep render`; edit it freely, nothing reads it back.

set -euo pipefail

# The program: on PATH, or where BIOSCAN_HPC says.
bioscan=${BIOSCAN_HPC:-bioscan-hpc}
job=jobs/bioscan-1m.toml
[[ -f $job ]] || { echo "no $job in $PWD: start this from the folder it was rendered in" >&2; exit 2; }

# The program saves a checkpoint when told to stop, and then ends with 85. mpirun and srun pass USR1 on to their ranks.
pids=()
stopping=
trap 'stopping=yes; told=yes; kill -USR1 "${pids[@]}" 2>/dev/null || true' USR1 TERM INT

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
"$bioscan" train "$job" --index "$SLURM_ARRAY_TASK_ID" &
pids=("$!")
finish

# Whoever started this script starts it again with SLURM_RESTART_COUNT one higher.
[[ -z $unfinished ]] || exit 85
exit "$code"
