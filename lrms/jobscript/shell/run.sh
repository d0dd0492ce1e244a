# shellcheck shell=sh disable=SC2034,SC2154
# The payload, and what follows it, without a supervisor.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_path=$1
arex_starting=yes
"$@" <"$RUNTIME_JOB_STDIN" >"$RUNTIME_JOB_STDOUT" @ERRORS@ &
arex_pid=$!
[ -z "$arex_early" ] || kill -TERM "$arex_pid" 2>/dev/null
#@WATCH@
# a signal ends wait early; the payload's own end is what counts
while :; do
    arex_caught=$arex_signals
    wait "$arex_pid"
    arex_status=$?
    if [ "$arex_status" != 127 ] || [ -z "$arex_code" ]; then arex_code=$arex_status; fi
    [ "$arex_caught" != "$arex_signals" ] || break
done
#@WATCH_END@
arex_check_interpreter "$arex_path" "$arex_code"
arex_when=after
#@RUNTIMES@
#@END@
exit "$arex_code"
