# shellcheck shell=sh disable=SC2034,SC2154
# The same on a node where the batch system moves the files: everything is in its directory.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

RUNTIME_FRONTEND_JOB_DIR=@DIRECTORY@
arex_sandbox=${_CONDOR_SCRATCH_DIR:-$PWD}
if grep -q '^NumJobStarts = [1-9]' "${_CONDOR_JOB_AD:-$arex_sandbox/.job.ad}" 2>/dev/null; then
    # not 0, which would count as success
    echo 'This attempt has been started before; this copy ends here.'
    exit 1
fi
arex_front=$RUNTIME_FRONTEND_JOB_DIR
RUNTIME_JOB_DIR=$arex_sandbox/session
RUNTIME_LOCAL_SCRATCH_DIR=$arex_sandbox
arex_rundir=$arex_sandbox/back
arex_notices=$arex_sandbox/none
RUNTIME_JOB_DIAG=$arex_rundir/diag
case $RUNTIME_JOB_STDIN in
    "$arex_front"/*) RUNTIME_JOB_STDIN=$RUNTIME_JOB_DIR${RUNTIME_JOB_STDIN#"$arex_front"} ;;
esac
case $RUNTIME_JOB_STDOUT in
    "$arex_front"/*) RUNTIME_JOB_STDOUT=$RUNTIME_JOB_DIR${RUNTIME_JOB_STDOUT#"$arex_front"} ;;
esac
case $RUNTIME_JOB_STDERR in
    "$arex_front"/*) RUNTIME_JOB_STDERR=$RUNTIME_JOB_DIR${RUNTIME_JOB_STDERR#"$arex_front"} ;;
esac
RUNTIME_NODE_SEES_FRONTEND=
arex_id=@LOCALID@
