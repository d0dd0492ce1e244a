# shellcheck shell=sh disable=SC2034,SC2154
# Ends the payload at its wall time, before the batch system ends everything.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

if [ -n "$arex_walltime" ]; then
    trap 'arex_over TERM' USR1
    trap 'arex_over KILL' USR2
    (
        trap - EXIT TERM USR1 USR2
        sleep "$arex_walltime" && kill -USR1 "$$" && sleep @LATE@ && kill -USR2 "$$"
    ) </dev/null >/dev/null 2>&1 &
    arex_watch=$!
fi
