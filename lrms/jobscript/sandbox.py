"""
The part of a job script that runs where the session directory is not seen: the batch system brings the files and
takes them back.

What it finds in its own directory on the node: ``session``, the files; ``links``, shell commands that make the
symbolic links again; ``back``, empty. What it leaves there in ``back``: mark, record and accounting lines as in any
run directory; ``session``, directories and files only; ``links``, names and targets, each with a NUL behind it;
``sent``, how many entries and bytes that session has, written last. A transfer of a directory takes any name; one of
a list of names does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from arex.model.grami import Grami
from lrms.jobscript.quoting import quoted

#: What a batch system is asked to take back to the run directory.
BACK: Final = "back"
#: Seconds that a payload has between TERM and KILL when its wall time is over.
LATE_S: Final = 30


def variables(grami: Grami) -> Iterator[str]:
    """In place of the session directory, its copy; everything else that the script writes is in ``back``."""
    yield f"RUNTIME_FRONTEND_JOB_DIR={quoted(str(grami.directory))}"
    yield _VARIABLES
    yield "RUNTIME_NODE_SEES_FRONTEND="


def begin(grami: Grami) -> Iterator[str]:
    """After the mark: the links, and the way back, which everything that ends the script takes."""
    yield f"arex_walltime={'' if grami.walltime_s is None else grami.walltime_s}"
    yield _FUNCTIONS
    yield _ENTER


WATCH: Final = f"""
if [ -n "$arex_walltime" ]; then
    trap 'arex_over TERM' USR1
    trap 'arex_over KILL' USR2
    (
        trap - EXIT TERM USR1 USR2
        sleep "$arex_walltime" && kill -USR1 "$$" && sleep {LATE_S} && kill -USR2 "$$"
    ) </dev/null >/dev/null 2>&1 &
    arex_watch=$!
fi
""".strip()

#: After the payload's end.
WATCH_NO_MORE: Final = """
if [ -n "$arex_walltime" ]; then
    trap '' USR1 USR2
    kill "$arex_watch" 2>/dev/null
fi
""".strip()

_VARIABLES: Final = r"""
arex_sandbox=${_CONDOR_SCRATCH_DIR:-$PWD}
if grep -q '^NumJobStarts = [1-9]' "${_CONDOR_JOB_AD:-$arex_sandbox/.job.ad}" 2>/dev/null; then
    # not 0, which would read as success
    echo 'This attempt has been started before; this copy ends here.'
    exit 1
fi
arex_front=$RUNTIME_FRONTEND_JOB_DIR
RUNTIME_JOB_DIR=$arex_sandbox/session
RUNTIME_LOCAL_SCRATCH_DIR=$arex_sandbox
arex_rundir=$arex_sandbox/back
arex_bell=$arex_sandbox/none
RUNTIME_JOB_DIAG=$arex_rundir/diag
case $RUNTIME_JOB_STDIN in
    "$arex_front"/*) RUNTIME_JOB_STDIN=$RUNTIME_JOB_DIR${RUNTIME_JOB_STDIN#"$arex_front"} ;;
esac
case $RUNTIME_JOB_STDOUT in
    "$arex_front"/*) RUNTIME_JOB_STDOUT=$RUNTIME_JOB_DIR${RUNTIME_JOB_STDOUT#"$arex_front"} ;;
esac
case $RUNTIME_JOB_STDERR in
    "$arex_front"/*) RUNTIME_JOB_STDERR=$RUNTIME_JOB_DIR${RUNTIME_JOB_STDERR#"$arex_front"} ;;
esac
""".strip()

_FUNCTIONS: Final = r"""
arex_own_path=$PATH
# what goes back is directories and files; links are told by their names, anything else is left out
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
    PATH=$arex_own_path
    unset IFS
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
    arex_signal=15
    if [ "$1" = KILL ]; then arex_signal=9; fi
    kill "-$1" "$arex_pid" 2>/dev/null
}
""".strip()

_ENTER: Final = r"""
# shellcheck disable=SC1091
(cd "$RUNTIME_JOB_DIR" && . ../links) || arex_fail 'The links of the session directory can not be made on the node'
""".strip()
