"""``arctest``: submit simple test jobs, and show the user's credential."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from arex.cli import arcsub, options, submitting
from arex.cli.output import document, local_time, say
from arex.cli.site import Site
from arex.errors import ArexError

_COUNT: Final = "i=0; end=$(( $(date +%s) + $1 )); while [ $(date +%s) -lt $end ]; do i=$((i+1)); done; echo $i rounds"
_LOOK: Final = "echo user; id; echo; echo host; uname -a; echo; echo limits; ulimit -a; echo; env | sort"
#: Scripts of the test jobs by the number after -J; ``$1`` is the run time in seconds.
JOBS: Final = {1: _COUNT, 2: _LOOK}


class NoSuchTest(ArexError):
    """There is no test job with this number."""


@click.command(context_settings=options.CONTEXT)
@click.option(
    "-J",
    "--job",
    "number",
    type=int,
    help="Test job: 1 counts for some time, 2 prints user, host, limits and environment.",
)
@click.option(
    "-r", "--runtime", type=click.IntRange(min=0), default=1, help="Run time of test job 1 in minutes (default: 1)."
)
@click.option("-E", "--certificate", is_flag=True, help="Print information about the user's credential.")
@click.option(
    "-o", "--jobids-to-file", "id_file", type=click.Path(path_type=Path), help="Append the job id to this file."
)
@click.option("-w", "--wait", is_flag=True, help="Wait until the job has ended; the exit code is 1 if it has failed.")
@options.instead_of_submission
@options.lenient
@options.joblist
@options.endpoint
@options.common
def command(
    *,
    number: int | None,
    runtime: int,
    certificate: bool,
    id_file: Path | None,
    dryrun: bool,
    dumpdescription: bool,
    wait: bool,
    lenient: bool,
    joblist: Path | None,
    as_json: bool,
    config: Path | None,
    timeout: int | None,
    debug: int,
    **where: object,
) -> int:
    """Submit a test job, or show the credential."""
    site = Site(config, joblist, debug)
    if certificate:
        return _credential(site, as_json=as_json)
    if number is None:
        raise click.UsageError("Nothing to do: use -J with the number of a test job, or -E to print the credential")
    arcsub.check_endpoint(site, where)
    sources = [submitting.DescriptionSource(f"test job {number}", description(number, runtime).encode())]
    if dumpdescription:
        return arcsub.dump(site, sources, lenient=lenient)
    request = submitting.SubmissionRequest(dryrun=dryrun, id_file=id_file, quiet=as_json, lenient=lenient)
    results = submitting.submit(site, sources, request)
    ended_well = not (wait and results.jobs) or arcsub.ended_well(site, [job.id for job in results.jobs], timeout)
    if as_json:
        submitting.print_document(site, results, request)
    return 0 if ended_well and not results.refused else 1


def description(number: int, runtime_min: int) -> str:
    """
    The xRSL of a test job.

    Raises:
        NoSuchTest: there is no test job with this number.
    """
    if number not in JOBS:
        raise NoSuchTest(f'No test job, with ID "{number}": existing test jobs are {", ".join(map(str, JOBS))}')
    script = JOBS[number].replace('"', '""')
    return (
        f'&(executable=/bin/sh)(arguments="-c" "{script}" test "{runtime_min * 60}")(jobname="arctest{number}")'
        f'(stdout="stdout")(stderr="stderr")(gmlog="gmlog")(walltime={runtime_min + 10})(cputime={runtime_min + 10})'
    )


def _credential(site: Site, *, as_json: bool) -> int:
    found = site.plugin.credential
    if as_json:
        fields = ("path", "subject", "issuer", "identity", "expires", "has_key")
        credential = None if found is None else {name: getattr(found, name) for name in fields}
        document(owner=site.plugin.subject, credential=credential)
        return 0
    if found is None:
        say(site.plugin.credential_fault or "There is no certificate and no proxy.")
        say("Jobs on this host need none.")
    else:
        say("Certificate information:")
        say(f"  Certificate: {found.path}")
        say(f"  Subject name: {found.subject}")
        say(f"  Issuer: {found.issuer}")
        say(f"  Valid until: {local_time(found.expires)}")
        say(f"  Private key: {'yes' if found.has_key else 'no'}")
    say(f"Owner of new jobs: {site.plugin.subject}")
    return 0
