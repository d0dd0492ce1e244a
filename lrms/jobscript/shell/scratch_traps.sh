# shellcheck shell=sh disable=SC2034,SC2154
# The way back under a supervisor, which has no EXIT trap of end.sh.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_running=
arex_term() { [ -n "$arex_running" ] || exit 143; }
trap 'arex_leave || exit 1' EXIT
trap arex_term TERM
