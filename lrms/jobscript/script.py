"""
The job script that all batch systems share: environment, runtime environments, payload, accounting lines.

Built from values, run by nobody here. Two endings: alone under a batch system the script writes the last
accounting lines and the completion record itself; under a supervisor (``supervised``) it becomes the payload
where it can, and the supervisor writes both.

Files in RUNDIR: ``started`` is the exclusive mark, its text says how far the script came (empty, ``payload PATH``,
``failed before``, ``failed after``); ``why`` is what a script under a supervisor failed for; ``done`` is the
completion record, see ``lrms.attempt.record``.
Source: spec of the control directory (ARC 6.17), sections on job scripts and runtime environments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from arex.model.grami import Grami
from arex.ports import Submission
from lrms.jobscript import sandbox
from lrms.jobscript import scratch as scratches
from lrms.jobscript.quoting import expanding, quoted
from lrms.jobscript.scratch import Scratch

#: Directory below a session root: a job that ends leaves a file there that is named by its tag.
BELL: Final = ".arex/ended"
#: What is asked on the node where neither the site nor the batch system knows better.
NODES_COMMAND: Final = "hostname -f"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: Variables that are the shell's or (by their beginning) the script's own: a value from a job would break it.
_SHELL: Final = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "IFS", "OPTIND", "PPID", "SHELLOPTS", "UID"})
_RESERVED: Final = "arex_"
#: GNU time's output in ARC's keys.
_TIME_FORMAT: Final = (
    "WallTime=%es\nKernelTime=%Ss\nUserTime=%Us\nCPUUsage=%P\nMaxResidentMemory=%MkB\nAverageResidentMemory=%tkB\n"
    "AverageTotalMemory=%KkB\nAverageUnsharedMemory=%DkB\nAverageUnsharedStack=%pkB\nAverageSharedMemory=%XkB\n"
    "PageSize=%ZB\nMajorPageFaults=%F\nMinorPageFaults=%R\nSwaps=%W\nForcedSwitches=%c\nWaitSwitches=%w\n"
    "Inputs=%I\nOutputs=%O\nSocketReceived=%r\nSocketSent=%s\nSignals=%k\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeScript:
    """A runtime environment as the job script embeds it."""

    name: str
    options: tuple[str, ...] = ()
    params: str = ""  #: shell assignments, run before the body
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What runtime environments have settled on the front end, beside the job's own options; empty: nothing."""

    command: str = ""  #: shell words in place of the job's arguments
    instance: str = ""  #: image or machine that the job runs in, for the accounting
    benchmark: str = ""  #: for the accounting, in place of the site's
    scratch: str = ""  #: scratch directory of the node, with variables that are expanded there
    movetool: str = ""
    shared: str = ""  #: the scratch directories as the front end sees them
    multicore: bool = False  #: a scratch directory also for jobs that may have slots on several nodes
    docker_image: str = ""  #: of HTCondor's docker universe
    properties: tuple[str, ...] = ()  #: of the nodes that the job may go to


NOTHING_SETTLED: Final = Settled()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptSettings:
    """What does not depend on the job."""

    interpreter: str = "/bin/sh"
    login: bool = False  #: read the profiles first, as a login shell does
    directives: tuple[str, ...] = ()  #: lines for the batch system, right after the first
    supervised: bool = False
    localid_words: str = ""  #: shell words that give the local id inside the job; empty under a supervisor
    gnu_time: str = ""  #: path of GNU time, used where the node has it; not under a supervisor
    benchmark: str = "HEPSPEC:1.0"
    nodes: tuple[str, ...] = ()  #: names of the nodes; empty: ``nodes_command`` is asked there
    nodes_command: str = NODES_COMMAND  #: shell command that prints one name per line
    system: str | None = None  #: name of the operating system; None: the node's os-release
    scratch: Scratch | None = None  #: None: jobs run in their session directories
    sandbox: bool = False  #: the node does not see them: the batch system moves files, see ``lrms.jobscript.sandbox``

    @property
    def shell(self) -> str:
        """The interpreter and its options."""
        return "/bin/bash -l" if self.login else self.interpreter


def job_script(
    submission: Submission,
    settings: ScriptSettings,
    runtimes: tuple[RuntimeScript, ...] = (),
    settled: Settled = NOTHING_SETTLED,
) -> str:
    """
    The POSIX shell script of one attempt.

    Whatever the job's texts contain, they are data here: the script parses, and passes shellcheck but for
    the bodies of runtime environments.
    """
    grami = submission.grami
    scratch = _scratch(grami, settings, settled)
    parts: tuple[Iterable[str], ...] = (
        _head(settings),
        _variables(submission, settings),
        (_FUNCTIONS,),
        (_NOTE,) if settings.supervised else _ending(settings),
        (_MARK,),
        () if settings.supervised else _limits(grami),
        sandbox.begin(grami) if settings.sandbox else (),
        () if scratch is None else scratches.begin(scratch, grami, supervised=settings.supervised),
        _environment(grami),
        _runtime_functions(runtimes),
        _runtime_calls(runtimes, 1),
        _facts(grami, settings, runtimes, settled),
        _payload(settled.command or " ".join(map(expanding, grami.args))),
        _run_supervised(grami, runtimes, scratch)
        if settings.supervised
        else _run_alone(grami, runtimes, settings, scratch),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _scratch(grami: Grami, settings: ScriptSettings, settled: Settled) -> Scratch | None:
    """Where the site and the runtime environments want the job to run; never a directory that half of it can't see."""
    if settings.sandbox:  # the directory of the batch system is on the node's own disk
        return None
    if not (settings.supervised or settled.multicore or scratches.is_on_one_node(grami)):
        return None
    scratch = settings.scratch
    if settled.scratch:
        # its place on the front end is known for the site's own directory only
        scratch = Scratch(text=settled.scratch, expands=True, movetool=scratch.movetool if scratch else "mv")
    if scratch is None:
        return None
    return replace(scratch, movetool=settled.movetool or scratch.movetool, shared=settled.shared or scratch.shared)


def _head(settings: ScriptSettings) -> Iterator[str]:
    yield f"#!{settings.shell}"
    yield from settings.directives
    # 1003, 2016: texts of the job are single-quoted data; 1091: os-release is the node's; 2034: read by runtime
    # environments; 2317, 2329: called from traps
    yield "# shellcheck disable=SC1003,SC1091,SC2016,SC2034,SC2317,SC2329"
    yield "umask 077"
    if not settings.supervised:
        yield 'export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}" USER="${USER:-$(id -un)}"'
        yield 'export LOGNAME="${LOGNAME:-$USER}"'
        yield '[ "${LC_ALL:-}" != C ] || unset LC_ALL # the daemon speaks it with the batch system'


def _variables(submission: Submission, settings: ScriptSettings) -> Iterator[str]:
    grami = submission.grami
    yield f"RUNTIME_JOB_DIR={quoted(str(grami.directory))}"
    yield f"RUNTIME_JOB_STDIN={quoted(grami.stdin)}"
    yield f"RUNTIME_JOB_STDOUT={quoted(grami.stdout)}"
    yield f"RUNTIME_JOB_STDERR={quoted(grami.stderr)}"
    yield f"RUNTIME_JOB_DIAG={quoted(str(submission.diag))}"
    yield f"arex_rundir={quoted(str(submission.rundir))}"
    if settings.sandbox:
        yield from sandbox.variables(grami)
        yield f"arex_id={settings.localid_words}"
        return
    if not settings.supervised:
        yield f"arex_root={quoted(str(grami.directory.parent))}"
        yield f"arex_bell=$arex_root/{BELL}"
        yield _REMAP
        yield f"arex_id={settings.localid_words}"
    yield "RUNTIME_NODE_SEES_FRONTEND=yes"


def _settable(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in _SHELL and not name.startswith(_RESERVED)


def _environment(grami: Grami) -> Iterator[str]:
    own = (
        ("GRID_GLOBAL_JOBID", grami.gridid),
        ("GRID_GLOBAL_JOBURL", grami.joburl),
        ("GRID_GLOBAL_JOBINTERFACE", grami.interface),
        ("GRID_GLOBAL_JOBHOST", grami.jobhost),
    )
    for name, value in (*grami.environment, *own):
        if _settable(name):
            yield f"export {quoted(f'{name}={value}')}"
        else:
            yield f"printf '%s\\n' {quoted(f'Environment variable {name!r} is left out: a shell can not set it.')}"
    yield "HOME=$RUNTIME_JOB_DIR"
    yield "export HOME"
    yield 'cd "$HOME" || arex_fail "Can not enter the session directory $HOME"'


def _runtime_functions(runtimes: tuple[RuntimeScript, ...]) -> Iterator[str]:
    for index, runtime in enumerate(runtimes):
        yield f"# runtime environment {' '.join(runtime.name.split())}"
        yield f"arex_runtime_{index}() {{"
        yield ":"
        yield runtime.params
        yield runtime.body
        yield "}"


def _runtime_calls(runtimes: tuple[RuntimeScript, ...], stage: int) -> Iterator[str]:
    for index, runtime in enumerate(runtimes):
        call = " ".join((f"arex_runtime_{index} {stage}", *map(expanding, runtime.options)))
        failure = quoted(f"Runtime {runtime.name} stage {stage} execution failed.")
        yield f"eval {quoted(call)} || arex_fail {failure}"


def _facts(
    grami: Grami, settings: ScriptSettings, runtimes: tuple[RuntimeScript, ...], settled: Settled
) -> Iterator[str]:
    lines = [f"runtimeenvironments={''.join(f'{each.name};' for each in runtimes)}"]
    after = [f"Processors={grami.count}"]
    if grami.numnodes is not None:
        after.append(f"Nodecount={grami.numnodes}")
    after.append(f"Benchmark={settings.benchmark}")
    if settled.benchmark:
        after.append(f"benchmark={_line(settled.benchmark)}")
    if settled.instance:
        after.append(f"wninstance={_line(settled.instance)}")
    if settings.system is None:
        yield "arex_system=$(. /etc/os-release && printf '%s' \"$PRETTY_NAME\")"
    if not settings.nodes:
        yield f"arex_nodes=$({settings.nodes_command})"
    yield "{"
    yield f"printf '%s\\n' {' '.join(map(quoted, lines))}"
    yield (
        "printf 'systemsoftware=%s\\n' \"$arex_system\""
        if settings.system is None
        else f"printf '%s\\n' {quoted(f'systemsoftware={settings.system}')}"
    )
    if settings.nodes:
        yield f"printf 'nodename=%s\\n' {' '.join(map(quoted, settings.nodes))}"
    else:
        yield "unset IFS"
        yield "for arex_node in $arex_nodes; do printf 'nodename=%s\\n' \"$arex_node\"; done"
    yield f"printf '%s\\n' {' '.join(map(quoted, after))}"
    yield '} >>"$RUNTIME_JOB_DIAG"'


def _line(text: str) -> str:
    return " ".join(text.split())


def _payload(command: str) -> Iterator[str]:
    yield f"arex_args={quoted(command)}"
    yield 'eval "set -- $arex_args" || arex_fail "The arguments of the job do not expand"'
    yield 'case $1 in */*) [ -e "$1" ] ;; *) command -v "$1" >/dev/null ;; esac ||'
    yield '    arex_fail "Path \\"$1\\" does not seem to exist"'
    yield '[ -r "$RUNTIME_JOB_STDIN" ] || arex_fail "Can not read standard input from $RUNTIME_JOB_STDIN"'
    for name in ("STDOUT", "STDERR"):
        yield f'[ -d "${{RUNTIME_JOB_{name}%/*}}" ] || mkdir -p "${{RUNTIME_JOB_{name}%/*}}"'
    yield 'arex_note "payload $1"'


def _redirected(grami: Grami) -> str:
    errors = "2>&1" if grami.stdout == grami.stderr else '2>"$RUNTIME_JOB_STDERR"'
    return f'"$@" <"$RUNTIME_JOB_STDIN" >"$RUNTIME_JOB_STDOUT" {errors}'


def _run_supervised(grami: Grami, runtimes: tuple[RuntimeScript, ...], scratch: Scratch | None) -> Iterator[str]:
    if not runtimes and scratch is None:
        yield f"exec {_redirected(grami)}"
        return
    if scratch is not None:
        yield "arex_running=yes"
    yield _redirected(grami)
    yield "arex_code=$?"
    yield 'arex_check_interpreter "$1" "$arex_code"'
    yield "arex_when=after"
    yield from _runtime_calls(runtimes, 2)
    if scratch is not None:
        yield scratches.END
    yield 'exit "$arex_code"'


def _limits(grami: Grami) -> Iterator[str]:
    """CPU time is nobody else's to watch under most batch systems: the kernel counts it, process by process."""
    yield "arex_xcpu="
    if grami.cputime_s is not None:
        yield f"ulimit -S -t {grami.cputime_s} 2>/dev/null && arex_xcpu=24"


def _ending(settings: ScriptSettings) -> Iterator[str]:
    """Start time, the record that the EXIT trap leaves, and a TERM that gets to the payload."""
    yield f"arex_nodes={quoted(' '.join(settings.nodes))}"
    yield _END


def _run_alone(
    grami: Grami, runtimes: tuple[RuntimeScript, ...], settings: ScriptSettings, scratch: Scratch | None
) -> Iterator[str]:
    yield "arex_path=$1"
    if settings.gnu_time:
        yield _TIMED.replace("FORMAT", quoted(_TIME_FORMAT)).replace("GNU_TIME", quoted(settings.gnu_time))
    yield f"{_redirected(grami)} &"
    yield _PID
    if settings.sandbox:
        yield sandbox.WATCH
    yield _WAIT
    if settings.sandbox:
        yield sandbox.WATCH_NO_MORE
    yield 'arex_check_interpreter "$arex_path" "$arex_code"'
    yield "arex_when=after"
    yield from _runtime_calls(runtimes, 2)
    if scratch is not None:
        yield scratches.END
    yield 'exit "$arex_code"'


_REMAP: Final = r"""
# the node may see the session root elsewhere
if [ -n "${RUNTIME_GRIDAREA_DIR:-}" ]; then
    RUNTIME_JOB_DIR=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_DIR#"$arex_root"}
    RUNTIME_JOB_DIAG=$RUNTIME_GRIDAREA_DIR${RUNTIME_JOB_DIAG#"$arex_root"}
    arex_rundir=$RUNTIME_GRIDAREA_DIR${arex_rundir#"$arex_root"}
    arex_bell=$RUNTIME_GRIDAREA_DIR${arex_bell#"$arex_root"}
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
""".strip()

_FUNCTIONS: Final = r"""
arex_when=before
arex_fail() {
    arex_why=$1
    printf '%s\n' "$1"
    { printf '%s\n' "$1" >>"$RUNTIME_JOB_STDERR"; } 2>/dev/null
    arex_note "failed $arex_when"
    arex_code=
    exit 1
}
# a program that is there and still is not found is a script whose interpreter is missing
arex_check_interpreter() {
    case $2 in 126 | 127) IFS= read -r arex_line <"$1" || return 0 ;; *) return 0 ;; esac
    case $arex_line in '#!'*) arex_line=${arex_line#??} ;; *) return 0 ;; esac
    arex_line=${arex_line#"${arex_line%%[! ]*}"}
    arex_line=${arex_line%% *}
    [ -e "$arex_line" ] || arex_fail "Cannot run $1: $arex_line: not found"
}
""".strip()

_NOTE: Final = r"""
# how far we have come, and why not farther, for the supervisor
arex_note() {
    if [ -n "${arex_why:-}" ]; then printf '%s\n' "$arex_why" >"$arex_rundir/why"; fi
    printf '%s\n' "$1" >"$arex_rundir/started"
}
arex_id=
""".strip()

_MARK: Final = r"""
# one copy of an attempt runs, whatever a batch system makes of a doubtful submission
set -C
if ! printf '%s' "${arex_id:+id $arex_id
}" 2>/dev/null >"$arex_rundir/started"; then
    trap - EXIT TERM
    if [ -e "$arex_rundir/started" ]; then
        # not 0: where the batch system has started the same job again, that would read as success
        echo 'Another copy of this script has taken this attempt; this copy ends here.'
        exit 1
    fi
    printf 'The mark of this attempt can not be written to %s\n' "$arex_rundir"
    exit 1
fi
set +C
""".strip()

_END: Final = r"""
arex_note() { :; }
arex_stamp() { date -u +%Y%m%d%H%M%SZ,%Y-%m-%dT%H:%M:%SZ,%s; }
arex_began=$(arex_stamp)
arex_code=
arex_signal=
arex_pid=
arex_cause_own=
arex_leave() { :; }
arex_end() {
    trap - EXIT
    trap '' TERM
    unset IFS
    arex_leave
    arex_ended=$(arex_stamp)
    arex_wall=$((${arex_ended##*,} - ${arex_began##*,}))
    arex_cause='exit code'
    [ "$arex_when" = after ] || [ -n "$arex_code" ] || arex_cause='never started'
    if [ -n "$arex_code" ]; then
        if [ -z "$arex_signal" ] && [ "$arex_code" -gt 128 ] && [ "$arex_code" -le 192 ]; then
            arex_signal=$((arex_code - 128))
        fi
        printf '\nLRMSStartTime=%s\nLRMSEndTime=%s\nwalltime=%s\nexitcode=%s\n' \
            "${arex_began%%,*}" "${arex_ended%%,*}" "$arex_wall" "$arex_code" >>"$RUNTIME_JOB_DIAG"
    fi
    [ -z "$arex_signal" ] || arex_cause=signal
    [ "$arex_signal" != "$arex_xcpu" ] || [ -z "$arex_xcpu" ] || arex_cause=cputime
    [ -z "$arex_cause_own" ] || arex_cause=$arex_cause_own
    arex_memory
    [ "${arex_kills:-0}" = 0 ] || [ "$arex_code" = 0 ] || arex_cause=memory
    arex_began=${arex_began#*,} arex_ended=${arex_ended#*,}
    {
        printf 'exitcode=%s\nsignal=%s\ncause=%s\n' "$arex_code" "$arex_signal" "$arex_cause"
        printf 'start=%s\nend=%s\nwall_s=%s\n' "${arex_began%,*}" "${arex_ended%,*}" "$arex_wall"
        times
        for arex_node in $arex_nodes; do printf 'node=%s\n' "$arex_node"; done
        [ -z "${arex_why:-}" ] || printf 'message=%s\n' "$(printf '%s' "$arex_why" | tr '\n' ' ')"
        [ -z "$arex_id" ] || printf 'localid=%s\n' "$arex_id"
        [ -z "$arex_kills" ] || printf 'oom_kills=%s\n' "$arex_kills"
        [ -z "$arex_peak" ] || printf 'maxrss_kb=%s\n' "$((arex_peak / 1024))"
        echo complete=yes
    } >"$arex_rundir/done.$$" && mv "$arex_rundir/done.$$" "$arex_rundir/done"
    { printf '' >"$arex_bell/${arex_rundir##*/}"; } 2>/dev/null
}
# what the control group of this job, if it has one of its own, knows about its memory
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
    arex_signal=15
    [ -n "$arex_pid" ] || exit 143
    # under GNU time the payload has left its own number: time itself would not pass the signal on
    if [ -s "$arex_rundir/payload" ]; then read -r arex_pid <"$arex_rundir/payload"; fi
    kill -TERM "$arex_pid" 2>/dev/null
}
trap arex_end EXIT
trap arex_term TERM
""".strip()

_TIMED: Final = r"""
if [ -x GNU_TIME ]; then
    set -- GNU_TIME -o "$RUNTIME_JOB_DIAG" -a -f FORMAT \
        /bin/sh -c 'echo "$$" >"$0" && exec "$@"' "$arex_rundir/payload" "$@"
fi
""".strip()

_PID: Final = "arex_pid=$!\narex_job=$arex_pid"

_WAIT: Final = r"""
# a signal ends wait early; the payload's own end is what counts
while :; do
    arex_caught=$arex_signal
    wait "$arex_job"
    arex_status=$?
    if [ "$arex_status" != 127 ] || [ -z "$arex_code" ]; then arex_code=$arex_status; fi
    [ "$arex_caught" != "$arex_signal" ] || break
done
""".strip()
