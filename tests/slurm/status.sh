#!/bin/sh
# Status of a SLURM job for cluster-generic: running, success or failed.
case $(squeue --states=all --noheader --format=%T --jobs="$1" 2>/dev/null) in
COMPLETED) echo success ;;
PENDING | RUNNING | CONFIGURING | COMPLETING | SUSPENDED | REQUEUED | "") echo running ;;
*) echo failed ;;
esac
