# shellcheck shell=sh disable=SC2034,SC2154
# The files that the batch system moves: links are created again, and everything is packed up at the end.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_walltime=@WALLTIME@
# only directories and files go back; of links, names and targets are listed; anything else is left out
arex_send() {
    arex_box=$arex_sandbox/session
    if [ -L "$arex_box" ] || [ ! -d "$arex_box" ]; then
        echo 'The job has removed its session directory: an empty one goes back.'
        rm -rf "$arex_box"
        mkdir -m 700 "$arex_box" || return 1
    fi
    rm -rf "$arex_rundir/session" "$arex_rundir/links" "$arex_rundir/sent"
    find "$arex_box" -type d ! -perm -700 -exec chmod u+rwx {} \; || return 1
    find "$arex_box" -type f ! -perm -400 -exec chmod u+r {} + || return 1
    # shellcheck disable=SC2016
    find "$arex_box" ! -type d ! -type f ! -type l \
        -exec sh -c 'for each; do printf "This does not go back, it is no file: %s\n" "$each"; done' sh {} + \
        -exec rm -f {} + || return 1
    # shellcheck disable=SC2016
    (cd "$arex_box" && find . -type l -exec sh -c '
        for each; do
            to=$(readlink "$each" && printf .) || exit 1
            printf "%s\0%s\0" "$each" "${to%??}"
        done' sh {} +) >"$arex_rundir/links" || return 1
    find "$arex_box" -type l -exec rm -f {} + || return 1
    # shellcheck disable=SC2016
    arex_counts=$(find "$arex_box" -exec sh -c 'echo "$#"' sh {} +) || return 1
    arex_entries=0
    for arex_one in $arex_counts; do arex_entries=$((arex_entries + arex_one)); done
    arex_sizes=$(find "$arex_box" -type f -exec stat -c %s {} +) || return 1
    arex_bytes=0
    for arex_one in $arex_sizes; do arex_bytes=$((arex_bytes + arex_one)); done
    mv "$arex_box" "$arex_rundir/session" || return 1
    printf 'entries=%s\nbytes=%s\ncomplete=yes\n' "$arex_entries" "$arex_bytes" >"$arex_rundir/sent"
}
arex_leave() {
    cd "$arex_sandbox" || :
    if [ -L "$arex_rundir" ] || [ ! -d "$arex_rundir" ]; then
        rm -rf "$arex_rundir"
        mkdir -m 700 "$arex_rundir"
    fi
    arex_send && return 0
    arex_why="The files of the job can not be made ready for their way back from $(uname -n)"
    printf '%s\n' "$arex_why"
    arex_code=
    return 1
}
# the wall time ends here, before the batch system ends everything and takes nothing back
arex_over() {
    arex_cause_own=walltime
    arex_signal=15 arex_signals=$((arex_signals + 1))
    if [ "$1" = KILL ]; then arex_signal=9; fi
    kill "-$1" "$arex_pid" 2>/dev/null
}
# shellcheck disable=SC1091
(cd "$RUNTIME_JOB_DIR" && . ../links) || arex_fail 'The links of the session directory can not be made on the node'
