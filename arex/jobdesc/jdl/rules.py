"""The effect of each attribute of JDL. Source: the JDL guides of gLite's WMS and of CREAM."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from arex.errors import JobDescriptionError
from arex.jobdesc import shellwords
from arex.jobdesc.jdl import requirements
from arex.jobdesc.jdl.classads import AdAttribute
from arex.jobdesc.jdl.files import input_sandbox, output_sandbox
from arex.jobdesc.jdl.job import Reading
from arex.jobdesc.model import Program

_Read = Callable[[Reading, AdAttribute], None]


class JdlRule(NamedTuple):
    """How to read an attribute, and its reference text: meaning, unit, target and notes."""

    name: str
    read: _Read
    meaning: str
    unit: str = ""
    target: str = ""
    note: str = ""


def _text(field: str) -> _Read:
    def read(job: Reading, a: AdAttribute) -> None:
        job.fields[field] = job.string(a)

    return read


def _arguments(job: Reading, a: AdAttribute) -> None:
    job.fields["arguments"] = _words(job, a)


def _words(job: Reading, a: AdAttribute) -> tuple[str, ...]:
    """The words of a string, split as in a shell, or the items of a list."""
    if isinstance(a.value, tuple):
        return tuple(job.strings(a))
    try:
        return tuple(shellwords.split(job.string(a)))
    except ValueError as exc:
        job.fail(f"{a.name}: unterminated quote: {exc}", a)


def _environment(job: Reading, a: AdAttribute) -> None:
    plain: list[tuple[str, str]] = []
    expanded: list[tuple[str, str]] = []
    for text in job.strings(a):
        name, mark, value = text.partition("=")
        if not mark or not name:
            job.fail(f"Environment: {text[:80]!r} is not NAME=VALUE", a)
        if "\n" in value:
            job.page.remark(f"Environment: line breaks in the value of {name[:80]} are dropped", a.at)
        refers = shellwords.NAME.fullmatch(name) is not None and shellwords.REFERENCE.search(value) is not None
        (expanded if refers else plain).append((name, value))
    job.fields["environment"], job.fields["expanded"] = tuple(plain), tuple(expanded)


def _program(field: str) -> _Read:
    def read(job: Reading, a: AdAttribute) -> None:
        given = job.attributes.get(f"{a.name.lower()}arguments")
        arguments = () if given is None else _words(job, given)
        path = job.string(a)
        if not path:
            job.fail(f"{a.name} is empty", a)
        job.fields[field] = (Program(path=path, arguments=arguments, exit_code=0),)

    return read


def _beside(main: str) -> _Read:
    """For attributes that are read together with the main attribute."""

    def read(job: Reading, a: AdAttribute) -> None:
        if main.lower() not in job.attributes:
            job.keep(a, f"{a.name} has no effect without {main}")

    return read


def _name(job: Reading, a: AdAttribute) -> None:
    job.fields["name"] = job.string(a)


def _node_name(job: Reading, a: AdAttribute) -> None:
    if "jobname" not in job.attributes:
        _name(job, a)


def _user_tags(job: Reading, a: AdAttribute) -> None:
    tags = job.ad(a).attributes
    name = tags.get("jobname")
    if name is not None and not {"jobname", "nodename"}.intersection(job.attributes):
        _name(job, name)
    if name is None or len(tags) > 1:
        job.keep(a, "UserTags have no effect, except jobname")


def _queue(job: Reading, a: AdAttribute) -> None:
    job.resources["queue"] = job.string(a)


def _retries(job: Reading, a: AdAttribute) -> None:
    """The larger one of RetryCount and ShallowRetryCount becomes ``rerun``."""
    name = a.name.lower()
    other = job.attributes.get("shallowretrycount" if name == "retrycount" else "retrycount")
    counts = [job.number(one, -1) for one in (a, other) if one is not None]
    job.fields["rerun"] = max(0, *counts)
    if name == "shallowretrycount" and max(counts) > 0:
        job.remark(
            "There is only one retry counter: the larger of RetryCount and ShallowRetryCount. Use arcresume to rerun "
            "the job",
            a,
        )


def _slots(job: Reading, a: AdAttribute) -> None:
    names = [one.name for name in ("cpunumber", "nodenumber") if (one := job.attributes.get(name)) is not None]
    if len(names) > 1:
        job.fail("CPUNumber and NodeNumber mean the same: use only one of them", a)
    job.resources["slots"] = job.number(a, 1)


def _given(job: Reading, *names: str) -> int | None:
    found = [job.number(job.attributes[name], 1) for name in names if name in job.attributes]
    return found[0] if found else None


def _per_host(job: Reading, a: AdAttribute) -> None:
    number = job.number(a, 1)
    if "hostnumber" in job.attributes and not _whole_nodes(job):
        job.fail("SMPGranularity and HostNumber can be used together only if WholeNodes is true", a)
    slots = _given(job, "cpunumber", "nodenumber")
    job.resources["slots_per_host"] = number
    if slots is None:
        job.resources["slots"] = number * (_given(job, "hostnumber") or 1)


def _whole_nodes(job: Reading) -> bool:
    wanted = job.attributes.get("wholenodes")
    return wanted is not None and job.flag(wanted)


def _hosts(job: Reading, a: AdAttribute) -> None:
    hosts = job.number(a, 1)
    slots = _given(job, "cpunumber", "nodenumber")
    if "smpgranularity" in job.attributes:
        return
    if slots is None:
        if not _whole_nodes(job):
            job.fail("HostNumber needs CPUNumber, unless WholeNodes is true", a)
        slots = hosts
    if slots % hosts:
        job.fail(f"CPUNumber ({slots}) is not a multiple of HostNumber ({hosts})", a)
    job.resources["slots"], job.resources["slots_per_host"] = slots, slots // hosts


def _exclusive(job: Reading, a: AdAttribute) -> None:
    job.resources["exclusive"] = job.flag(a)


def _requirements(job: Reading, a: AdAttribute) -> None:
    if isinstance(a.value, str | tuple):
        job.fail("Requirements must be an expression, without quotes around it", a)
    try:
        wishes = requirements.understood(a.text)
    except JobDescriptionError as exc:
        job.fail(f"Requirements: {exc.what}", a)
    job.resources.update(wishes.amounts)
    job.runtimes.extend(wishes.runtimes)
    if wishes.rest.lower() == "true":
        return
    job.fields["requirements"] = wishes.rest
    if wishes.rest:
        job.remark(f"This part of Requirements has no effect: {wishes.rest[:200]}", a)


def _rank(job: Reading, a: AdAttribute) -> None:
    job.fields["rank"] = a.text
    job.remark("Rank has no effect: there is only one service to choose from", a)


def _expiry(job: Reading, a: AdAttribute) -> None:
    seconds = job.number(a)
    try:
        job.fields["expiration"] = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        job.fail("ExpiryTime is invalid: expected seconds since 1970", a)
    job.remark("ExpiryTime has no effect: this service does not cancel jobs because of it", a)


def _job_type(job: Reading, a: AdAttribute) -> None:
    kinds = {kind.lower() for kind in job.strings(a)}
    if unknown := kinds - _TYPES.keys():
        job.fail(f"JobType: {min(unknown)[:80]!r} is unknown; expected Normal, Parametric or MPICH", a)
    for kind in sorted(kinds):
        if _TYPES[kind]:
            job.keep(a, _TYPES[kind])


_TYPES: Final = {
    "normal": "",
    "parametric": "",
    "mpich": "JobType MPICH only reserves slots; the job must start mpirun itself",
    "mpi": "JobType MPI only reserves slots; the job must start mpirun itself",
    "interactive": "JobType Interactive runs as a normal job: print its output with arccat, or run it with arcrun",
    "checkpointable": "JobType Checkpointable runs as a normal job",
    "partitionable": "JobType Partitionable runs as one normal job",
}


def _kept(job: Reading, a: AdAttribute) -> None:
    job.keep(a, f"{a.name} has no effect: {RULES[a.name.lower()].note}")


def _nothing(_: Reading, __: AdAttribute) -> None:
    """For attributes that are read elsewhere."""


def _unused(name: str, meaning: str, note: str) -> JdlRule:
    return JdlRule(name, _kept, meaning, "", "none", note)


_SANDBOX: Final = "`.input`; the client uploads local files"
_ONE: Final = "there is only one service to choose from"
_BROKER: Final = "there is no broker that selects a service by its data"
_PEEK: Final = "use arccat to print the output of a running job"
_ONLINE: Final = "jobs are not interactive"

_ALL: Final = (
    JdlRule("Executable", _text("executable"), "program: absolute path on the node, or a file in the sandbox", "",
         "`joboption_arg_0`"),
    JdlRule("Arguments", _arguments, "arguments, as one string that is split as in a shell, or as a list", "",
         "`joboption_arg_N`", "quotes and backslashes group words; the client expands no variables or wildcards"),
    JdlRule("StdInput", _text("stdin"), "file that is the standard input", "", "`joboption_stdin`"),
    JdlRule("StdOutput", _text("stdout"), "file for the standard output", "", "`joboption_stdout`"),
    JdlRule("StdError", _text("stderr"), "file for the standard error", "", "`joboption_stderr`"),
    JdlRule("Environment", _environment, 'variables, as `"NAME=VALUE"`', "", "`joboption_env_N`",
        "values with `$NAME` are set on the node by a script of the client, each with those before it"),
    JdlRule("Prologue", _program("before"), "program to run before the job", "", "a script around the job",
         "if it fails, the job fails without being started"),
    JdlRule("PrologueArguments", _beside("Prologue"), "arguments of the program in Prologue"),
    JdlRule("Epilogue", _program("after"), "program to run after the job, also if the job failed", "",
         "a script around the job", "if it fails, the job fails"),
    JdlRule("EpilogueArguments", _beside("Epilogue"), "arguments of the program in Epilogue"),
    JdlRule("InputSandbox", input_sandbox, "input files: local paths, with wildcards, or URLs", "", _SANDBOX,
         "each file is stored under the last part of its path"),
    JdlRule("InputSandboxBaseURI", _beside("InputSandbox"), "base URL of relative names in InputSandbox", "",
            "`.input`"),
    JdlRule("OutputSandbox", output_sandbox, "output files", "", "`.output`",
         "a wildcard keeps the whole session directory"),
    JdlRule("OutputSandboxDestURI", _beside("OutputSandbox"), "target URL of each file in "
        "OutputSandbox", "", "`.output`",
         "one URL for each file; `gsiftp://localhost` keeps a file for the client"),
    JdlRule("OutputSandboxBaseDestURI", _beside("OutputSandbox"), "URL of the target directory of all files in "
        "OutputSandbox", "",
         "`.output`"),
    JdlRule("JobName", _name, "name of the job", "", "`jobname`", "not part of gLite's JDL"),
    JdlRule("NodeName", _node_name, "name of a job in a collection", "", "`jobname`"),
    JdlRule("UserTags", _user_tags, '`[ jobname = "..." ]` names the '
                                    'job', "", "`jobname`", "other tags have no effect"),
    JdlRule("QueueName", _queue, "queue of the job", "", "`queue`"),
    JdlRule("RetryCount", _retries, "number of reruns after a failure", "", "`rerun`"),
    JdlRule("ShallowRetryCount", _retries, "number of reruns if the job has not started", "", "`rerun`",
         "there is only one counter: the larger of both numbers"),
    JdlRule("CPUNumber", _slots, "number of processor cores", "", "`joboption_count`"),
    JdlRule("NodeNumber", _slots, "same as CPUNumber, in older descriptions", "", "`joboption_count`"),
    JdlRule("SMPGranularity", _per_host, "number of cores on each host", "", "`joboption_countpernode`"),
    JdlRule("HostNumber", _hosts, "number of hosts over which the cores are "
                                  "distributed", "", "`joboption_countpernode`"),
    JdlRule("WholeNodes", _exclusive, "run no other job on the same hosts", "", "`joboption_exclusivenode`"),
    JdlRule("Requirements", _requirements, "requirements on the service", "minutes, megabytes",
         "`joboption_walltime`, `joboption_cputime`, `joboption_memory`, `joboption_runtime_N`",
         "conditions joined by `&&`; other parts have no effect"),
    JdlRule("Rank", _rank, "expression that selects the best service", "", "none", "there is only one service to "
        "choose from"),
    JdlRule("ExpiryTime", _expiry, "time after which the job is not started any "
                                   "more", "seconds since 1970", "ADL `ExpirationTime`",
         "has no effect"),
    JdlRule("JobType", _job_type, "Normal or Parametric; MPICH and others run as normal jobs"),
    JdlRule("Type", _nothing, "Job or Collection", "", "one job or many", "DAG is refused"),
    JdlRule("Nodes", _nothing, "the jobs of a collection", "", "many jobs", "each job inherits the attributes of the "
        "collection"),
    JdlRule("Parameters", _nothing, "values of `_PARAM_`: a list, or the exclusive upper bound of a range", "",
         "many jobs"),
    JdlRule("ParameterStart", _nothing, "start of the range (default: 0)", "", "many jobs"),
    JdlRule("ParameterStep", _nothing, "step of the range (default: 1)", "", "many jobs"),
    _unused("BatchSystem", "type of the batch system", "the service has only one batch system"),
    _unused("CERequirements", "conditions for the batch system", "use the other attributes"),
    _unused("SubmitTo", "service to use", _ONE),
    _unused("CEId", "service to use", _ONE),
    _unused("FuzzyRank", "choose at random among good services", _ONE),
    _unused("EnableWMSFeedback", "resubmit jobs from a slow queue", _ONE),
    _unused("VirtualOrganisation", "virtual organisation of the user", "the credential names it"),
    _unused("MyProxyServer", "server that renews the proxy", "renew it with arcrenew"),
    _unused("DelegationId", "credential at the service", "the client submits the credential"),
    _unused("HLRLocation", "accounting server", "the service configures its accounting"),
    _unused("JobProvenance", "server for the history of jobs", "arex does not support it"),
    _unused("LBAddress", "server for logging and bookkeeping", "use arcstat"),
    _unused("AllowZippedISB", "pack the sandbox", "files are copied, not packed"),
    _unused("ZippedISB", "name of the packed sandbox", "files are copied, not packed"),
    _unused("PerusalFileEnable", "copy output while the job runs", _PEEK),
    _unused("PerusalTimeInterval", "interval of the copies in seconds", _PEEK),
    _unused("PerusalFilesDestURI", "target of the copies", _PEEK),
    _unused("PerusalListFileURI", "list of the files to copy", _PEEK),
    _unused("InputData", "files that the job itself reads", _BROKER),
    _unused("DataRequirements", "files that the job itself reads", _BROKER),
    _unused("DataAccessProtocol", "protocols with which the job reads them", _BROKER),
    _unused("StorageIndex", "catalogue of files", _BROKER),
    _unused("DataCatalog", "catalogue of files", _BROKER),
    _unused("OutputSE", "storage near the service", _BROKER),
    _unused("OutputData", "files to store and register", "use OutputSandboxDestURI"),
    _unused("MaxOutputSandboxSize", "limit of the output, in bytes", "there is no separate limit for output files"),
    _unused("ShortDeadlineJob", "start immediately or fail", "the queue decides"),
    _unused("LocalRequirements", "conditions for a part of the job", _ONE),
    _unused("NodesCollocation", "run all jobs at one service", _ONE),
    _unused("ListenerHost", "host of the user's console", _ONLINE),
    _unused("ListenerPort", "port of the user's console", _ONLINE),
    _unused("ListenerPipeName", "pipe of the user's console", _ONLINE),
    _unused("ListenerStorage", "storage for the user's console", _ONLINE),
    _unused("JobSteps", "steps of a job that can be checkpointed", "jobs are not checkpointed"),
    _unused("CurrentStep", "step to begin with", "jobs are not checkpointed"),
    _unused("JobState", "state to begin from", "jobs are not checkpointed"),
    _unused("WMProxyEndPoints", "services to submit to", _ONE),
    _unused("CertificateSubject", "subject of the submitter", "the credential names it"),
)  # fmt: skip
#: By name in lower case.
RULES: Final = {rule.name.lower(): rule for rule in _ALL}
