"""What the reference says of xRSL and ADL; of JDL it stands in ``jdl_rules``. Only the documentation reads it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Fact(NamedTuple):
    """What an attribute means, in which unit, where a service finds it, and what else is to be known."""

    meaning: str
    unit: str = ""
    target: str = ""
    note: str = ""


_PERIOD: Final = "minutes without a unit; `1 hour 30 minutes`, `PT1H30M`"
_CLIENT: Final = "clients only"
_IGNORED: Final = "none"
_OTHERS: Final = "for the choice of a service"

#: Names in lower case and without underscores, as they are compared.
XRSL: Final[dict[str, Fact]] = {
    "executable": Fact("program: absolute path on the node, or a file of the session", "", "`joboption_arg_0`"),
    "arguments": Fact("arguments, one string each", "", "`joboption_arg_N`"),
    "environment": Fact("variables, as `(NAME VALUE)`", "", "`joboption_env_N`"),
    "stdin": Fact("file that is the standard input", "", "`joboption_stdin`"),
    "stdout": Fact("file for the standard output", "", "`joboption_stdout`"),
    "stderr": Fact("file for the standard error", "", "`joboption_stderr`"),
    "join": Fact("`yes`: standard error goes where standard output goes", "", "`joboption_stderr`", _CLIENT),
    "gmlog": Fact("directory for the service's records of the job", "", "`gmlog`"),
    "jobname": Fact("name of the job", "", "`jobname`"),
    "inputfiles": Fact(
        "files to bring, as `(NAME SOURCE OPTION...)`", "", "`.input`",
        "no source: the file of that name of the client; options such as `cache=no` count for the source",
    ),
    "outputfiles": Fact(
        "files to keep, as `(NAME TARGET OPTION...)`", "", "`.output`",
        "no target: it stays for the client; the name `/` is the whole session directory, `@FILE` a list",
    ),
    "executables": Fact("which input files get the x bit", "", "`.input`"),
    "cache": Fact("whether fetched files may come from the cache: `yes`, `no`, `copy`", "", "`.input`"),
    "ftpthreads": Fact("parallel connections of each transfer", "1 to 10", "`.input`, `.output`"),
    "cputime": Fact("CPU time of all slots together", _PERIOD, "`joboption_cputime` in seconds"),
    "walltime": Fact("time from start to end", _PERIOD, "`joboption_walltime` in seconds"),
    "gridtime": Fact("CPU time, and as much wall time for each slot", _PERIOD, "both times", _CLIENT),
    "benchmarks": Fact("CPU time on a machine of known speed", _PERIOD, "`joboption_cputime`", "the speed is not used"),
    "memory": Fact("memory of each slot", "megabytes (2^20 bytes)", "`joboption_memory`"),
    "disk": Fact("disk space", "megabytes", "`diskspace` in bytes"),
    "count": Fact("slots, which are processor cores", "", "`joboption_count`"),
    "countpernode": Fact("slots on each host", "", "`joboption_countpernode`", "needs `count`"),
    "exclusiveexecution": Fact("no other job on the same hosts: `yes` or `no`", "", "`joboption_exclusivenode`"),
    "runtimeenvironment": Fact(
        "software that the job needs, with options", "", "`joboption_runtime_N`",
        "`=`, `>=` and others compare versions; the client takes the latest that fits",
    ),
    "queue": Fact("queue; `!=` excludes one", "", "`queue`"),
    "starttime": Fact("not to start before", "`2026-12-31 23:59:59` and others", "`processtime`"),
    "lifetime": Fact("how long results are kept", _PERIOD, "`lifetime` in seconds"),
    "rerun": Fact("attempts more after a failure", "", "`rerun`", "`arcresume` uses them"),
    "priority": Fact("among the user's own jobs", "0 to 100; 50 if not given", "`priority`"),
    "notify": Fact("mail at states: letters of `bqfecd` before addresses", "", "`notify`"),
    "dryrun": Fact("`yes`: take the job in, but do not run it", "", "`dryrun`"),
    "acl": Fact("who else may see the job: GACL", "XML", "`job.ID.acl`"),
    "jobreport": Fact("accounting service to tell", "URL", "`jobreport`"),
    "credentialserver": Fact("server that renews the credential", "URL", "`credentialserver`"),
    "delegationid": Fact("credential that the service has already", "", "`delegationid`"),
    "action": Fact("what is asked of a service: `request`", "", "none", "not for users"),
    "nodeaccess": Fact("network of the node: `inbound`, `outbound`", "", "ADL `NodeAccess`", _OTHERS),
    "architecture": Fact("processor", "", "ADL `Platform`", _OTHERS),
    "opsys": Fact("operating system, with a version", "", "ADL `OperatingSystem`", _OTHERS),
    "middleware": Fact("software of the service, with a version", "", _IGNORED, _OTHERS),
    "rslsubstitution": Fact("variables of the text itself, as `(NAME VALUE)`; used as `$(NAME)`"),
    "cluster": Fact("which service", "", _IGNORED, "not supported, with a warning"),
    "replicacollection": Fact("collection for outputs in a catalogue", "", _IGNORED),
    "hostname": Fact("host of the client", "", _IGNORED, "written by clients"),
    "jobid": Fact("id of the job", "", _IGNORED, "written by services"),
    "clientxrsl": Fact("the text as the user wrote it", "", _IGNORED, "written by clients"),
    "clientsoftware": Fact("version of the client", "", _IGNORED, "written by clients"),
    "savestate": Fact("keep the state of the job", "", _IGNORED),
}  # fmt: skip

_ONLY: Final = "for the choice of a service, or for people"
_FILE: Final = "`.input`, `.output`"
#: Elements by the last part of their name; those of the NorduGrid extension too.
ADL: Final[dict[str, Fact]] = {
    "ActivityIdentification": Fact("what the job is called"),
    "Name": Fact("name of a job, a file, an option, a variable, software", "", "`jobname` and others"),
    "Description": Fact("free text about the job", "", _IGNORED, _ONLY),
    "Type": Fact("kind of job, or of a parallel environment", "", "`joboption_penv_type`"),
    "Annotation": Fact("free text", "", _IGNORED, _ONLY),
    "ActivityOldID": Fact("id that the job had elsewhere (NorduGrid)", "", "`activityid`"),
    "Application": Fact("the program and what is around it"),
    "Executable": Fact("the program", "", "`joboption_arg_N`"),
    "Path": Fact("path of a program", "", "`joboption_arg_0`"),
    "Argument": Fact("one argument", "", "`joboption_arg_N`"),
    "FailIfExitCodeNotEqualTo": Fact("exit code that counts as success", "", "`joboption_arg_code`"),
    "Input": Fact("file that is the standard input", "", "`joboption_stdin`"),
    "Output": Fact("file for the standard output", "", "`joboption_stdout`"),
    "Error": Fact("file for the standard error", "", "`joboption_stderr`"),
    "Environment": Fact("a variable: `Name` and `Value`", "", "`joboption_env_N`"),
    "PreExecutable": Fact("program to run before the job", "", "a script around the job", "of our clients"),
    "PostExecutable": Fact("program to run after the job", "", "a script around the job", "of our clients"),
    "LoggingDirectory": Fact("directory for the service's records of the job (NorduGrid)", "", "`gmlog`"),
    "RemoteLogging": Fact("accounting service to tell", "", "`jobreport`"),
    "ServiceType": Fact("its kind: `SGAS`", "", "`jobreport`", "others are not told"),
    "URL": Fact("its URL", "", "`jobreport`"),
    "ExpirationTime": Fact("until when to try", "ISO time", _IGNORED),
    "WipeTime": Fact("how long results are kept", "ISO period, or seconds", "`lifetime` in seconds"),
    "Notification": Fact("mail", "", "`notify`"),
    "Protocol": Fact("how to tell: `email`", "", "`notify`"),
    "Recipient": Fact("an address", "", "`notify`"),
    "OnState": Fact("state to tell of", "", "`notify`"),
    "Rerun": Fact("attempts more after a failure (NorduGrid)", "", "`rerun`"),
    "Priority": Fact("among the user's own jobs (NorduGrid)", "0 to 100", "`priority`"),
    "StartTime": Fact("not to start before (NorduGrid)", "time", "`processtime`"),
    "AccessControl": Fact("who else may see the job: GACL (NorduGrid)", "XML", "`job.ID.acl`"),
    "CredentialService": Fact("server that renews the credential (NorduGrid)", "URL", "`credentialserver`"),
    "DryRun": Fact("take the job in, but do not run it (NorduGrid)", "", "`dryrun`"),
    "Resources": Fact("what the job needs"),
    "OperatingSystem": Fact("operating system", "", _IGNORED, _ONLY),
    "Family": Fact("its family", "", _IGNORED, _ONLY),
    "Version": Fact("version of a system, a runtime environment, a parallel environment", "", "`joboption_runtime_N`"),
    "Platform": Fact("processor", "", _IGNORED, _ONLY),
    "RuntimeEnvironment": Fact("software that the job needs", "", "`joboption_runtime_N`"),
    "Option": Fact("option of a runtime environment; `Name` and `Value` elsewhere", "", "`joboption_runtime_N_i`"),
    "ParallelEnvironment": Fact("how a parallel job starts", "", "`joboption_penv_type`"),
    "ProcessesPerSlot": Fact("processes in each slot", "", "`joboption_penv_processesperhost`"),
    "ThreadsPerProcess": Fact("threads of each process", "", "`joboption_penv_threadsperprocess`"),
    "Coprocessor": Fact("coprocessor", "", "none", "refused"),
    "NetworkInfo": Fact("network between nodes", "", "none", "refused"),
    "NodeAccess": Fact("network of the node: `inbound`, `outbound`, `inoutbound`", "", _IGNORED, _ONLY),
    "IndividualPhysicalMemory": Fact("memory of each slot", "bytes", "`joboption_memory` in megabytes"),
    "IndividualVirtualMemory": Fact("virtual memory of each slot", "bytes", "`joboption_virtualmemory` in megabytes"),
    "DiskSpaceRequirement": Fact("disk space", "bytes", "`diskspace`"),
    "RemoteSessionAccess": Fact("access to the session while the job runs", "", _IGNORED),
    "Benchmark": Fact("speed of the machine", "", "none", "refused"),
    "SlotRequirement": Fact("processor cores"),
    "NumberOfSlots": Fact("how many", "", "`joboption_count`"),
    "SlotsPerHost": Fact("how many on each host", "", "`joboption_countpernode`"),
    "ExclusiveExecution": Fact("no other job on the same hosts", "", "`joboption_exclusivenode`"),
    "QueueName": Fact("queue", "", "`queue`"),
    "IndividualCPUTime": Fact("CPU time of one slot", "seconds", _IGNORED, "only `TotalCPUTime` has an effect"),
    "TotalCPUTime": Fact("CPU time of all slots together", "seconds", "`joboption_cputime`"),
    "WallTime": Fact("time from start to end", "seconds", "`joboption_walltime`"),
    "DataStaging": Fact("files"),
    "ClientDataPush": Fact("the client sends files after the submission", "", "`freestagein`"),
    "InputFile": Fact("a file to bring", "", "`.input`"),
    "Source": Fact("where it comes from; the first counts", "", "`.input`", "none: the client uploads it"),
    "IsExecutable": Fact("whether it gets the x bit", "", "`.input`"),
    "OutputFile": Fact("a file to keep", "", "`.output`"),
    "Target": Fact("where it goes", "", "`.output`", "none: it stays for the client"),
    "URI": Fact("URL of a source or target", "", _FILE),
    "DelegationID": Fact("credential that the service has already", "", f"`delegationid`, {_FILE}"),
    "Mandatory": Fact("whether the upload must work", "", _IGNORED),
    "CreationFlag": Fact("`overwrite` or `dontOverwrite` what is there", "", "`.output`", "`append` is refused"),
    "UseIfSuccess": Fact("upload after a success", "", "`.output`"),
    "UseIfFailure": Fact("upload after a failure", "", "`.output`"),
    "UseIfCancel": Fact("upload after an end that was asked for", "", "`.output`"),
}  # fmt: skip
