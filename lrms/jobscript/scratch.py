"""
The part of a job script that runs the job on the node's own disk: SCRATCH/ID in place of the session directory.

Nothing leaves the session before its copy is complete: the move tool copies first, one entry after the other, and
where it fails, everything goes back. ``SESSION.lrms/scratch`` says where the files are meanwhile (``entering`` or
``inside``, the node, the directory): a later attempt brings them back if it can see them, and says where they are
if it can't.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from arex.config.model import Configuration
from arex.errors import ConfigError, Fault
from arex.model.grami import Grami
from lrms.jobscript.quoting import expanding, quoted

#: Batch systems whose own transfers take session directories to nodes and back, by their names in the configuration.
MOVERS: Final = frozenset({"condor"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Where jobs run on a node."""

    text: str  #: a directory there, in which the job's own is made
    expands: bool = False  #: whether variables in it are expanded on the node
    movetool: str = "mv"  #: command that gets sources and a directory
    shared: str = ""  #: the same directory as the front end sees it; empty: it does not


def scratch_of(config: Configuration) -> Scratch | None:
    """
    What the configuration says about scratch directories; None: jobs run in their session directories.

    Where the batch system moves the files, its own directory on the node is the scratch directory.

    Raises:
        ConfigError: nodes are said not to see the session directories, and this backend does not move them.
    """
    arex = config.arex
    if not arex.shared_filesystem:
        if config.lrms.lrms.name.lower() in MOVERS:
            return None
        cure = (
            "share the session directories, or use HTCondor, which moves them (lrms=condor), or have ARC's own "
            "scripts do the transfers: lrms=arc-NAME"
        )
        what = f"with lrms={config.lrms.lrms.name}, arex does not move session directories to nodes that can't see them"
        raise ConfigError([Fault(what, option="[arex] shared_filesystem", cure=cure)])
    if arex.scratchdir is None:
        return None
    shared = "" if arex.shared_scratch is None else str(arex.shared_scratch)
    return Scratch(text=str(arex.scratchdir), movetool=config.lrms.movetool, shared=shared)


def is_on_one_node(grami: Grami) -> bool:
    """Whether all slots of a job are on one node, as far as the job says; others could not see their files."""
    return grami.count in {1, grami.countpernode} or grami.numnodes == 1


def begin(scratch: Scratch, grami: Grami, *, supervised: bool) -> Iterator[str]:
    """Functions, traps and the way in; afterwards RUNTIME_JOB_DIR is the scratch directory."""
    yield f"arex_movetool={quoted(scratch.movetool)}"
    yield f"arex_shared={quoted(os.path.join(scratch.shared, grami.gridid) if scratch.shared else '')}"  # noqa: PTH118
    yield _FUNCTIONS
    if supervised:
        yield _TRAPS
    word = expanding(scratch.text) if scratch.expands else quoted(scratch.text)
    yield f'[ -n "${{RUNTIME_LOCAL_SCRATCH_DIR:-}}" ] || RUNTIME_LOCAL_SCRATCH_DIR={word}'
    yield f'arex_enter "$RUNTIME_LOCAL_SCRATCH_DIR" {quoted(grami.gridid)}'


END: Final = "arex_leave || exit 1"

_TRAPS: Final = r"""
arex_running=
arex_term() { [ -n "$arex_running" ] || exit 143; }
trap 'arex_leave || exit 1' EXIT
trap arex_term TERM
""".strip()

_FUNCTIONS: Final = r"""
arex_scratch='' arex_entered='' arex_node='' arex_left='' arex_bad=''
arex_front=$RUNTIME_JOB_DIR
arex_own_path=$PATH
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
    case $1 in /*) ;; *) arex_fail "The scratch directory \"$1\" of $arex_here is no absolute path" ;; esac
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
""".strip()
