# shellcheck shell=sh disable=SC2034,SC2154
# After the end of the payload.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

if [ -n "$arex_walltime" ]; then
    trap '' USR1 USR2
    kill "$arex_watch" 2>/dev/null
fi
