"""Reference texts for the attributes of xRSL and ADL, only for the documentation. See ``jdl/rules.py`` for JDL."""

from __future__ import annotations

from typing import Final, NamedTuple


class Fact(NamedTuple):
    """Meaning of an attribute, its unit, the control file that holds it, and notes."""

    meaning: str
    unit: str = ""
    target: str = ""
    note: str = ""


_PERIOD: Final = "minutes without a unit; `1 hour 30 minutes`, `1h30m`, `01:30:00`, `PT1H30M`"
_SIZE: Final = "MB (2^20 bytes) without a unit; `2GB`, `512M`"
_CLIENT: Final = "clients only"
_IGNORED: Final = "none"
_OTHERS: Final = "only used to select a service"
_RESULTS: Final = "how long the service keeps the results"
_NOT_BEFORE: Final = "earliest start time"
_RERUN: Final = "number of reruns after a failure"
_DRYRUN: Final = "accept the job, but do not run it"
_RENEWER: Final = "server that renews the credential of the job"
_KNOWN_CREDENTIAL: Final = "id of a credential that is already stored at the service"

#: Names in lower case and without underscores, as they are compared.
XRSL: Final[dict[str, Fact]] = {
    "executable": Fact("program: absolute path on the node, or a file of the session", "", "`joboption_arg_0`"),
    "arguments": Fact("arguments, one string each", "", "`joboption_arg_N`"),
    "environment": Fact("variables, as `(NAME VALUE)`", "", "`joboption_env_N`"),
    "stdin": Fact("file that is the standard input", "", "`joboption_stdin`"),
    "stdout": Fact("file for the standard output", "", "`joboption_stdout`"),
    "stderr": Fact("file for the standard error", "", "`joboption_stderr`"),
    "join": Fact("`yes`: write standard error to the file of standard output", "", "`joboption_stderr`", _CLIENT),
    "gmlog": Fact("directory in which the service keeps its records of the job", "", "`gmlog`"),
    "jobname": Fact("name of the job", "", "`jobname`"),
    "inputfiles": Fact(
        "input files, as `(NAME SOURCE OPTION...)`", "", "`.input`",
        "without a source, the client uploads its file with this name; options such as `cache=no` apply to the source",
    ),
    "outputfiles": Fact(
        "output files, as `(NAME TARGET OPTION...)`", "", "`.output`",
        "without a target, the file is kept for the client; with clients of arex, a target can be an absolute path of "
        "this host; the name `/` is the whole session directory, `@FILE` a list of files",
    ),
    "executables": Fact("input files that are made executable", "", "`.input`"),
    "cache": Fact("use of the cache for input files: `yes`, `no`, `copy`", "", "`.input`"),
    "ftpthreads": Fact("parallel connections of each transfer", "1 to 10", "`.input`, `.output`"),
    "cputime": Fact("CPU time of all slots together", _PERIOD, "`joboption_cputime` in seconds"),
    "walltime": Fact("time from start to end", _PERIOD, "`joboption_walltime` in seconds"),
    "gridtime": Fact("CPU time, and the same wall time for each slot", _PERIOD, "both times", _CLIENT),
    "benchmarks": Fact("CPU time on a machine with a benchmark result", _PERIOD,
                       "`joboption_cputime`", "the benchmark result is ignored"),
    "memory": Fact("memory of each slot", _SIZE, "`joboption_memory`"),
    "disk": Fact("disk space", _SIZE, "`diskspace` in bytes"),
    "count": Fact("number of slots (processor cores)", "", "`joboption_count`"),
    "countpernode": Fact("number of slots on each host", "", "`joboption_countpernode`", "needs `count`"),
    "exclusiveexecution": Fact("run no other job on the same hosts: `yes` or `no`", "", "`joboption_exclusivenode`"),
    "runtimeenvironment": Fact(
        "runtime environment that the job needs, with options", "", "`joboption_runtime_N`",
        "`=`, `>=` and other operators compare versions; the client selects the latest matching version",
    ),
    "queue": Fact("queue of the job; `!=` excludes a queue", "", "`queue`"),
    "starttime": Fact(
        _NOT_BEFORE, "`2026-12-31 23:59:59` and other formats, in the time zone of the client", "`processtime`"
    ),
    "lifetime": Fact(_RESULTS, _PERIOD, "`lifetime` in seconds"),
    "rerun": Fact(_RERUN, "", "`rerun`", "each `arcresume` uses one"),
    "priority": Fact("priority among the jobs of the user", "0 to 100; default 50", "`priority`"),
    "notify": Fact("states at which mail is sent, as letters of `bqfecd`, followed by addresses", "", "`notify`"),
    "dryrun": Fact(f"`yes`: {_DRYRUN}", "", "`dryrun`"),
    "acl": Fact("access rights of other users, as GACL", "XML", "`job.ID.acl`"),
    "jobreport": Fact("accounting service that receives a usage record", "URL", "`jobreport`"),
    "credentialserver": Fact(_RENEWER, "URL", "`credentialserver`"),
    "delegationid": Fact(_KNOWN_CREDENTIAL, "", "`delegationid`"),
    "action": Fact("requested action: `request`", "", "none", "written by clients"),
    "nodeaccess": Fact("network access of the node: `inbound`, `outbound`", "", "ADL `NodeAccess`", _OTHERS),
    "architecture": Fact("processor architecture", "", "ADL `Platform`", _OTHERS),
    "opsys": Fact("operating system with its version", "", "ADL `OperatingSystem`", _OTHERS),
    "middleware": Fact("software of the service with its version", "", _IGNORED, _OTHERS),
    "rslsubstitution": Fact("variables, as `(NAME VALUE)`; `$(NAME)` in the description is replaced by the value"),
    "cluster": Fact("service to use", "", _IGNORED, "not supported; causes a warning"),
    "replicacollection": Fact("collection of output files in a catalogue", "", _IGNORED),
    "hostname": Fact("host of the client", "", _IGNORED, "written by clients"),
    "jobid": Fact("id of the job", "", _IGNORED, "written by services"),
    "clientxrsl": Fact("description as the user wrote it", "", _IGNORED, "written by clients"),
    "clientsoftware": Fact("version of the client", "", _IGNORED, "written by clients"),
    "savestate": Fact("keep the state of the job", "", _IGNORED),
}  # fmt: skip

_ONLY: Final = "only used to select a service, or for information"
_FILE: Final = "`.input`, `.output`"
#: Elements by the last part of their name; those of the NorduGrid extension too.
ADL: Final[dict[str, Fact]] = {
    "ActivityIdentification": Fact("name and description of the job"),
    "Name": Fact("name of a job, file, option, variable or runtime environment", "", "`jobname` and others"),
    "Description": Fact("free text about the job", "", _IGNORED, _ONLY),
    "Type": Fact("type of a job or a parallel environment", "", "`joboption_penv_type`"),
    "Annotation": Fact("free text; `arex-label KEY=VALUE` is a label", "", "`label`", "other texts are ignored"),
    "ActivityOldID": Fact("id of the job at a previous service (NorduGrid)", "", "`activityid`"),
    "Application": Fact("the program and its environment"),
    "Executable": Fact("the program", "", "`joboption_arg_N`"),
    "Path": Fact("path of a program", "", "`joboption_arg_0`"),
    "Argument": Fact("one argument", "", "`joboption_arg_N`"),
    "FailIfExitCodeNotEqualTo": Fact("exit code that counts as success", "", "`joboption_arg_code`"),
    "Input": Fact("file that is the standard input", "", "`joboption_stdin`"),
    "Output": Fact("file for the standard output", "", "`joboption_stdout`"),
    "Error": Fact("file for the standard error", "", "`joboption_stderr`"),
    "Environment": Fact("an environment variable: `Name` and `Value`", "", "`joboption_env_N`"),
    "PreExecutable": Fact("program to run before the job", "", "a script around the job", "written by arex's clients"),
    "PostExecutable": Fact("program to run after the job", "", "a script around the job", "written by arex's clients"),
    "LoggingDirectory": Fact("directory in which the service keeps its records of the job (NorduGrid)", "", "`gmlog`"),
    "RemoteLogging": Fact("accounting service that receives a usage record", "", "`jobreport`"),
    "ServiceType": Fact("type of the accounting service: `SGAS`", "", "`jobreport`", "other types are ignored"),
    "URL": Fact("URL of the accounting service", "", "`jobreport`"),
    "ExpirationTime": Fact("time after which the job is not started any more", "ISO time", _IGNORED),
    "WipeTime": Fact(_RESULTS, "ISO period, or seconds", "`lifetime` in seconds"),
    "Notification": Fact("notification by mail", "", "`notify`"),
    "Protocol": Fact("kind of notification: `email`", "", "`notify`"),
    "Recipient": Fact("mail address", "", "`notify`"),
    "OnState": Fact("state at which mail is sent", "", "`notify`"),
    "Rerun": Fact(f"{_RERUN} (NorduGrid)", "", "`rerun`"),
    "Priority": Fact("priority among the jobs of the user (NorduGrid)", "0 to 100", "`priority`"),
    "StartTime": Fact(f"{_NOT_BEFORE} (NorduGrid)", "time", "`processtime`"),
    "AccessControl": Fact("access rights of other users, as GACL (NorduGrid)", "XML", "`job.ID.acl`"),
    "CredentialService": Fact(f"{_RENEWER} (NorduGrid)", "URL", "`credentialserver`"),
    "DryRun": Fact(f"{_DRYRUN} (NorduGrid)", "", "`dryrun`"),
    "Resources": Fact("resources that the job needs"),
    "OperatingSystem": Fact("operating system", "", _IGNORED, _ONLY),
    "Family": Fact("family of the operating system", "", _IGNORED, _ONLY),
    "Version": Fact("version of an operating system, a runtime environment or a parallel "
                    "environment", "", "`joboption_runtime_N`"),
    "Platform": Fact("processor architecture", "", _IGNORED, _ONLY),
    "RuntimeEnvironment": Fact("runtime environment that the job needs", "", "`joboption_runtime_N`"),
    "Option": Fact("option of a runtime environment; `Name` and `Value` elsewhere", "", "`joboption_runtime_N_i`"),
    "ParallelEnvironment": Fact("environment for parallel jobs", "", "`joboption_penv_type`"),
    "ProcessesPerSlot": Fact("number of processes in each slot", "", "`joboption_penv_processesperhost`"),
    "ThreadsPerProcess": Fact("number of threads of each process", "", "`joboption_penv_threadsperprocess`"),
    "Coprocessor": Fact("coprocessor", "", "none", "the job is refused"),
    "NetworkInfo": Fact("network between nodes", "", "none", "the job is refused"),
    "NodeAccess": Fact("network access of the node: `inbound`, `outbound`, `inoutbound`", "", _IGNORED, _ONLY),
    "IndividualPhysicalMemory": Fact("memory of each slot", "bytes", "`joboption_memory` in megabytes"),
    "IndividualVirtualMemory": Fact("virtual memory of each slot", "bytes", "`joboption_virtualmemory` in megabytes"),
    "DiskSpaceRequirement": Fact("disk space", "bytes", "`diskspace`"),
    "RemoteSessionAccess": Fact("access to the session directory while the job runs", "", _IGNORED),
    "Benchmark": Fact("speed of the machine", "", "none", "the job is refused"),
    "SlotRequirement": Fact("processor cores"),
    "NumberOfSlots": Fact("number of slots", "", "`joboption_count`"),
    "SlotsPerHost": Fact("number of slots on each host", "", "`joboption_countpernode`"),
    "ExclusiveExecution": Fact("run no other job on the same hosts", "", "`joboption_exclusivenode`"),
    "QueueName": Fact("queue of the job", "", "`queue`"),
    "IndividualCPUTime": Fact("CPU time of one slot", "seconds", _IGNORED, "only `TotalCPUTime` has an effect"),
    "TotalCPUTime": Fact("CPU time of all slots together", "seconds", "`joboption_cputime`"),
    "WallTime": Fact("time from start to end", "seconds", "`joboption_walltime`"),
    "DataStaging": Fact("input and output files"),
    "ClientDataPush": Fact("the client sends files after the submission", "", "`freestagein`"),
    "InputFile": Fact("an input file", "", "`.input`"),
    "Source": Fact("source of the file; only the first one is used", "", "`.input`", "without a source, the client "
        "uploads the file"),
    "IsExecutable": Fact("whether the file is made executable", "", "`.input`"),
    "OutputFile": Fact("an output file", "", "`.output`"),
    "Target": Fact("target of the file", "", "`.output`", "without a target, the file is kept for the client"),
    "URI": Fact("URL of a source or target", "", _FILE),
    "DelegationID": Fact(_KNOWN_CREDENTIAL, "", f"`delegationid`, {_FILE}"),
    "Mandatory": Fact("whether a failed upload fails the job", "", _IGNORED),
    "CreationFlag": Fact("what to do with an existing file: `overwrite` or "
                         "`dontOverwrite`", "", "`.output`", "`append` is refused"),
    "UseIfSuccess": Fact("upload the file if the job succeeds", "", "`.output`"),
    "UseIfFailure": Fact("upload the file if the job fails", "", "`.output`"),
    "UseIfCancel": Fact("upload the file if the job is canceled", "", "`.output`"),
}  # fmt: skip
