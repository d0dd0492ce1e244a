"""One request for many jobs: each is tried, failures are reported, and the results are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from arex.cli.output import document, say
from arex.cli.select import Chosen
from arex.cli.site import Site
from arex.errors import ArexError, NoSuchJob


@dataclass(slots=True)
class Tally:
    """What became of the jobs of one command."""

    done: list[Chosen] = field(default_factory=list)
    failed: list[tuple[Chosen, str]] = field(default_factory=list)

    @property
    def processed(self) -> int:
        return len(self.done) + len(self.failed)

    @property
    def exit_code(self) -> int:
        """0 if there was at least one job and none failed."""
        return 0 if self.done and not self.failed else 1


def each(site: Site, jobs: Sequence[Chosen], act: Callable[[Chosen], None], *, gone_is_fine: bool = False) -> Tally:
    """Call ``act`` for every job, also after a failure. ``gone_is_fine``: jobs that no longer exist count as done."""
    tally = Tally()
    for job in jobs:
        try:
            if isinstance(job.status, ArexError) and not (gone_is_fine and isinstance(job.status, NoSuchJob)):
                raise job.status
            act(job)
        except (ArexError, OSError) as exc:
            tally.failed.append((job, str(exc)))
            site.error(f"{job.url}: {exc}")
        else:
            tally.done.append(job)
    return tally


def report(tally: Tally, summary: str, *, as_json: bool, **more: object) -> None:
    """The last line of a command, or all of it as JSON."""
    if not as_json:
        say(summary)
        return
    document({
        "done": [{"id": job.url, "name": job.name} for job in tally.done],
        "failed": [{"id": job.url, "name": job.name, "error": why} for job, why in tally.failed],
        **more,
    })  # fmt: skip
