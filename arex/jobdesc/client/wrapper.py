"""
A script around a job, for what runs before and after it, and for variables that refer to others: services of ARC
support neither.

It is an input that the client writes. What it runs is in it word by word, so nothing expands an argument on its way;
only in a job with such variables, ``$NAME`` is expanded in the arguments of the executable, as in these variables.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from arex.errors import JobDescriptionError
from arex.jobdesc.model import InputFile, JobDescription, Program
from arex.jobdesc.shellwords import REFERENCE

_NAME: Final = "arex-wrapper"
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z_0-9]*)", re.ASCII)
#: An account without an entry keeps the home directory that the job has.
_HOME: Final = """\
account=$(id -un 2>/dev/null) || account=
case $account in
"" | *[!A-Za-z0-9._-]*) ;;
*) eval "HOME=~$account" ;;
esac
[ "${HOME#/}" != "$HOME" ] || HOME=$session
"""
_FAIL: Final = """\
failed() {{ # program, exit code: say so, and end with a code that does not count as success
  echo "$1 failed with exit code $2" >&2
  code=$2
  [ "$code" -ne {success} ] || code={other}
}}
"""


def wrapped(job: JobDescription) -> tuple[JobDescription, InputFile, bytes]:
    """
    The same job with the script in place of its executable; the script as an input file, and its text.

    The job is not started if a program before it fails. The programs after it run however it ended, and if one of them
    fails after a success, the job fails with its exit code. A program fails with any other exit code than the
    expected one; without an expected one, it cannot fail.

    Raises:
        JobDescriptionError: a word holds a NUL character.
    """
    name = _free_name({file.name for file in job.inputs} | {file.name for file in job.outputs})
    file = InputFile(name=name, executable=True)
    return replace(job, executable=name, arguments=(), before=(), after=(), expanded=()), file, script(job).encode()


def _free_name(taken: set[str]) -> str:
    names = (f"{_NAME}{number or ''}.sh" for number in range(len(taken) + 1))
    return next(name for name in names if name not in taken)


def script(job: JobDescription) -> str:
    """For any POSIX shell; the standard input is the job's alone."""
    success = job.exit_code or 0
    parts = ["#!/bin/sh\n", _FAIL.format(success=success, other=1 if success != 1 else 2), _exports(job)]
    parts += [_before(program) for program in job.before]
    words = [_path(job.executable), *map(_expanding if job.expanded else _quoted, job.arguments)]
    parts.append(f"{' '.join(words)}\ncode=$?\n" if job.executable else f"code={success}\n")
    parts += [_after(program, success) for program in job.after]
    parts.append('exit "$code"\n')
    return "".join(parts)


def _exports(job: JobDescription) -> str:
    """The variables, each with those before it. ``$HOME`` is the home directory of the account on the node."""
    if not job.expanded:
        return ""
    lines = [f"{name}={_expanding(value)}\nexport {name}\n" for name, value in job.expanded]
    return f"session=$HOME\n{_HOME}{''.join(lines)}HOME=$session\n"


def _before(program: Program) -> str:
    if program.exit_code is None:
        return f"{_command(program)} </dev/null\n"
    return (
        f"{_command(program)} </dev/null\nresult=$?\n"
        f'[ "$result" -eq {program.exit_code} ] || {{ failed {_quoted(program.path)} "$result"; exit "$code"; }}\n'
    )


def _after(program: Program, success: int) -> str:
    if program.exit_code is None:
        return f"{_command(program)} </dev/null\n"
    return (
        f"{_command(program)} </dev/null\nresult=$?\n"
        f'[ "$result" -eq {program.exit_code} ] || [ "$code" -ne {success} ] || '
        f'failed {_quoted(program.path)} "$result"\n'
    )


def _command(program: Program) -> str:
    return " ".join((_path(program.path), *map(_quoted, program.arguments)))


def _path(path: str) -> str:
    """As the job script of ARC finds it: in the session directory, unless it begins with a slash or a variable."""
    path = path.strip(" \t\n\r")
    if (match := _VARIABLE.match(path)) is not None:
        return f'"${{{match[1]}}}"{_quoted(path[match.end() :])}'
    return _quoted(path if path.startswith(("/", "./")) else f"./{path}")


def _expanding(word: str) -> str:
    """The word, with the values of variables for ``$NAME`` and ``${NAME}``; everything else is as written."""
    parts = []
    end = 0
    for match in REFERENCE.finditer(word):
        parts += [_quoted(word[end : match.start()]), f'"${{{match[1] or match[2]}}}"']
        end = match.end()
    return "".join(part for part in (*parts, _quoted(word[end:])) if part != "''") or "''"


def _quoted(word: str) -> str:
    if "\0" in word:
        raise JobDescriptionError(f"a NUL character is not allowed: {word[:80]!r}")
    return "'" + word.replace("'", "'\\''") + "'"
