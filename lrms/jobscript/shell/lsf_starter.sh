# shellcheck shell=sh
# What bsub gets: runs the job script where the node sees it.

arex_root=@ROOT@
[ -z "${RUNTIME_GRIDAREA_DIR:-}" ] || arex_root=$RUNTIME_GRIDAREA_DIR
exec @SHELL@ "$arex_root"/@SCRIPT@
