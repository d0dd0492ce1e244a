#!/bin/sh
#BSUB -J a_job
#BSUB -rn
#BSUB -q main
#BSUB -W 60
#BSUB -c 120
#BSUB -n 1
#BSUB -M 2000MB
#BSUB -R "select[type==X86_64] rusage[mem=2000MB]"
# shellcheck disable=SC1003,SC1091,SC2016,SC2034,SC2209,SC2317,SC2329,SC3045
umask 077
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" USER="${USER:-$(LC_ALL=C id -un)}"
export LOGNAME="${LOGNAME:-$USER}"
[ "${LC_ALL:-}" != C ] || unset LC_ALL # the daemon speaks it with the batch system
arex_own_path=$PATH
RUNTIME_JOB_DIR=/TOP/session/job1
RUNTIME_JOB_STDIN=/dev/null
RUNTIME_JOB_STDOUT=/TOP/session/job1/out.txt
RUNTIME_JOB_STDERR=/TOP/session/job1/err.txt
RUNTIME_JOB_DIAG=/TOP/session/job1.diag
arex_rundir=/TOP/session/job1.lrms/job1-0a0b0c0d
arex_root=/TOP/session
arex_notices=$arex_root/.arex/ended
# the node may see the session root elsewhere
if [ -n "${RUNTIME_GRIDAREA_DIR:-}" ]; then
    RUNTIME_JOB_DIR=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_DIR#"$arex_root"}
    RUNTIME_JOB_DIAG=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_DIAG#"$arex_root"}
    arex_rundir=$RUNTIME_GRIDAREA_DIR${arex_rundir#"$arex_root"}
    arex_notices=$RUNTIME_GRIDAREA_DIR${arex_notices#"$arex_root"}
    case $RUNTIME_JOB_STDIN in
        "$arex_root"/*) RUNTIME_JOB_STDIN=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_STDIN#"$arex_root"} ;;
    esac
    case $RUNTIME_JOB_STDOUT in
        "$arex_root"/*) RUNTIME_JOB_STDOUT=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_STDOUT#"$arex_root"} ;;
    esac
    case $RUNTIME_JOB_STDERR in
        "$arex_root"/*) RUNTIME_JOB_STDERR=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_STDERR#"$arex_root"} ;;
    esac
fi
arex_id=$LSB_JOBID$([ "${LSB_JOBINDEX:-0}" = 0 ] || printf "[%s]" "$LSB_JOBINDEX")
RUNTIME_NODE_SEES_FRONTEND=yes
arex_when=before
arex_fail() {
    arex_why=$1
    printf '%s\n' "$1"
    [ -p "$RUNTIME_JOB_STDERR" ] || { printf '%s\n' "$1" >>"$RUNTIME_JOB_STDERR"; } 2>/dev/null
    arex_note "failed $arex_when"
    arex_code=
    exit 1
}
# a program that is there and still is not found is a script whose interpreter is missing
arex_check_interpreter() {
    case $2 in 126 | 127) IFS= read -r arex_line <"$1" || return 0 ;; *) return 0 ;; esac
    case $arex_line in '#!'*) arex_line=${arex_line#??} ;; *) return 0 ;; esac
    arex_line=${arex_line#"${arex_line%%[! ]*}"}
    case $arex_line in
        *[[:cntrl:]])
            arex_line="${arex_line%?}^M"
            arex_fail "Cannot run $1: $arex_line: not found (^M is a carriage return: the script has Windows line ends)"
            ;;
    esac
    arex_line=${arex_line%% *}
    [ -e "$arex_line" ] || arex_fail "Cannot run $1: $arex_line: not found"
}
arex_nodes=''
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
# one copy of an attempt runs, whatever a batch system makes of a doubtful submission
set -C
if ! printf '%s' "${arex_id:+id $arex_id
}" 2>/dev/null >"$arex_rundir/started"; then
    trap - EXIT TERM
    if [ -e "$arex_rundir/started" ]; then
        # not 0: if the batch system has started the same job again, that would count as success
        echo 'Another copy of this script has taken this attempt; this copy ends here.'
        exit 1
    fi
    printf 'The mark of this attempt can not be written to %s\n' "$arex_rundir"
    exit 1
fi
set +C
arex_xcpu=
ulimit -S -t 7200 2>/dev/null && arex_xcpu=24
export 'NAME=one two'
export GRID_GLOBAL_JOBID=job1
export GRID_GLOBAL_JOBURL=https://ce.example.org/job1
export GRID_GLOBAL_JOBINTERFACE=org.nordugrid.internal
export GRID_GLOBAL_JOBHOST=ce.example.org
HOME=$RUNTIME_JOB_DIR
export HOME
cd "$HOME" || arex_fail "Can not enter the session directory $HOME"
arex_system=
while IFS= read -r arex_line || [ -n "$arex_line" ]; do
    case $arex_line in PRETTY_NAME=*) arex_system=${arex_line#*=} && break ;; esac
done 2>/dev/null </etc/os-release
arex_system=${arex_system#[\"\']} arex_system=${arex_system%[\"\']}
arex_nodes=$(PATH=$arex_own_path; hostname -f)
unset IFS
set --
for arex_node in $arex_nodes; do set -- "$@" "nodename=$arex_node"; done
printf '%s\n' runtimeenvironments= "systemsoftware=$arex_system" "$@" Processors=1 Benchmark=HEPSPEC:1.0 >>"$RUNTIME_JOB_DIAG"
arex_args='"./program" "$HOME" "it'"'"'s"'
eval "set -- $arex_args" || arex_fail "The arguments of the job do not expand"
case $1 in */*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac ||
    arex_fail "Path \"$1\" does not seem to exist"
[ -r "$RUNTIME_JOB_STDIN" ] || arex_fail "Can not read standard input from $RUNTIME_JOB_STDIN"
arex_note "payload $1"
arex_path=$1
arex_starting=yes
"$@" <"$RUNTIME_JOB_STDIN" >"$RUNTIME_JOB_STDOUT" 2>"$RUNTIME_JOB_STDERR" &
arex_pid=$!
[ -z "$arex_early" ] || kill -TERM "$arex_pid" 2>/dev/null
# a signal ends wait early; the payload's own end is what counts
while :; do
    arex_caught=$arex_signals
    wait "$arex_pid"
    arex_status=$?
    if [ "$arex_status" != 127 ] || [ -z "$arex_code" ]; then arex_code=$arex_status; fi
    [ "$arex_caught" != "$arex_signals" ] || break
done
arex_check_interpreter "$arex_path" "$arex_code"
arex_when=after
exit "$arex_code"
