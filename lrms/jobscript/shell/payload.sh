# shellcheck shell=sh disable=SC2034,SC2154
# The words of the payload, and checks that it can run.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_args=@ARGS@
eval "set -- $arex_args" || arex_fail "The arguments of the job do not expand"
case $1 in */*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac ||
    arex_fail "Path \"$1\" does not seem to exist"
[ -r "$RUNTIME_JOB_STDIN" ] || arex_fail "Can not read standard input from $RUNTIME_JOB_STDIN"
#@DIRECTORIES@
arex_note "payload $1"
