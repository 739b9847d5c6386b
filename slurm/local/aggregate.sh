#!/bin/bash
# bioscan-1m: all runs → the mean ± std tables and one page of figures, on this machine. A matter of seconds.
# Written by `bioscan-hpc sweep render`; edit it freely, nothing reads it back.

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
