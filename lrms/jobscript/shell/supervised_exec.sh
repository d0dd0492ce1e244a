# shellcheck shell=sh disable=SC2034,SC2154
# The payload in the place of the script.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

exec "$@" <"$RUNTIME_JOB_STDIN" >"$RUNTIME_JOB_STDOUT" @ERRORS@
