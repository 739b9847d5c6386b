#!/bin/bash
# bioscan-1m: all runs → the mean ± std tables, on this machine. A matter of seconds.
# Written by `bioscan-hpc sweep render`; edit it freely, nothing reads it back.

set -euo pipefail

# The program: on PATH, or where BIOSCAN_HPC says.
bioscan=${BIOSCAN_HPC:-bioscan-hpc}
job=jobs/bioscan-1m.toml
[[ -f $job ]] || { echo "no $job in $PWD: start this from the folder it was rendered in" >&2; exit 2; }

code=0
"$bioscan" aggregate "$job" || code=$?
if [[ $code -eq 4 ]]; then
    echo "incomplete (exit 4): the tables stand, and say which runs are missing"
    code=0
fi
exit "$code"
