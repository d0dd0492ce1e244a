#!/bin/sh
# shellcheck disable=SC1003,SC1091,SC2016,SC2034,SC2209,SC2317,SC2329,SC3045
umask 077
arex_own_path=$PATH
RUNTIME_JOB_DIR=/TOP/session/job1
RUNTIME_JOB_STDIN=/dev/null
RUNTIME_JOB_STDOUT=/TOP/session/job1/out.txt
RUNTIME_JOB_STDERR=/TOP/session/job1/err.txt
RUNTIME_JOB_DIAG=/TOP/session/job1.diag
arex_rundir=/TOP/session/job1.lrms/job1-0a0b0c0d
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
# how far we have come, and why not farther, for the supervisor
arex_note() {
    if [ -n "${arex_why:-}" ]; then printf '%s\n' "$arex_why" >"$arex_rundir/why"; fi
    printf '%s\n' "$1" >"$arex_rundir/started"
}
arex_id=
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
exec "$@" <"$RUNTIME_JOB_STDIN" >"$RUNTIME_JOB_STDOUT" 2>"$RUNTIME_JOB_STDERR"
