# shellcheck shell=sh disable=SC2034,SC2154
# The payload, and what follows it, under a supervisor.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

#@BEGIN@
"$@" <"$RUNTIME_JOB_STDIN" >"$RUNTIME_JOB_STDOUT" @ERRORS@
arex_code=$?
arex_check_interpreter "$1" "$arex_code"
arex_when=after
#@RUNTIMES@
#@END@
exit "$arex_code"
