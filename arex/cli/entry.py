"""
Entry points of the commands. Each imports only its own module, so that for example ``arcsub`` starts quickly.

Every exception of a command is turned into one line on stderr and an exit code here.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arex.cli.examples import epilog
from arex.errors import ArexError
from arex.guard import refusal, shadowed_packages

if TYPE_CHECKING:
    import click

#: Each program with its ``module:command``.
COMMANDS: Final[Mapping[str, str]] = {
    "arex": "arex.cli.group:command",
    "arexctl": "arex.cli.ctl:command",
    "arcsub": "arex.cli.arcsub:command",
    "arcstat": "arex.cli.arcstat:command",
    "arcget": "arex.cli.arcget:command",
    "arckill": "arex.cli.arckill:command",
    "archold": "arex.cli.archold:command",
    "arcrelease": "arex.cli.archold:release",
    "arcclean": "arex.cli.arcclean:command",
    "arccat": "arex.cli.arccat:command",
    "arcls": "arex.cli.arcls:command",
    "arccp": "arex.cli.arccp:command",
    "arcrm": "arex.cli.arcrm:command",
    "arcmkdir": "arex.cli.arcmkdir:command",
    "arcrename": "arex.cli.arcrename:command",
    "arcrenew": "arex.cli.arcrenew:command",
    "arcresub": "arex.cli.arcresub:command",
    "arcresume": "arex.cli.arcresume:command",
    "arcsync": "arex.cli.arcsync:command",
    "arcinfo": "arex.cli.arcinfo:command",
    "arcproxy": "arex.cli.arcproxy:command",
    "arctest": "arex.cli.arctest:command",
    "arcrun": "arex.cli.arcrun:command",
}
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
INTERNAL: Final = 70


def load(target: str) -> click.Command:
    """The click command behind ``module:attribute``, with its examples at the end of its help."""
    module, _, attribute = target.partition(":")  # pkgutil has a function for it, and takes a millisecond to load
    command: click.Command = getattr(import_module(module), attribute)
    examples, more = epilog(target), command.epilog or ""
    if examples not in more:  # a command can be loaded twice
        command.epilog = f"{more}\n\n{examples}".strip()
    return command


def call(name: str, args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without ``args``, the command gets the arguments of this process."""
    try:
        command = load(COMMANDS[name])
        _no_document_yet()
        code = command.main(None if args is None else list(args), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ArexError as exc:
        _in_document(str(exc))
        return _tell(name, str(exc), exc.exit_code)
    except OSError as exc:
        what = (f"{exc.filename}: " if exc.filename else "") + (exc.strerror or str(exc))
        _in_document(what)
        _drop_unwritten()
        return _tell(name, what, 1)
    except Exception as exc:  # noqa: BLE001 - the last handler: every error ends here
        return _of_click(name, exc, sys.argv[1:] if args is None else args)
    return code if isinstance(code, int) else 0


def _of_click(name: str, exc: Exception, words: Sequence[str]) -> int:
    import click  # noqa: PLC0415 - already imported by the command

    from arex.cli.output import document_due  # noqa: PLC0415 - the same

    if isinstance(exc, click.Abort):
        return INTERRUPTED
    if isinstance(exc, click.ClickException):
        if isinstance(exc, click.UsageError) and exc.ctx is not None and "--json" in words:
            document_due.set(exc.ctx.command_path)  # options have not been processed
        _in_document(exc.format_message())
        exc.show()
        return exc.exit_code
    if os.environ.get("AREX_TRACEBACK"):
        raise exc
    what = f"internal error, please report: {type(exc).__name__}: {exc} (set AREX_TRACEBACK=1 to see the traceback)"
    return _tell(name, what, INTERNAL)


def _no_document_yet() -> None:
    from arex.cli.output import document_due  # noqa: PLC0415 - imported by the command

    document_due.set("")


def _in_document(what: str) -> None:
    """With ``--json``, an error that ends the command is also in the document on stdout."""
    from arex.cli.output import error_document  # noqa: PLC0415 - imported by the command

    with contextlib.suppress(OSError):
        error_document(what)
        sys.stdout.flush()


def _tell(name: str, what: str, code: int) -> int:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{name}: {what}\n")
    return code


def _pipe_closed() -> int:
    _drop_unwritten()
    return BROKEN_PIPE


def _drop_unwritten() -> None:
    """
    If stdout cannot be written (a closed pipe, a full disk), redirect it to /dev/null.

    Otherwise Python would try it again at exit, print a traceback, and exit with 120.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed_streams() -> None:
    """
    Open standard streams that the caller has closed (``>&-``, some cron daemons) on /dev/null.

    Otherwise Python has no object for them, and the next file that is opened would take their place: what a child
    process prints would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number; at exec it is open for children too
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _program(name: str) -> None:
    _open_closed_streams()
    if foreign := shadowed_packages(Path(__file__).resolve().parents[2]):
        raise SystemExit(_tell(name, refusal(foreign), INTERNAL))
    for stream in (sys.stdout, sys.stderr):
        # names of files and jobs can contain bytes that the terminal's encoding does not have
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    raise SystemExit(call(name))


def __getattr__(name: str) -> Callable[[], None]:
    """One function for each program, which its console script calls: ``arex.cli.entry:arcsub``."""
    if name not in COMMANDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(_program, name)
