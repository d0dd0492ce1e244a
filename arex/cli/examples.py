"""
Examples of commands: for their help, the reference and the manual pages. A test parses every line of them.

Commands on descriptions have theirs in their own modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click

#: By the place of the command, as ``arex.cli.entry`` loads it: command lines and what they do.
EXAMPLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "arex.cli.service:start": (
        ("arex start", "start the service with the configuration of the usual places"),
        ("arex start -c ./arc.conf", "start it with another configuration"),
    ),
    "arex.cli.service:status": (
        ("arex status", "show jobs and batch systems"),
        ("arex status --check", "for monitoring: exit code 1 or 3 if something is wrong"),
    ),
    "arex.cli.config:group": (
        ("arex config check", "find all errors of the configuration"),
        ("arex config show --defaults", "print the values in effect"),
        ("arex config explain maxjobs", "explain one option"),
    ),
    "arex.cli.ctl_rte:group": (
        ("arexctl rte list", "list all environments"),
        ("arexctl rte enable ENV/PROXY", "allow jobs to request one"),
    ),
    "arex.cli.ctl_cache:group": (
        ("arexctl cache stats", "show how full the cache is"),
        ("arexctl cache clean", "remove what exceeds its limits"),
    ),
    "arex.cli.ctl_job:group": (
        ("arexctl job list -l", "list the jobs of all owners with their states"),
        ("arexctl job log 21PKD", "print the log of the job whose id begins so"),
        ("arexctl job cleanall -s FINISHED", "remove all jobs that have ended"),
    ),
    "arex.cli.ctl_session:group": (("arexctl session usage", "show which jobs need the most space"),),
    "arex.cli.arcstat:command": (
        ("arcstat -a", "show all jobs"),
        ("arcstat -a -s Running", "show running jobs only"),
        ("arcstat -l hello", "show everything about one job, such as the reason of its failure"),
    ),
    "arex.cli.arcget:command": (
        ("arcget -J hello", "copy the results into ./hello and remove the job"),
        ("arcget -a -s Finished -D results", "copy the results of all successful jobs below ./results"),
    ),
    "arex.cli.arckill:command": (
        ("arckill hello", "cancel a job and remove its files"),
        ("arckill -k -a -s Running", "cancel all running jobs, and keep their files"),
    ),
    "arex.cli.archold:command": (("archold hello", "keep a job from starting"),),
    "arex.cli.archold:release": (("arcrelease -a", "let all held jobs start"),),
    "arex.cli.arcclean:command": (("arcclean -a -s Failed", "remove all failed jobs"),),
    "arex.cli.arccat:command": (
        ("arccat hello", "print the standard output"),
        ("arccat -F hello", "print new output as the job writes it"),
        ("arccat -l hello", "print the log of the service about the job"),
    ),
    "arex.cli.arcls:command": (
        ("arcls -l hello", "list the session directory"),
        ("arcls hello/results", "list a directory in it"),
        ("arcls -l davs://host.example.org/data/", "list a directory of a server"),
    ),
    "arex.cli.arccp:command": (
        ("arccp https://host.example.org/data/in.dat ./", "download a file into this directory"),
        ("arccp -i out.dat davs://host.example.org/data/", "upload a file under its name, and show the progress"),
        ("arccp -r results/ sftp://me@host.example.org/~/results/", "upload a directory"),
        ("arccp https://host.example.org/data/in.dat -", "print a file"),
    ),
    "arex.cli.arcrm:command": (("arcrm davs://host.example.org/data/old.dat", "remove a file"),),
    "arex.cli.arcmkdir:command": (("arcmkdir -p sftp://me@host.example.org/~/a/b", "create two directories"),),
    "arex.cli.arcrename:command": (
        ("arcrename davs://host.example.org/data/a davs://host.example.org/data/b", "rename a file"),
    ),
    "arex.cli.arcrenew:command": (("arcrenew -a", "give all jobs the current credential"),),
    "arex.cli.arcresume:command": (("arcresume hello", "rerun a failed job from where it failed"),),
    "arex.cli.arcsync:command": (("arcsync", "add missing jobs to the list of jobs"),),
    "arex.cli.arcinfo:command": (("arcinfo -l", "show the queues of this host with their limits"),),
    "arex.cli.arcproxy:command": (
        ("arcproxy", "create a proxy for 12 hours"),
        ("arcproxy -I", "show the current proxy"),
        ("arcproxy --local", "let ARC's own clients see jobs without a credential"),
    ),
    "arex.cli.arctest:command": (
        ("arctest -J 1", "submit the first test job"),
        ("arctest -E", "show the credential"),
    ),
}


def examples(command: click.Command, target: str) -> list[tuple[str, str]]:
    """All examples of a command, from here or from its own module, where a line says it all."""
    lines = str(getattr(command, "examples", "")).strip().splitlines()
    return [*EXAMPLES.get(target, ()), *((line, "") for line in lines)]


def epilog(target: str) -> str:
    """The examples of a command as the last part of its help; empty if there are none."""
    lines = EXAMPLES.get(target, ())
    width = max((len(line) for line, _ in lines), default=0)
    if not lines:
        return ""
    return "\n".join(["\b", "Examples:", *(f"  {line:{width}}  {about}" for line, about in lines)])
