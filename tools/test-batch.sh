#!/bin/sh
# Tests over a real batch system that is installed and started on this machine, as root: test-batch.sh SYSTEM [VENV]
#
#   slurm    the contract suite, ends of jobs, agreement with ARC's scripts, faults; then a SLURM that forgets at once;
#            then one with slurmdbd. AREX_BATCH=quick leaves out what takes minutes: AREX_CHAOS_* say how much
#   sge, condor    the contract suite and jobs end to end
#
# Whatever was started is ended again. Nothing is skipped: what can't be started fails.
set -eu
system=${1:?which batch system}
venv=${2:-.venv}
cd "$(dirname "$0")/.."
cluster="tools/clusters/$system.sh"
[ -e "$cluster" ] || { echo "test-batch.sh: there is no $cluster" >&2; exit 2; }

sh tools/test-programs.sh
trap 'sh "$cluster" down || :' EXIT
trap 'exit 130' INT TERM

run() {
    echo "=== $*"
    "$venv/bin/pytest" -q "$@"
}

fresh() { # fresh NAME=VALUE...: a cluster with these settings, and the environment that reaches it
    sh "$cluster" down
    for setting; do export "${setting?}"; done
    sh "$cluster" up ${dbd:+--dbd}
    eval "$(sh "$cluster" env ${dbd:+--dbd})"
}

contract() { # in the world of this name
    AREX_WORLDS=$1 run tests/contract/test_backend.py tests/contract/test_programs.py
}

dbd=
case $system in
    slurm)
        fresh SLURM_MEMORY=poll SLURM_MIN_JOB_AGE=300
        contract slurm
        run tests/clusters/test_slurm_causes.py tests/clusters/test_slurm_agrees.py
        fresh SLURM_MEMORY=free SLURM_MIN_JOB_AGE=300
        run tests/clusters/test_slurm_chaos.py -k nothing_is_lost
        fresh SLURM_MIN_JOB_AGE=2
        run tests/clusters/test_slurm_chaos.py -k every_end
        sh "$cluster" down
        dbd=yes
        fresh SLURM_MEMORY=poll SLURM_MIN_JOB_AGE=300
        contract slurm
        run tests/clusters/test_slurm_lanes.py
        ;;
    *)
        fresh LC_ALL=C.UTF-8
        contract "$system"
        run "tests/clusters/test_$system.py"
        ;;
esac
