# shellcheck shell=sh disable=SC2034,SC2154
# The same on a node that sees the session directory, perhaps under another path.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_root=@ROOT@
arex_notices=$arex_root/@NOTICES@
# the node may see the session root elsewhere
if [ -n "${RUNTIME_GRIDAREA_DIR:-}" ]; then
    RUNTIME_JOB_DIR=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_DIR#"$arex_root"}
    RUNTIME_JOB_DIAG=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_DIAG#"$arex_root"}
    arex_rundir=$RUNTIME_GRIDAREA_DIR${arex_rundir#"$arex_root"}
    arex_notices=$RUNTIME_GRIDAREA_DIR${arex_notices#"$arex_root"}
    case $RUNTIME_JOB_STDIN in
        "$arex_root"/*) RUNTIME_JOB_STDIN=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_STDIN#"$arex_root"} ;;
    esac
    case $RUNTIME_JOB_STDOUT in
        "$arex_root"/*) RUNTIME_JOB_STDOUT=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_STDOUT#"$arex_root"} ;;
    esac
    case $RUNTIME_JOB_STDERR in
        "$arex_root"/*) RUNTIME_JOB_STDERR=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_STDERR#"$arex_root"} ;;
    esac
fi
arex_id=@LOCALID@
RUNTIME_NODE_SEES_FRONTEND=yes
