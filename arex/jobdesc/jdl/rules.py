"""What each attribute of JDL means here. Source: the JDL guides of gLite's WMS and of CREAM."""

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
    """How to read an attribute, and what the reference says of it: meaning, unit, where it ends up, more."""

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
    """One string that is split as a shell does; or a list, one argument each."""
    if isinstance(a.value, tuple):
        return tuple(job.strings(a))
    try:
        return tuple(shellwords.split(job.string(a)))
    except ValueError as exc:
        job.fail(f"{a.name}: a quote is not closed: {exc}", a)


def _environment(job: Reading, a: AdAttribute) -> None:
    pairs = []
    for text in job.strings(a):
        name, mark, value = text.partition("=")
        if not mark or not name:
            job.fail(f"Environment: {text[:80]!r} is not NAME=VALUE", a)
        pairs.append((name, value))
    job.fields["environment"] = tuple(pairs)


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
    """Read where the main attribute is."""

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
        job.keep(a, "UserTags are kept, without effect here; only a jobname among them is used")


def _queue(job: Reading, a: AdAttribute) -> None:
    job.resources["queue"] = job.string(a)


def _retries(job: Reading, a: AdAttribute) -> None:
    """One counter for both."""
    name = a.name.lower()
    other = job.attributes.get("shallowretrycount" if name == "retrycount" else "retrycount")
    counts = [job.number(one, -1) for one in (a, other) if one is not None]
    job.fields["rerun"] = max(0, *counts)
    if name == "shallowretrycount" and max(counts) > 0:
        job.remark(
            "There is one counter of attempts: the larger of RetryCount and ShallowRetryCount, for those who resume "
            "the job (arcresume)",
            a,
        )


def _slots(job: Reading, a: AdAttribute) -> None:
    names = [one.name for name in ("cpunumber", "nodenumber") if (one := job.attributes.get(name)) is not None]
    if len(names) > 1:
        job.fail("CPUNumber and NodeNumber say the same: give one of them", a)
    job.resources["slots"] = job.number(a, 1)


def _given(job: Reading, *names: str) -> int | None:
    found = [job.number(job.attributes[name], 1) for name in names if name in job.attributes]
    return found[0] if found else None


def _per_host(job: Reading, a: AdAttribute) -> None:
    number = job.number(a, 1)
    if "hostnumber" in job.attributes and not _whole_nodes(job):
        job.fail("SMPGranularity and HostNumber can be given together only if WholeNodes is true", a)
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
        job.fail(f"CPUNumber, {slots}, is not a multiple of HostNumber, {hosts}", a)
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
        job.remark(f"Of Requirements this is kept, without effect here: {wishes.rest[:200]}", a)


def _rank(job: Reading, a: AdAttribute) -> None:
    job.fields["rank"] = a.text
    job.remark("Rank is kept, without effect here: there is one service to choose from", a)


def _expiry(job: Reading, a: AdAttribute) -> None:
    seconds = job.number(a)
    try:
        job.fields["expiration"] = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        job.fail("ExpiryTime is no time: seconds since 1970 are wanted", a)
    job.remark("ExpiryTime is passed on, but no service here gives up a job for it", a)


def _job_type(job: Reading, a: AdAttribute) -> None:
    kinds = {kind.lower() for kind in job.strings(a)}
    if unknown := kinds - _TYPES.keys():
        job.fail(f"JobType: {min(unknown)[:80]!r} is none of Normal, Parametric and MPICH", a)
    for kind in sorted(kinds):
        if _TYPES[kind]:
            job.keep(a, _TYPES[kind])


_TYPES: Final = {
    "normal": "",
    "parametric": "",
    "mpich": "JobType MPICH gives the job its slots; it has to start mpirun itself",
    "mpi": "JobType MPI gives the job its slots; it has to start mpirun itself",
    "interactive": "JobType Interactive runs as a normal job: look at its output with arccat, or run it with arcrun",
    "checkpointable": "JobType Checkpointable runs as a normal job",
    "partitionable": "JobType Partitionable runs as one normal job",
}


def _kept(job: Reading, a: AdAttribute) -> None:
    job.keep(a, f"{a.name} is kept, without effect here: {RULES[a.name.lower()].note}")


def _nothing(_: Reading, __: AdAttribute) -> None:
    """Said elsewhere."""


def _unused(name: str, meaning: str, note: str) -> JdlRule:
    return JdlRule(name, _kept, meaning, "", "none", note)


_SANDBOX: Final = "`.input`; the client uploads local files"
_ONE: Final = "there is one service to choose from"
_BROKER: Final = "no broker looks for data"
_PEEK: Final = "look at the output of a running job with arccat"
_ONLINE: Final = "jobs are not interactive"

_ALL: Final = (
    JdlRule("Executable", _text("executable"), "program: absolute path on the node, or a file of the sandbox", "",
         "`joboption_arg_0`"),
    JdlRule("Arguments", _arguments, "arguments in one string, split as a shell does; or a list of them", "",
         "`joboption_arg_N`", "quotes and backslashes group words; nothing is expanded by the client"),
    JdlRule("StdInput", _text("stdin"), "file that is the standard input", "", "`joboption_stdin`"),
    JdlRule("StdOutput", _text("stdout"), "file for the standard output", "", "`joboption_stdout`"),
    JdlRule("StdError", _text("stderr"), "file for the standard error", "", "`joboption_stderr`"),
    JdlRule("Environment", _environment, 'variables, as `"NAME=VALUE"`', "", "`joboption_env_N`"),
    JdlRule("Prologue", _program("before"), "program to run before the job", "", "a script around the job",
         "if it fails, the job is not started and has failed"),
    JdlRule("PrologueArguments", _beside("Prologue"), "its arguments"),
    JdlRule("Epilogue", _program("after"), "program to run after the job, however that ended", "",
         "a script around the job", "if it fails, the job has failed"),
    JdlRule("EpilogueArguments", _beside("Epilogue"), "its arguments"),
    JdlRule("InputSandbox", input_sandbox, "input files: local paths, with wildcards, or URLs", "", _SANDBOX,
         "each gets the last part of its name"),
    JdlRule("InputSandboxBaseURI", _beside("InputSandbox"), "URL before relative names in InputSandbox", "",
            "`.input`"),
    JdlRule("OutputSandbox", output_sandbox, "output files", "", "`.output`",
         "a wildcard keeps the whole session directory"),
    JdlRule("OutputSandboxDestURI", _beside("OutputSandbox"), "where each of them goes", "", "`.output`",
         "as many as files; `gsiftp://localhost` keeps a file for the client"),
    JdlRule("OutputSandboxBaseDestURI", _beside("OutputSandbox"), "URL of a directory where all of them go", "",
         "`.output`"),
    JdlRule("JobName", _name, "name of the job", "", "`jobname`", "not in gLite"),
    JdlRule("NodeName", _node_name, "name of a job in a collection", "", "`jobname`"),
    JdlRule("UserTags", _user_tags, '`[ jobname = "..." ]` names the job', "", "`jobname`", "other tags are kept"),
    JdlRule("QueueName", _queue, "queue", "", "`queue`"),
    JdlRule("RetryCount", _retries, "attempts more after a failure", "", "`rerun`"),
    JdlRule("ShallowRetryCount", _retries, "attempts more if the job had not started", "", "`rerun`",
         "one counter for both: the larger"),
    JdlRule("CPUNumber", _slots, "processor cores", "", "`joboption_count`"),
    JdlRule("NodeNumber", _slots, "the same, in older texts", "", "`joboption_count`"),
    JdlRule("SMPGranularity", _per_host, "cores on each host", "", "`joboption_countpernode`"),
    JdlRule("HostNumber", _hosts, "hosts to spread the cores over", "", "`joboption_countpernode`"),
    JdlRule("WholeNodes", _exclusive, "no other job on the same hosts", "", "`joboption_exclusivenode`"),
    JdlRule("Requirements", _requirements, "what a service must offer", "minutes, megabytes",
         "`joboption_walltime`, `joboption_cputime`, `joboption_memory`, `joboption_runtime_N`",
         "conditions that `&&` joins; the rest is kept"),
    JdlRule("Rank", _rank, "which service is the best", "", "none", "kept"),
    JdlRule("ExpiryTime", _expiry, "until when to try", "seconds since 1970", "ADL `ExpirationTime`",
         "no service here looks at it"),
    JdlRule("JobType", _job_type, "Normal or Parametric; MPICH and others run as normal jobs"),
    JdlRule("Type", _nothing, "Job or Collection", "", "one job or many", "DAG is refused"),
    JdlRule("Nodes", _nothing, "the jobs of a collection", "", "many jobs", "each has what the collection has, too"),
    JdlRule("Parameters", _nothing, "values of `_PARAM_`: a list, or the end of a count, which is not reached", "",
         "many jobs"),
    JdlRule("ParameterStart", _nothing, "where the count begins: 0", "", "many jobs"),
    JdlRule("ParameterStep", _nothing, "its step: 1", "", "many jobs"),
    _unused("BatchSystem", "kind of batch system", "this host has one"),
    _unused("CERequirements", "conditions for the batch system", "ask with other attributes"),
    _unused("SubmitTo", "service to use", _ONE),
    _unused("CEId", "service to use", _ONE),
    _unused("FuzzyRank", "choose at random among good services", _ONE),
    _unused("EnableWMSFeedback", "leave a queue that is slow", _ONE),
    _unused("VirtualOrganisation", "organisation of the user", "the credential says it"),
    _unused("MyProxyServer", "server that renews the proxy", "renew it with arcrenew"),
    _unused("DelegationId", "credential at the service", "the client brings the credential"),
    _unused("HLRLocation", "accounting server", "accounting is the service's own"),
    _unused("JobProvenance", "server for the history of jobs", "nobody writes to it"),
    _unused("LBAddress", "server for logging and bookkeeping", "ask arcstat"),
    _unused("AllowZippedISB", "pack the sandbox", "files are copied, not packed"),
    _unused("ZippedISB", "name of the packed sandbox", "files are copied, not packed"),
    _unused("PerusalFileEnable", "copy output while the job runs", _PEEK),
    _unused("PerusalTimeInterval", "how often, in seconds", _PEEK),
    _unused("PerusalFilesDestURI", "where to", _PEEK),
    _unused("PerusalListFileURI", "what to copy", _PEEK),
    _unused("InputData", "files that the job reads by itself", _BROKER),
    _unused("DataRequirements", "files that the job reads by itself", _BROKER),
    _unused("DataAccessProtocol", "how it reads them", _BROKER),
    _unused("StorageIndex", "catalogue of files", _BROKER),
    _unused("DataCatalog", "catalogue of files", _BROKER),
    _unused("OutputSE", "storage near the service", _BROKER),
    _unused("OutputData", "files to store and register", "use OutputSandboxDestURI"),
    _unused("MaxOutputSandboxSize", "limit of the output, in bytes", "outputs have no limit of their own"),
    _unused("ShortDeadlineJob", "start at once or fail", "the queue decides"),
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
    _unused("CertificateSubject", "who submits", "the credential says it"),
)  # fmt: skip
#: By name in lower case.
RULES: Final = {rule.name.lower(): rule for rule in _ALL}
