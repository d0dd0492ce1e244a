"""Parts of all kinds of job scripts: paths of files, environment, runtime environments, accounting lines, payload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from arex.model.grami import Grami
from arex.ports import Submission
from lrms.jobscript.quoting import expanding, quoted
from lrms.jobscript.settings import RuntimeScript, ScriptSettings, Settled
from lrms.jobscript.template import part

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: Variables of the shell, and the prefix of those of the script: a value from a job would break the script.
_SHELL: Final = frozenset({"BASHOPTS", "BASH_VERSINFO", "EUID", "IFS", "OPTIND", "PPID", "SHELLOPTS", "UID"})
_RESERVED: Final = "arex_"


def start(settings: ScriptSettings) -> str:
    return part("start", FIRST="\n".join((f"#!{settings.shell}", *settings.directives)))


def account(settings: ScriptSettings) -> str:
    """PATH and the name of the account, from the batch system if it tells, because ``id`` is one more process."""
    name = "$(LC_ALL=C id -un)"
    return part("account", USER=f"${{{settings.user_variable}:-{name}}}" if settings.user_variable else name)


def paths(submission: Submission) -> str:
    """Files of the job as the front end sees them."""
    grami = submission.grami
    return part(
        "paths",
        DIRECTORY=quoted(str(grami.directory)),
        STDIN=quoted(grami.stdin),
        STDOUT=quoted(grami.stdout),
        STDERR=quoted(grami.stderr),
        DIAG=quoted(str(submission.diag)),
        RUNDIR=quoted(str(submission.rundir)),
    )


def environment(grami: Grami) -> str:
    """The variables of the job, then four of ARC; then the script changes to the session directory."""
    arc = (
        ("GRID_GLOBAL_JOBID", grami.gridid),
        ("GRID_GLOBAL_JOBURL", grami.joburl),
        ("GRID_GLOBAL_JOBINTERFACE", grami.interface),
        ("GRID_GLOBAL_JOBHOST", grami.jobhost),
    )
    return part("environment", EXPORTS="\n".join(_export(*pair) for pair in (*grami.environment, *arc)))


def _export(name: str, value: str) -> str:
    if _NAME.fullmatch(name) and name not in _SHELL and not name.startswith(_RESERVED):
        return f"export {quoted(f'{name}={value}')}"
    why = f"Environment variable {name!r} is left out: a shell can not set it."
    return f"printf '%s\\n' {quoted(why)}"


def runtime_functions(runtimes: tuple[RuntimeScript, ...]) -> Iterator[str]:
    """A shell function for each environment; the colon makes an empty one valid."""
    for index, runtime in enumerate(runtimes):
        name = " ".join(runtime.name.split())
        yield f"# runtime environment {name}\narex_runtime_{index}() {{\n:\n{runtime.params}\n{runtime.body}\n}}"


def runtime_calls(runtimes: tuple[RuntimeScript, ...], stage: int) -> Iterator[str]:
    for index, runtime in enumerate(runtimes):
        call = " ".join((f"arex_runtime_{index} {stage}", *map(expanding, runtime.options)))
        failure = f"Runtime {runtime.name} stage {stage} execution failed."
        yield f"eval {quoted(call)} || arex_fail {quoted(failure)}"


def facts(grami: Grami, settings: ScriptSettings, runtimes: tuple[RuntimeScript, ...], settled: Settled) -> str:
    """
    Accounting lines that are known before the payload runs.

    System and nodes are queried on the node only if they are not known here: each program costs as much as the rest of
    the script.
    """
    queries = []
    words = [quoted(f"runtimeenvironments={''.join(f'{each.name};' for each in runtimes)}")]
    if settings.system is None:
        queries.append(part("system"))
        words.append('"systemsoftware=$arex_system"')
    else:
        words.append(quoted(f"systemsoftware={settings.system}"))
    if settings.nodes:
        words += [quoted(f"nodename={node}") for node in settings.nodes]
    else:
        queries.append(f"arex_nodes={settings.node_words or f'$(PATH=$arex_own_path; {settings.nodes_command})'}")
        queries += ["unset IFS", "set --", 'for arex_node in $arex_nodes; do set -- "$@" "nodename=$arex_node"; done']
        words.append('"$@"')
    words += map(quoted, _counts(grami, settings, settled))
    return part("facts", QUERIES="\n".join(queries), LINES=" ".join(words))


def _counts(grami: Grami, settings: ScriptSettings, settled: Settled) -> Iterator[str]:
    yield f"Processors={grami.count}"
    if grami.numnodes is not None:
        yield f"Nodecount={grami.numnodes}"
    yield f"Benchmark={settings.benchmark}"
    if settled.benchmark:
        yield f"benchmark={' '.join(settled.benchmark.split())}"
    if settled.instance:
        yield f"wninstance={' '.join(settled.instance.split())}"


def payload(grami: Grami, settled: Settled, runtimes: tuple[RuntimeScript, ...]) -> str:
    """The words of the payload, as its positional parameters."""
    args = settled.command or " ".join(map(expanding, grami.args))
    return part("payload", ARGS=quoted(args), DIRECTORIES="\n".join(_directories(grami, runtimes)))


def _directories(grami: Grami, runtimes: tuple[RuntimeScript, ...]) -> Iterator[str]:
    """Create the directories of outputs, except the session directory, unless a runtime environment may move them."""
    for name, path in (("STDOUT", grami.stdout), ("STDERR", grami.stderr)):
        if runtimes or path.rpartition("/")[0] != str(grami.directory):
            directory = f'"${{RUNTIME_JOB_{name}%/*}}"'
            yield f"[ -d {directory} ] || mkdir -p {directory}"


def errors(grami: Grami) -> str:
    """The redirection of standard error of the payload."""
    return "2>&1" if grami.stdout == grami.stderr else '2>"$RUNTIME_JOB_STDERR"'
