"""Creates jobs from descriptions: parses them, examines and completes them, and writes the first acceptable form."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

from arex.clock import Clock
from arex.controldir.delegations import user_name
from arex.controldir.layout import Place
from arex.errors import ArexError, ControlDirError, JobRefused
from arex.jobdesc import DescriptionDialect, JobDescription, parse
from arex.jobdesc.client.complete import CompletedDescription, complete
from arex.model.ids import JobId, job_id_of
from arex.model.labels import checked
from plugins.local.credentials import UserCredentials
from plugins.local.findings import Checks, refuse
from plugins.local.request import SubmissionOptions, adjusted, examined
from plugins.local.submission import Refused, Submitted, Writer
from plugins.local.view import View

_T = TypeVar("_T")
Description = str | bytes | JobDescription
#: The outcome of one description: a job, or the error.
Outcome = Submitted | Refused
_REFUSED_LIMIT: Final = "No more jobs allowed: maxjobs limits the number of jobs in the control directory"


class JobCreator:
    """Creates the jobs of one user in one control directory."""

    def __init__(self, view: View, clock: Clock, credentials: UserCredentials) -> None:
        self.config = view.config
        self.store = view.store
        self._view = view
        self._clock = clock
        self._credentials = credentials

    def creating(
        self,
        descriptions: Description | Iterable[Description],
        *,
        cwd: Path | None,
        queue: str,
        dryrun: bool,
        token: str,
        labels: Mapping[str, str] | None,
        strict: bool,
    ) -> Iterator[Outcome]:
        """One outcome after the other; see ``LocalPlugin.submit``."""
        options = SubmissionOptions(
            cwd=Path.cwd() if cwd is None else cwd, queue=queue, dryrun=dryrun, labels=checked(labels or {}),
            checks=Checks(self.config), strict=strict,
        )  # fmt: skip
        self._prepare()
        single = isinstance(descriptions, str | bytes | JobDescription)
        texts: Iterable[Description] = [descriptions] if single else descriptions  # type: ignore[list-item, assignment]
        room = self._room()
        numbers = count()
        for source, text in enumerate(texts):
            for job in self._jobs(text):
                wanted = job_id_of(token, next(numbers)) if token else None
                full = room is not None and room <= 0
                outcome = self._outcome(source, job, wanted, options, full=full)
                room = room - 1 if room is not None and isinstance(outcome, Submitted) else room
                yield outcome

    def _outcome(
        self,
        source: int,
        job: JobDescription | ArexError,
        wanted: JobId | None,
        options: SubmissionOptions,
        *,
        full: bool,
    ) -> Outcome:
        if isinstance(job, ArexError):
            return Refused(source=source, error=job)
        try:
            known = None if wanted is None else self._writer.known(source, wanted, job)
            if known is not None:
                return known
            if full:
                return Refused(source=source, error=JobRefused(_REFUSED_LIMIT))
            write = partial(self._writer.write, source, wanted=wanted)
            return self._first_accepted(adjusted(job, options), options, write)
        except ArexError as exc:
            return Refused(source=source, error=exc)

    def _prepare(self) -> None:
        root = self.store.root
        self.store.prepare(user_name(), correct=False)
        if not os.access(root / Place.ACCEPTING, os.W_OK):
            raise ControlDirError(f"Failed registering job in A-REX: cannot write {root / Place.ACCEPTING}")

    def _room(self) -> int | None:
        """How many more jobs ``maxjobs`` allows; None means no limit."""
        limit = self.config.arex.maxjobs.total
        return None if limit is None else limit - len(self._view.jobs())

    def _jobs(self, text: Description) -> Sequence[JobDescription | ArexError]:
        if isinstance(text, JobDescription):
            return [text]
        try:
            return parse(text, DescriptionDialect.USER, max_size=self.config.ws_jobs.maxjobdesc)
        except ArexError as exc:
            return [exc]

    @cached_property
    def _writer(self) -> Writer:
        return Writer(
            self.store, self.config, self._clock, subject=self._credentials.subject,
            always=self._credentials.brought is not None,
            delegations=lambda: self._credentials.delegations,
        )  # fmt: skip

    def _first_accepted(
        self, job: JobDescription, options: SubmissionOptions, use: Callable[[CompletedDescription], _T]
    ) -> _T:
        """
        Result of ``use`` for the description, or for the first of its alternatives that is not refused.

        Mistakes in the text concern all of them; what this service does not have concerns one.
        """
        if options.strict:
            refuse(job.warnings)
        refusal: ArexError | None = None
        for candidate in (replace(job, alternatives=()), *job.alternatives):
            try:
                return use(complete(self._resolved(examined(candidate, options)), options.cwd))
            except ControlDirError:
                raise  # affects all alternatives
            except ArexError as exc:
                refusal = refusal or exc
        assert refusal is not None
        raise refusal

    def _resolved(self, job: JobDescription) -> JobDescription:
        """Replace relations such as ``>=`` by the names of installed runtime environments, since ADL only has names."""
        if all(runtime.relation == "=" for runtime in job.resources.runtimes):
            return job
        from arex.jobdesc.software import resolve_runtimes  # noqa: PLC0415 - few descriptions need it
        from arex.rte import installed  # noqa: PLC0415 - the same

        return resolve_runtimes(job, installed(self.store.root))

    def describe(
        self, text: Description, *, cwd: Path | None = None, queue: str = "", strict: bool = False
    ) -> list[str]:
        """
        The ADL documents that ``submit`` would write.

        Raises:
            JobDescriptionError, JobRefused: ``submit`` would fail.
        """
        documents = []
        options = SubmissionOptions(
            cwd=Path.cwd() if cwd is None else cwd, queue=queue, checks=Checks(self.config), strict=strict
        )
        for job in self._jobs(text):
            if isinstance(job, ArexError):
                raise job
            documents.append(self._first_accepted(adjusted(job, options), options, self._document))
        return documents

    def _document(self, ready: CompletedDescription) -> str:
        self._writer.admit(ready.description)
        return self._writer.adl(ready.description).decode()
