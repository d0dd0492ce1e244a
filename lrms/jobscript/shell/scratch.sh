# shellcheck shell=sh disable=SC2034,SC2154
# The way to the scratch directory of the node and back.
# Variables come from other parts of the script, and go to them (SC2034, SC2154).

arex_movetool=@MOVETOOL@
arex_shared=@SHARED@
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
#@TRAPS@
[ -n "${RUNTIME_LOCAL_SCRATCH_DIR:-}" ] || RUNTIME_LOCAL_SCRATCH_DIR=@DIRECTORY@
arex_enter "$RUNTIME_LOCAL_SCRATCH_DIR" @JOB@
