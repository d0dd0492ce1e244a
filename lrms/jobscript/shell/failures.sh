# shellcheck shell=sh disable=SC2034,SC2154
# What to do when the job cannot run.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

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
