"""What a client adds to the user's description before it sends it."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path

from arex.errors import JobDescriptionError
from arex.jobdesc.model import InputFile, JobDescription, Location, OutputFile
from arex.model.url import is_remote, local_path


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientUpload:
    """A file of the client that goes into the session directory."""

    path: Path  #: absolute
    name: str  #: relative to the session directory
    executable: bool = False
    content: bytes | None = None  #: what is in it, if it is no file of the client: nothing is read from ``path``


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedDescription:
    """A description that is ready to be sent, and the files that the client has to upload."""

    description: JobDescription  #: to be sent: no source is local
    record: JobDescription  #: to be kept: local sources are absolute paths
    uploads: tuple[ClientUpload, ...]

    @property
    def needs_delegation(self) -> bool:
        """Whether the service will act for the user: remote files, or a list of them that the job makes."""
        job = self.description
        return any(file.sources for file in job.inputs) or any(
            any(is_remote(target.url) for target in file.targets) or file.name.startswith("@") for file in job.outputs
        )


def complete(job: JobDescription, directory: Path) -> CompletedDescription:
    """
    Make relative executable and stdin inputs, stdout, stderr and gmlog outputs; find the local files.

    What runs before and after the job, and variables that refer to others, are put into a script, which is what the
    service gets to run.

    Args:
        job: as the user wrote it.
        directory: where relative local names start.

    Raises:
        JobDescriptionError: a local input is not a file that can be read.
    """
    record = replace(
        job,
        inputs=tuple(_local(file, directory) for file in _inputs(job, directory)),
        outputs=_outputs(job),
        alternatives=tuple(complete(other, directory).record for other in job.alternatives),
    )
    uploads = tuple(_uploads(record.inputs))
    for upload in uploads:
        if not _is_file(upload.path):
            raise JobDescriptionError(_why_not(upload.path, directory))
    if not (job.before or job.after or job.expanded):
        return CompletedDescription(description=_sent(record), record=record, uploads=uploads)
    from arex.jobdesc.client.wrapper import wrapped  # noqa: PLC0415 - few jobs have one

    sent, file, script = wrapped(record)
    sent = replace(sent, inputs=(*sent.inputs, file))
    made = ClientUpload(path=directory / file.name, name=file.name, executable=True, content=script)
    return CompletedDescription(description=_sent(sent), record=record, uploads=(*uploads, made))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long for a file name, or below a directory without permission
        return False


def _why_not(path: Path, directory: Path) -> str:
    """Why a file cannot be uploaded."""
    name = path.relative_to(directory) if path.is_relative_to(directory) else path
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        where = f" in {directory}" if name != path else ""
        return f"there is no file {name}{where} (the description wants it)"
    except OSError as exc:
        return f"the input file {path} cannot be read: {exc.strerror}"
    if stat.S_ISDIR(kind):
        return f"{name} is a directory: name its files one by one"
    return f"the input {path} is not a regular file"


def _inputs(job: JobDescription, directory: Path) -> list[InputFile]:
    programs = {name for name in (job.executable, *(one.path for one in (*job.before, *job.after))) if name}
    files = [
        replace(file, executable=True) if file.name in programs else file
        for each in job.inputs
        for file in (_matching(each, directory) if each.pattern else (each,))
    ]
    names = {file.name for file in files}
    if any(file.pattern for file in job.inputs) and len(names) < len(files):
        raise JobDescriptionError("Two input files have the same name: check the wildcards")
    others = [(one.path, True) for one in (*job.before, *job.after)]
    for name, executable in ((job.executable, True), (job.stdin, False), *others):
        if name and not name.startswith("/") and name not in names:
            files.append(InputFile(name=name, executable=executable))
            names.add(name)
    return files


def _matching(file: InputFile, directory: Path) -> Iterator[InputFile]:
    """The files of the client that match a wildcard, sorted by name; or the file with exactly this name."""
    pattern = local_path(file.sources[0].url)
    paths = [pattern] if _is_file(directory / pattern) else sorted(glob(pattern, root_dir=directory))  # noqa: PTH207
    found = [path for path in paths if _is_file(directory / path)]
    if not found:
        raise JobDescriptionError(f"No local input file matches {pattern!r}")
    for path in found:
        yield InputFile(name=Path(path).name, sources=(Location(url=path),), executable=file.executable)


def _outputs(job: JobDescription) -> tuple[OutputFile, ...]:
    listed = {file.name for file in job.outputs}
    # as ARC does: a joined stdout and stderr is added twice
    added = [OutputFile(name=name) for name in (job.stdout, job.stderr, job.gmlog) if name and name not in listed]
    return (*job.outputs, *added)


def _local(file: InputFile, directory: Path) -> InputFile:
    if file.sources and is_remote(file.sources[0].url):
        return file
    if file.announced:
        return file
    source = local_path(file.sources[0].url) if file.sources else file.name
    return replace(file, sources=(Location(url=str(directory / source)),))


def _uploads(files: Iterable[InputFile]) -> Iterable[ClientUpload]:
    for file in files:
        if file.sources and not is_remote(file.sources[0].url):
            yield ClientUpload(path=Path(file.sources[0].url), name=file.name, executable=file.executable)


def _sent(job: JobDescription) -> JobDescription:
    inputs = tuple(
        replace(file, sources=tuple(source for source in file.sources if is_remote(source.url))) for file in job.inputs
    )
    return replace(job, inputs=inputs, alternatives=())
