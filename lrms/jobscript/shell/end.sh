# shellcheck shell=sh disable=SC2034,SC2154
# Without a supervisor: the completion record, written by the EXIT trap, and SIGTERM for the payload.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_nodes=@NODES@
arex_note() { :; }
# in the C locale, or date reads a dozen files of another one; not by a function, which would take one more process
arex_stamp=+%Y%m%d%H%M%SZ,%Y-%m-%dT%H:%M:%SZ,%s
# one call of date at the end prints both times, if the seconds between them are known
arex_began=
{ IFS=. read -r arex_up arex_rest </proc/uptime; } 2>/dev/null || arex_began=$(LC_ALL=C exec date -u "$arex_stamp")
arex_ended=
arex_wall=
arex_code=
arex_signal=
arex_signals=0
arex_pid=
arex_starting=
arex_early=
arex_cause_own=
arex_leave() { :; }
arex_end() {
    trap - EXIT
    trap '' TERM
    unset IFS
    PATH=$arex_own_path
    arex_leave
    arex_times
    arex_cause='exit code'
    [ "$arex_when" = after ] || [ -n "$arex_code" ] || arex_cause='never started'
    if [ -n "$arex_code" ]; then
        if [ -z "$arex_signal" ] && [ "$arex_code" -gt 128 ] && [ "$arex_code" -le 192 ]; then
            arex_signal=$((arex_code - 128))
        fi
        # a payload may have put a pipe there, and opening it would wait for a reader
        [ -p "$RUNTIME_JOB_DIAG" ] || printf '\nLRMSStartTime=%s\nLRMSEndTime=%s\nwalltime=%s\nexitcode=%s\n' \
            "${arex_began%%,*}" "${arex_ended%%,*}" "$arex_wall" "$arex_code" >>"$RUNTIME_JOB_DIAG"
    fi
    [ -z "$arex_signal" ] || arex_cause=signal
    [ "$arex_signal" != "$arex_xcpu" ] || [ -z "$arex_xcpu" ] || arex_cause=cputime
    [ -z "$arex_cause_own" ] || arex_cause=$arex_cause_own
    arex_memory
    [ "${arex_kills:-0}" = 0 ] || [ "$arex_code" = 0 ] || arex_cause=memory
    arex_began=${arex_began#*,} arex_ended=${arex_ended#*,}
    set --
    for arex_node in $arex_nodes; do set -- "$@" "node=$arex_node"; done
    [ -z "${arex_why:-}" ] || set -- "$@" "message=$(printf '%s' "$arex_why" | tr '\n\r' '  ')"
    [ -z "$arex_id" ] || set -- "$@" "localid=$arex_id"
    [ -z "$arex_kills" ] || set -- "$@" "oom_kills=$arex_kills"
    [ -z "$arex_peak" ] || set -- "$@" "maxrss_kb=$((arex_peak / 1024))"
    arex_restore
    # no mv, which is a program with four libraries: a record without its last line does not count
    {
        printf 'exitcode=%s\nsignal=%s\ncause=%s\nstart=%s\nend=%s\nwall_s=%s\n' "$arex_code" "$arex_signal" \
            "$arex_cause" "${arex_began%,*}" "${arex_ended%,*}" "$arex_wall"
        times
        printf '%s\n' "$@" complete=yes
    } >"$arex_rundir/done"
    [ -p "$arex_notices/${arex_rundir##*/}" ] || { printf '' >"$arex_notices/${arex_rundir##*/}"; } 2>/dev/null
}
# the payload may have removed, replaced or closed the run directory, or put something in the place of the record
arex_restore() {
    if [ ! -w "$arex_rundir/." ]; then
        umask 077
        chmod u+rwx "${arex_rundir%/*}"
        [ -d "${arex_rundir%/*}" ] || rm -f "${arex_rundir%/*}"
        [ -d "$arex_rundir" ] || rm -f "$arex_rundir"
        mkdir -p "$arex_rundir"
        chmod u+rwx "$arex_rundir"
    fi 2>/dev/null
    # without the start marker, another copy of this attempt could start
    [ -e "$arex_rundir/started" ] || printf '%s' "${arex_id:+id $arex_id
}" 2>/dev/null >"$arex_rundir/started"
    if [ -L "$arex_rundir/done" ] || { [ -e "$arex_rundir/done" ] && [ ! -f "$arex_rundir/done" ]; }; then
        rm -rf "$arex_rundir/done"
    fi
}
# the times of start and end, and the seconds between them
arex_times() {
    if [ -z "$arex_began" ] && { IFS=. read -r arex_now arex_rest </proc/uptime; } 2>/dev/null; then
        arex_wall=$((arex_now - arex_up))
        arex_ended=$(
            LC_ALL=C exec date -u -f - "$arex_stamp" 2>/dev/null <<END_OF_DATES
$arex_wall seconds ago
now
END_OF_DATES
        )
        arex_began=${arex_ended%%"
"*} arex_ended=${arex_ended##*"
"}
    fi
    # the date of BusyBox has no -f
    if [ -z "$arex_ended" ]; then
        arex_ended=$(LC_ALL=C exec date -u "$arex_stamp")
        if [ -z "$arex_began" ] && [ -n "$arex_ended" ]; then
            arex_began=$(LC_ALL=C exec date -u -d "@$((${arex_ended##*,} - arex_wall))" "$arex_stamp")
        fi
    fi
    # without any date, the record has no times; but it must still contain the exit code
    if [ -n "$arex_ended" ] && [ -n "$arex_began" ]; then
        arex_wall=$((${arex_ended##*,} - ${arex_began##*,}))
    fi
}
# memory, as the control group of this job knows it, if the job has one
arex_memory() {
    arex_kills='' arex_peak=''
    [ -r /proc/self/cgroup ] || return 0
    while IFS=: read -r arex_n arex_name arex_group; do
        case $arex_n:$arex_name in
            0:) arex_group=/sys/fs/cgroup$arex_group arex_files='memory.events memory.peak' ;;
            *:memory)
                arex_group=/sys/fs/cgroup/memory$arex_group
                arex_files='memory.oom_control memory.max_usage_in_bytes'
                ;;
            *) continue ;;
        esac
        case $arex_group in *job* | *slurm* | *sge* | *condor* | *lsf* | *pbs*) ;; *) continue ;; esac
        [ -r "$arex_group/${arex_files% *}" ] || continue
        while read -r arex_word arex_count; do
            [ "$arex_word" != oom_kill ] || arex_kills=$arex_count
        done <"$arex_group/${arex_files% *}"
        [ ! -r "$arex_group/${arex_files#* }" ] || read -r arex_peak <"$arex_group/${arex_files#* }"
    done </proc/self/cgroup
}
arex_term() {
    arex_signal=15 arex_signals=$((arex_signals + 1))
    [ -n "$arex_starting$arex_pid" ] || exit 143
    if [ -n "$arex_pid" ]; then kill -TERM "$arex_pid" 2>/dev/null; else arex_early=yes; fi
}
trap arex_end EXIT
trap arex_term TERM
