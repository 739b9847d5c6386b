"""An array of tasks that do nothing, submitted by submitit: FOLDER TASKS."""

import sys

import submitit


def nothing(task):
    return task


if __name__ == "__main__":
    folder, tasks = sys.argv[1], int(sys.argv[2])
    executor = submitit.AutoExecutor(folder=folder, cluster="slurm")
    executor.update_parameters(
        name="submitit",
        timeout_min=60,
        cpus_per_task=4,
        mem_gb=8,
        slurm_gpus_per_node="h100:1",
        slurm_array_parallelism=tasks,
    )
    print(executor.map_array(nothing, range(tasks))[0].job_id)
