#!/usr/bin/env bash
# Workers as an array of Slurm jobs, one on each node, for a queue in a folder that all nodes see.
#
#   sbatch workers/slurm.sh fq:///shared/queue
#
# Eight run at a time. When one reaches its time limit, the next of the array takes its place. When the work is done,
# those that are left end at once.

#SBATCH --job-name=cvbatch
#SBATCH --array=1-64%8
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=cvbatch-%A-%a.log

set -u

queue=${1:?the queue, such as fq:///shared/queue}

# What was begun may take 90 of the 120 seconds that the signal leaves.
cvbatch work "$queue" --processes "${SLURM_CPUS_PER_TASK:-1}" --grace 90 --exit-when-done &
worker=$!
trap 'kill -TERM "$worker"' TERM

# A wait that is interrupted by the signal says nothing about the worker.
wait "$worker"
status=$?
while kill -0 "$worker" 2>/dev/null; do
    wait "$worker"
    status=$?
done
exit "$status"
