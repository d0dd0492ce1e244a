# shellcheck shell=sh disable=SC2034,SC2154
# Under a supervisor, which reads these files and writes the completion record.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

# how far we have come, and why not farther, for the supervisor
arex_note() {
    if [ -n "${arex_why:-}" ]; then printf '%s\n' "$arex_why" >"$arex_rundir/why"; fi
    printf '%s\n' "$1" >"$arex_rundir/started"
}
arex_id=
