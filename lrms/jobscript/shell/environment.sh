# shellcheck shell=sh disable=SC2034,SC2154
# The environment of the payload.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

#@EXPORTS@
HOME=$RUNTIME_JOB_DIR
export HOME
cd "$HOME" || arex_fail "Can not enter the session directory $HOME"
