#!/bin/sh
#SBATCH --no-requeue
#SBATCH --export=ALL
#SBATCH --open-mode=append
#SBATCH --partition=main
#SBATCH --nice=50
#SBATCH --job-name=a_job
#SBATCH --ntasks=1
#SBATCH --exclusive
#SBATCH --begin=2030-01-01T00:00:00
# shellcheck disable=SC1003,SC1091,SC2016,SC2034,SC2209,SC2317,SC2329,SC3045
umask 077
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" USER="${USER:-${SLURM_JOB_USER:-$(LC_ALL=C id -un)}}"
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
arex_id=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
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
arex_movetool=mv
arex_shared=''
arex_scratch='' arex_entered='' arex_node='' arex_left='' arex_bad=''
arex_front=$RUNTIME_JOB_DIR
arex_state=${arex_rundir%/*}/scratch
arex_here=$(uname -n)
# entries of $1 into the directory $2; "keep": what is in $2 already is whole, "over": what is in $1 is newer
arex_bring() (
    arex_bad=0
    for arex_one in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -e "$arex_one" ] || [ -L "$arex_one" ] || continue
        arex_there=$2/${arex_one##*/}
        # a link of ours to the file that has stayed in the session
        if [ -L "$arex_one" ] && [ "$(readlink "$arex_one")" = "$arex_there" ]; then continue; fi
        arex_is=other
        if [ -d "$arex_one" ] && [ ! -L "$arex_one" ]; then arex_is=directory; fi
        arex_was=other
        if [ -d "$arex_there" ] && [ ! -L "$arex_there" ]; then
            arex_was=directory
        elif [ ! -e "$arex_there" ] && [ ! -L "$arex_there" ]; then
            arex_was=
        fi
        if [ "$arex_is$arex_was" = directorydirectory ]; then
            arex_bring "$arex_one" "$arex_there" "$3" || arex_bad=1
            continue
        fi
        if [ -n "$arex_was" ] && [ "$3" = keep ]; then continue; fi
        if [ -n "$arex_was" ] && [ "$arex_is" != "$arex_was" ]; then rm -rf "$arex_there"; fi
        # shellcheck disable=SC2086
        $arex_movetool "$arex_one" "$2/" || arex_bad=1
    done
    exit "$arex_bad"
)
arex_back() {
    find "$1" -type d ! -perm -700 -exec chmod u+rwx {} \;
    if [ -L "$arex_front" ]; then rm -f "$arex_front"; fi
    [ -d "$arex_front" ] || mkdir -m 700 "$arex_front" || return 1
    arex_bring "$1" "$arex_front" "$2" </dev/null || return 1
    rm -rf "$1"
    rm -f "$arex_state"
}
# an earlier attempt may have come to a violent end, on this node or on another one
arex_recover() {
    [ -s "$arex_state" ] || return 0
    read -r arex_came arex_node arex_left <"$arex_state"
    if [ -d "$arex_left" ] && [ ! -L "$arex_left" ] && [ -n "$(find "$arex_left" -prune -user "$(id -u)")" ]; then
        arex_how=over
        if [ "$arex_came" = entering ]; then arex_how=keep; fi
        arex_back "$arex_left" "$arex_how" ||
            arex_fail "Files that an earlier attempt has left in $arex_left on $arex_here do not come back"
        printf 'Files that an earlier attempt had left in %s are back.\n' "$arex_left"
    elif [ "$arex_came" != entering ] || [ "$arex_node" != "$arex_here" ]; then
        arex_fail "Files of this job are in $arex_left on $arex_node, where an earlier attempt has left them"
    fi
}
# the session has the file itself, which can be read while the job runs; the scratch directory a link to it
arex_link() {
    case $1 in "$arex_front"/*) ;; *) return 0 ;; esac
    arex_name=$arex_scratch${1#"$arex_front"}
    mkdir -p "${1%/*}" "${arex_name%/*}" && : >>"$1" && rm -f "$arex_name" && ln -s "$1" "$arex_name"
}
arex_enter() {
    case $1 in /*) ;; *) arex_fail "The scratch directory \"$1\" of $arex_here is not an absolute path" ;; esac
    [ -d "$1" ] || arex_fail "The scratch directory $1 does not exist on $arex_here"
    { [ -w "$1" ] && [ -x "$1" ]; } || arex_fail "The scratch directory $1 of $arex_here can not be written"
    arex_recover
    printf 'entering %s %s\n' "$arex_here" "$1/$2" >"$arex_state" || arex_fail "Can not write $arex_state"
    if ! mkdir -m 700 "$1/$2"; then
        rm -f "$arex_state"
        arex_fail "The scratch directory $1/$2 can not be made on $arex_here"
    fi
    arex_scratch=$1/$2
    for arex_one in "$arex_front"/* "$arex_front"/.[!.]* "$arex_front"/..?*; do
        [ -e "$arex_one" ] || [ -L "$arex_one" ] || continue
        if [ -z "$arex_shared" ]; then
            case $arex_one in "$RUNTIME_JOB_STDOUT" | "$RUNTIME_JOB_STDERR") continue ;; esac
        fi
        # shellcheck disable=SC2086
        $arex_movetool "$arex_one" "$arex_scratch/" </dev/null ||
            arex_fail "Files do not go to the scratch directory $arex_scratch of $arex_here; it may be full"
    done
    # other than with a link for everything, which comes last, so that there is always a session
    if [ -z "$arex_shared" ]; then
        { arex_link "$RUNTIME_JOB_STDOUT" && arex_link "$RUNTIME_JOB_STDERR"; } ||
            arex_fail "Links can not be made in the scratch directory $arex_scratch of $arex_here"
    fi
    printf 'inside %s %s\n' "$arex_here" "$arex_scratch" >"$arex_state" || arex_fail "Can not write $arex_state"
    arex_entered=yes
    case $RUNTIME_JOB_STDIN in
        "$arex_front"/*) RUNTIME_JOB_STDIN=$arex_scratch${RUNTIME_JOB_STDIN#"$arex_front"} ;;
    esac
    case $RUNTIME_JOB_STDOUT in
        "$arex_front"/*) RUNTIME_JOB_STDOUT=$arex_scratch${RUNTIME_JOB_STDOUT#"$arex_front"} ;;
    esac
    case $RUNTIME_JOB_STDERR in
        "$arex_front"/*) RUNTIME_JOB_STDERR=$arex_scratch${RUNTIME_JOB_STDERR#"$arex_front"} ;;
    esac
    RUNTIME_FRONTEND_JOB_DIR=$arex_front
    RUNTIME_LOCAL_SCRATCH_DIR=$1
    RUNTIME_JOB_DIR=$arex_scratch
    if [ -n "$arex_shared" ] && rmdir "$arex_front"; then
        ln -s "$arex_shared" "$arex_front" || arex_fail "The session directory can not be made a link"
    fi
}
# everything back to where it came from; what does not go stays, and the reason says where
arex_leave() {
    [ -n "$arex_scratch" ] || return 0
    arex_out=$arex_scratch arex_scratch=
    trap '' TERM
    PATH=$arex_own_path
    cd / || :
    arex_how=keep
    if [ -n "$arex_entered" ]; then
        arex_how=over
        RUNTIME_JOB_DIR=$arex_front
        case $RUNTIME_JOB_STDERR in
            "$arex_out"/*) RUNTIME_JOB_STDERR=$arex_front${RUNTIME_JOB_STDERR#"$arex_out"} ;;
        esac
    fi
    arex_back "$arex_out" "$arex_how" && return 0
    arex_why="Files do not come back from the scratch directory; they are in $arex_out on $arex_here"
    printf '%s\n' "$arex_why"
    { printf '%s\n' "$arex_why" >>"$RUNTIME_JOB_STDERR"; } 2>/dev/null
    arex_note "failed $arex_when"
    arex_code=
    return 1
}
[ -n "${RUNTIME_LOCAL_SCRATCH_DIR:-}" ] || RUNTIME_LOCAL_SCRATCH_DIR=/scratch
arex_enter "$RUNTIME_LOCAL_SCRATCH_DIR" job1
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
arex_nodes="${SLURMD_NODENAME:-$(hostname -f)}"
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
arex_leave || exit 1
exit "$arex_code"
