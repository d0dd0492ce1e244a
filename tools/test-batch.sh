#!/bin/sh
# Tests over a real batch system that is installed and started on this machine, as root: test-batch.sh SYSTEM [VENV]
#
#   slurm          the contract suite, ends of jobs, agreement with ARC's scripts, faults; then a SLURM that forgets at
#                  once; then one with slurmdbd. AREX_CHAOS_*, AREX_CAMPAIGN_S and
#                  AREX_SWEEP_CALLS say how much of the faults there is (2000 jobs, 120 seconds, 120 calls; 0: all)
#   sge, condor    the contract suite and jobs end to end. HTCondor runs no jobs of root: as root, the tests become the
#                  account of the pool, which must be able to read this checkout
#
# AREX_BATCH=quick leaves out what takes minutes and is covered elsewhere, for a machine whose time is limited.
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

as=
run() {
    echo "=== $*"
    $as -q "$@"
}

fresh() { # fresh NAME=VALUE...: a cluster with these settings, and the environment that reaches it
    sh "$cluster" down
    for setting; do export "${setting?}"; done
    sh "$cluster" up ${dbd:+--dbd}
    eval "$(sh "$cluster" env ${dbd:+--dbd})"
}

contract() { # contract WORLD...
    world=$1
    shift
    AREX_WORLDS=$world run tests/contract/test_backend.py tests/contract/test_programs.py "$@"
}

dbd=
quick=
[ "${AREX_BATCH:-}" != quick ] || quick=yes
as="$venv/bin/pytest"
case $system in
    slurm)
        fresh SLURM_MEMORY=poll SLURM_MIN_JOB_AGE=300 SLURM_JOB_SUBMIT=lua
        if [ "$quick" ]; then contract slurm -k 'not walltime'; else contract slurm; fi
        run tests/clusters/test_slurm_others.py tests/clusters/test_slurm_causes.py tests/clusters/test_slurm_agrees.py
        fresh SLURM_MEMORY=free SLURM_MIN_JOB_AGE=300 SLURM_JOB_SUBMIT=
        run tests/clusters/test_slurm_chaos.py -k nothing_is_lost
        if [ -z "$quick" ]; then
            export AREX_CAMPAIGN_S="${AREX_CAMPAIGN_S:-120}" AREX_SWEEP_CALLS="${AREX_SWEEP_CALLS:-120}"
            run tests/clusters/test_slurm_campaign.py
            fresh SLURM_MIN_JOB_AGE=2
            run tests/clusters/test_slurm_chaos.py -k every_end
        fi
        sh "$cluster" down
        dbd=yes
        fresh SLURM_MEMORY=poll SLURM_MIN_JOB_AGE=300
        run tests/clusters/test_slurm_queues.py
        [ "$quick" ] || contract slurm
        ;;
    sge)
        fresh LC_ALL=C.UTF-8
        [ "$quick" ] || contract sge
        run tests/clusters/test_sge.py tests/clusters/test_sge_rules.py
        ;;
    condor)
        fresh LC_ALL=C.UTF-8
        if [ -z "$quick" ]; then
            if [ "$(id -u)" = 0 ]; then
                account=${AREX_TEST_USER:-arexinterop}
                packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
                as="setpriv --reuid $account --regid $account --clear-groups env HOME=/tmp PYTHONPATH=.:$packages"
                as="$as PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -p no:cacheprovider"
            fi
            contract 'condor condor-unseen'
            run tests/clusters/test_condor_rules.py
            as="$venv/bin/pytest"
        fi
        run tests/clusters/test_condor.py tests/clusters/test_condor_unseen.py
        ;;
    *)
        echo "test-batch.sh: no tests for $system" >&2
        exit 2
        ;;
esac
