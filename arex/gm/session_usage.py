"""Disk usage of session directories, and their limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from arex.config.service import ServiceBlock
from arex.controldir import trees
from arex.model.ids import JobId
from arex.model.session import LRMS, STAGING

MB: Final = 1024 * 1024
_BLOCK: Final = 512  # the unit of st_blocks on every file system
#: Directories that belong to a job: the session directory and these siblings, by suffix.
_SIBLINGS: Final = ("", LRMS, STAGING)


@dataclass(frozen=True, slots=True)
class Taken:
    """Disk space in bytes, as allocated by the file system, and number of inodes; hard links count their space once."""

    size: int = 0
    inodes: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.size + other.size, self.inodes + other.inodes)


def taken_by(root: Path, job: JobId) -> Taken:
    """Usage of one job below a session root; files that vanish or cannot be read do not count."""
    seen: set[int] = set()  #: inodes with several links
    size = inodes = 0
    for suffix in _SIBLINGS:
        for info in trees.measured(root / f"{job}{suffix}"):
            inodes += 1
            if info.st_ino not in seen:
                size += info.st_blocks * _BLOCK
                if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                    seen.add(info.st_ino)
    return Taken(size, inodes)


def session_names(root: Path) -> Iterator[JobId]:
    """
    Names of session directories. Skips their siblings, which have a suffix, and the directories of the service, which
    start with a dot.
    """
    if root.is_dir():
        yield from (JobId(path.name) for path in root.iterdir() if "." not in path.name and path.is_dir())


def over(taken: Taken, limits: ServiceBlock) -> str:
    """Message for the owner of a job that uses too much; empty if it is within the limits."""
    if limits.session_quota and taken.size > limits.session_quota * MB:
        size = -(-taken.size // MB)
        return f"The session directory takes {size} MB; this service allows {limits.session_quota} MB per job"
    if limits.session_inodes and taken.inodes > limits.session_inodes:
        return (
            f"The session directory has {taken.inodes} files and directories; this service allows "
            f"{limits.session_inodes} per job"
        )
    return ""


def shortage(root: Path, limits: ServiceBlock) -> str:
    """Why the file system of a session root has no room for another job; empty if it has, or if this is unknown."""
    if not limits.root_free and not limits.root_inodes:
        return ""
    try:
        disk = os.statvfs(root)
    except OSError:
        return ""  # the next operation there reports the error
    free = disk.f_bavail * disk.f_frsize
    if limits.root_free and free < limits.root_free * MB:
        return f"{root} has {free // MB} MB left; new jobs wait until there are {limits.root_free} MB"
    if limits.root_inodes and disk.f_files and disk.f_favail < limits.root_inodes:
        return f"{root} has {disk.f_favail} inodes left; new jobs wait until there are {limits.root_inodes}"
    return ""


def crowded(owner: str, by_owner: Taken, root: Path, by_root: Taken, limits: ServiceBlock) -> str:
    """Why an owner or a session root has reached the quota; empty if it has not."""
    if limits.owner_quota and by_owner.size > limits.owner_quota * MB:
        return (
            f"The jobs of {owner or 'this owner'} take {by_owner.size // MB} MB, more than the {limits.owner_quota} MB "
            "of one owner; clean finished jobs to make room"
        )
    if limits.root_quota and by_root.size > limits.root_quota * MB:
        return f"All jobs in {root} take {by_root.size // MB} MB, more than the {limits.root_quota} MB allowed there"
    return ""
