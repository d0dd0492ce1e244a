"""Descriptions that no one would write, but that keep to the grammar: for comparing how they are read."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

_PLAIN: Final = [
    "a",
    "b",
    "run.sh",
    "/bin/true",
    "x y",
    "",
    "0",
    "1",
    "é",
    "it's",
    'say "x"',
    "$HOME",
    "a-1.0",
    "(*x*)",
]
_NUMBERS: Final = [
    "0",
    "1",
    "4",
    "10",
    "-1",
    "-5",
    "+3",
    " 7",
    "7 ",
    "12x",
    "x",
    "",
    "2147483647",
    "2147483648",
    "1e3",
    "007",
]
_PERIODS: Final = [
    *("10", "0", "1 hour 30 minutes", "2h", "90s", "2 days 3", "1:30", "1 000", "PT10M", "P1DT2H", "P1M", "PT5"),
    *("long", "", " 5 ", "1w2d3h4m5s", "3 months", "-5", "5 m 6 h", "99999999 m", "1.5h"),
]
_TIMES: Final = [
    *("20300101120000Z", "2030-01-01T12:00:00Z", "2030-01-01 12:00:00", "2030-01-01T12:00:00+0130", "tomorrow", ""),
    *("20301301000000Z", "2030-01-01T12:00:00.5Z", "2030-01-01T12:00", "20300101T120000Z"),
    *("Tue Jan  1 12:00:00 2030", "Tue, 01 Jan 2030 12:00:00 GMT", "19691231235959Z"),
]
_PIECES: Final = [
    *("0", "1", "5", "60", "2147483647", "2147483648", "24856", " ", "  ", "\t", ",", ".", ":", "-", "x", "é"),
    *("h", "m", "s", "d", "w", "H", "M", "S", "D", "W", "P", "T", "PT", "Y"),
    *(" hours", " min", " sec", " days", " weeks", " and "),
]
_ISO: Final = [*"T0156", "1H", "1M", "1S", "1D", "1W", "1Y", "99Y", "35791395M", "30D", "7"]
_MARKS: Final = list("0123456789 -+:TZ.tzé")
_SCHEMES: Final = [
    *("http", "https", "gsiftp", "srm", "root", "ftp", "rucio", "file", "HTTP", "foo", "s3", "ldap", "lfc"),
    *("rc", "arc", "dav", "davs", "link", "urllist", "fireman", "httpg", "acix"),
]
_HOSTS: Final = [
    "h",
    "H.example",
    "h:8080",
    "h:",
    "h:x",
    "[::1]",
    "[::1]:80",
    "u@h",
    "u:p@h",
    "h;a=b",
    "h:1;b=2;a=1",
    "h;c",
    "h:99999999999",
    "h:80x;a=b",
    "h;a=b;a=c;;=d",
    "u@v@h",
    "é",
    " h",
    "[::1",
    "",
]
_PATHS: Final = [
    "",
    "/",
    "/a",
    "/a/b",
    "/a?x=1&b=2",
    "/a@b",
    "/a b",
    "/a%20b",
    "/a:checksumtype=x:checksumvalue=y",
    "//a",
    "/a=b:c",
    "/a#b",
    "/a?SFN=/b/c",
    "/a:guid=1:b",
    "/é",
    ":",
    "?a",
]


def _periods() -> st.SearchStrategy[str]:
    made = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join)
    iso = st.lists(st.sampled_from(_ISO), max_size=5).map(lambda parts: "P" + "".join(parts))
    return st.sampled_from(_PERIODS) | made | iso


def _times() -> st.SearchStrategy[str]:
    """Times, and such as are wrong in one place, but not in the year: we have none before the first."""
    spoilt = st.builds(
        lambda text, at, mark, width: text[:at] + mark + text[at + width :],
        st.sampled_from([text for text in _TIMES if text]),
        st.integers(4, 30),
        st.sampled_from(["", *_MARKS]),
        st.integers(0, 1),
    )
    return st.sampled_from(_TIMES) | spoilt


def _urls() -> st.SearchStrategy[str]:
    whole = st.builds("{}://{}{}".format, *map(st.sampled_from, (_SCHEMES, _HOSTS, _PATHS)))
    return whole | st.sampled_from(["", "a", "/tmp/a", "file:/tmp/a", "x:y", "http:a", "#a", "12", "12.34", "*.*"])


_TEXTS: Final = st.sampled_from(_PLAIN) | st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=8
)


def _quoted(text: str, style: int) -> str:
    if style == 0:
        return '"' + text.replace('"', '""') + '"'
    if style == 1:
        return "'" + text.replace("'", "''") + "'"
    if style == 2:
        return "^~" + text.replace("~", "~~") + "~"
    if style == 3 and len(text) > 1:
        return f"{_quoted(text[:1], 0)}#{_quoted(text[1:], 1)}"
    return text if text.isalnum() else f'"{text.replace(chr(34), chr(34) * 2)}"'


def _value(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(_quoted, strategy, st.integers(0, 4))


_STRING: Final = _value(_TEXTS)
_OPTIONS: Final = [
    *("cache=no", "threads=2", "a=b", "x=", "preserve=yes", "delegationid=d", "location=ftp://x", "location=", "a=b=c"),
    *("mandatory=true", "useiffailure=true", "exec=yes", "=y", "a b=;/"),
]
_ROW: Final = st.lists(_STRING, min_size=1, max_size=3).map(lambda row: f"({' '.join(row)})")
_FILE: Final = st.builds(
    lambda name, url, options: f"({' '.join([name, url, *options])})",
    _value(st.sampled_from(["a", "b", "run.sh", "dir/", "/", "@list", "a b", ""])),
    _value(_urls()),
    st.lists(_value(st.sampled_from(_OPTIONS)), max_size=2),
)


def _several(strategy: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(strategy, max_size=most).map(" ".join)


def _named(names: str, strategy: st.SearchStrategy[str], operators: str = "= = = =") -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, operator, value: f"({name}{operator}{value})",
        st.sampled_from(names.split()),
        st.sampled_from(operators.split()),
        strategy,
    )


_RELATIONS: Final = "= >= > < <= !="
_ATTRIBUTE: Final = st.one_of(
    _named("executable stdin stdout stderr gmlog jobname architecture Job_Name", _STRING),
    _named("arguments", _several(_STRING)),
    _named("memory disk rerun priority count countpernode", _value(st.sampled_from(_NUMBERS))),
    _named("cputime walltime lifetime gridtime", _value(_periods())),
    _named("starttime", _value(_times())),
    _named("inputfiles outputfiles", _several(_FILE)),
    _named("environment", _several(_ROW)),
    _named("runtimeenvironment opsys middleware", _several(_STRING, 2), _RELATIONS),
    _named("queue delegationid", _STRING, "= = !="),
    _named("executables", _several(_value(st.sampled_from(["a", "b", "run.sh"])))),
    _named("join dryrun exclusiveexecution cache", st.sampled_from(["yes", "no", "true", "YES", '""', "x"])),
    _named("ftpthreads", st.sampled_from(["1", "10", "11", "x"])),
    _named("notify", _value(st.sampled_from(["a@x", "be a@x", "z a@x", "b a@x b@y", "b", "bb a@x c"]))),
    _named("nodeaccess", _several(st.sampled_from(["inbound", "outbound", "none"]))),
    _named("jobreport credentialserver", _value(_urls())),
    _named("acl", _value(st.sampled_from(["<a/>", "<a><b>c</b></a>", "x", "<a", "<a b='c'>é</a>"]))),
    _named("benchmarks", _several(st.sampled_from(["(a 1 5)", '(b x "1 hour")', "(c 2)", "(d 1.5 PT1M)"]))),
    _named("action", st.sampled_from(["request", "cancel", "x"])),
    _named("nosuch maxcputime cluster hostname", _several(_STRING)),
    _named("rslsubstitution", st.sampled_from(["(A x)", "(B $(A)y)", "(A x)(B y)", "(A)"])),
    _named("jobname arguments", st.sampled_from(["$(A)", "x$(A)y", '"a"#$(B)', "$(A) # b", '"a"#"b"'])),
    _named("jobname arguments", st.sampled_from(["(* c *)a(* d *)b", "^(a(", "a(* c *)", "a\r\nb"])),
    st.just("(* comment (* with its mark *)"),
)  # fmt: skip


def _branch(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    several = st.lists(children, min_size=1, max_size=3)
    return st.builds(lambda sign, items: f"({sign}{''.join(items)})", st.sampled_from("&|"), several)


_ITEM: Final = st.recursive(_ATTRIBUTE, _branch, max_leaves=4)
_JOB: Final = st.builds(
    lambda start, items: f"&{start}{''.join(items)}",
    st.sampled_from(["(executable=/bin/true)", "", "(* c *)"]),
    st.lists(_ITEM, min_size=1, max_size=5),
)


def xrsl() -> st.SearchStrategy[str]:
    """One job, sometimes several."""
    return (
        _JOB
        | _JOB
        | _JOB
        | st.lists(_JOB, min_size=1, max_size=3).map(lambda jobs: "+" + "".join(f"({job})" for job in jobs))
    )


# --- ADL ------------------------------------------------------------------------------------------------------------


def _escaped(text: str) -> str:
    if text == "b":
        return "<!-- c -->b<?p i?>"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _leaf(names: str, strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, text: f"<{name}>{_escaped(text)}</{name}>", st.sampled_from(names.split()), strategy
    )  # fmt: skip


def _inside(names: str, *children: st.SearchStrategy[str], attributes: str = "") -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, attribute, items: f"<{name}{attribute}>{''.join(items)}</{name}>",
        st.sampled_from(names.split()),
        st.sampled_from(["", "", *([f" {attributes}"] if attributes else [])]),
        st.lists(st.one_of(*children), max_size=4),
    )


_FLAG: Final = st.sampled_from(["true", "false", "1", "0", "yes", "", "TRUE"])
_NUMBER: Final = st.sampled_from([*_NUMBERS, "1073741824", "1048577", "18446744073709551616", "-1048576"])
_OPTION: Final = _inside(
    "Option", _leaf("Name Value", st.sampled_from(["a", "b", "location", "mandatory", "http://x/y"]))
)
_IDENTITY: Final = _inside(
    "ActivityIdentification", _leaf("Name Description Type Annotation ng:ActivityOldID ng:Name", _TEXTS)
)
_APPLICATION: Final = _inside(
    "Application",
    _leaf("Input Output Error ng:LoggingDirectory LoggingDirectory", _TEXTS),
    _leaf("ng:Rerun ng:Priority", _NUMBER),
    _leaf("WipeTime", _periods()),
    _leaf("ExpirationTime ng:StartTime", _times()),
    _leaf("ng:DryRun", _FLAG),
    _leaf("ng:AccessControl", st.sampled_from(["<a/>", "x", "<a b='c'/>"])),
    _leaf("ng:CredentialService", _urls()),
    _inside("Executable", _leaf("Path Argument", _TEXTS), _leaf("FailIfExitCodeNotEqualTo", _NUMBER)),
    _inside("PreExecutable PostExecutable", _leaf("Path Argument", _TEXTS), _leaf("FailIfExitCodeNotEqualTo", _NUMBER)),
    _inside(
        "Notification",
        _leaf("Protocol", st.sampled_from(["email", "email", "email", "jabber"])),
        _leaf("Recipient", st.sampled_from(["a@x", "b@y", "", "c"])),
        _leaf("OnState", st.sampled_from(["PREPROCESSING", "PROCESSING", "TERMINAL", "ACCEPTED", "PROCESSING:QUEUED"])),
        attributes='optional="true"',
    ),
    _inside("Environment", _leaf("Name Value", _TEXTS)),
    _inside("RemoteLogging", _leaf("URL", _urls()), _leaf("ServiceType", _TEXTS), attributes='optional="true"'),
)
_RESOURCES: Final = _inside(
    "Resources",
    _leaf("Platform QueueName Coprocessor", _TEXTS),
    _leaf("NodeAccess", st.sampled_from(["inbound", "outbound", "inoutbound", "", "x"])),
    _leaf("IndividualPhysicalMemory IndividualVirtualMemory DiskSpaceRequirement", _NUMBER),
    _leaf("IndividualCPUTime TotalCPUTime WallTime", _NUMBER),
    _leaf("RemoteSessionAccess", _FLAG),
    _inside("SlotRequirement", _leaf("NumberOfSlots SlotsPerHost", _NUMBER)),
    _inside("RuntimeEnvironment", _leaf("Name Version Option", _TEXTS), attributes='optional="false"'),
    _inside("OperatingSystem", _leaf("Name Version Family", _TEXTS)),
    _inside(
        "ParallelEnvironment",
        _leaf("Type Version", _TEXTS),
        _leaf("ProcessesPerSlot ThreadsPerProcess", _NUMBER),
        _OPTION,
    ),
)
_STAGING: Final = _inside(
    "DataStaging",
    _leaf("ClientDataPush", _FLAG),
    _leaf("ng:DelegationID", _TEXTS),
    _inside(
        "InputFile",
        _leaf("Name", _TEXTS | _urls()),
        _leaf("IsExecutable", _FLAG),
        _inside("Source", _leaf("URI", _urls()), _leaf("DelegationID", _TEXTS), _OPTION),
    ),
    _inside(
        "OutputFile",
        _leaf("Name", _TEXTS),
        _inside(
            "Target",
            _leaf("URI", _urls()),
            _leaf("Mandatory UseIfSuccess UseIfFailure UseIfCancel", _FLAG),
            _leaf("CreationFlag", st.sampled_from(["overwrite", "append", "dontOverwrite", "", "x"])),
            _leaf("DelegationID", _TEXTS),
            _OPTION,
        ),
    ),
)


def adl() -> st.SearchStrategy[str]:
    """The inside of an ``ActivityDescription``."""
    return st.lists(st.one_of(_IDENTITY, _APPLICATION, _RESOURCES, _STAGING), max_size=4).map("".join)
