"""``arcproxy``: create a proxy from a certificate and its key, and show the contents of a proxy."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from arex.cli import options
from arex.cli.output import document, local_time, printable, remark, say
from arex.clock import SystemClock
from arex.errors import ArexError, CredentialError

if TYPE_CHECKING:
    from arex.credentials import Credential
    from arex.credentials.chain import Finding

_F = TypeVar("_F", bound=Callable[..., Any])

_AUTHORITIES: Final = "/etc/grid-security/certificates"
_PLACES: Final = (".arc/usercert.pem", ".globus/usercert.pem", ".arc/usercred.p12", ".globus/usercred.p12")
_ELSEWHERE: Final = (
    "arcproxy of arex cannot request VOMS attributes: create the proxy with 'voms-proxy-init -voms VO' (package "
    "voms-clients); arex can use it"
)
_IGNORED: Final = "Ignored,"
_NO_NSS: Final = (
    "arcproxy of arex cannot use the certificate store of a browser: export the certificate to a file, and use -C"
)
_NO_MYPROXY: Final = "arcproxy of arex does not support MyProxy servers: use 'myproxy-logon' or ARC's own arcproxy"
_EPILOG: Final = """\b
Constraints (-c NAME=VALUE): validityStart, validityEnd (2026-11-20T10:20:30Z), validityPeriod (43200, 12h),
proxyPolicy, proxyPolicyFile, keybits (or inherit), signingAlgorithm (such as sha256, or inherit). In addition to
those of ARC: policyLanguage (inheritAll, limited, independent, or a number), pathLength, curve (256, 384, 521).
\b
Items (-i NAME): subject, identity, issuer, ca, path, type, validityStart, validityEnd, validityPeriod,
validityLeft, vomsVO, vomsSubject, vomsIssuer, vomsACvalidityStart, vomsACvalidityEnd, vomsACvalidityPeriod,
vomsACvalidityLeft, proxyPolicy, keybits, signingAlgorithm.
"""


class Elsewhere(ArexError):
    """A function of ARC's arcproxy that arex does not have; another program is needed."""


def _refused(error: str) -> Callable[[click.Context, click.Parameter, object], None]:
    """A callback that ends the command if its option is used."""

    def refuse(ctx: click.Context, param: click.Parameter, value: object) -> None:
        del ctx, param
        used = (
            any(value) if isinstance(value, tuple) else value not in {None, "", False}
        )  # -S "" asks for no VOMS server
        if used:
            raise Elsewhere(error)

    return refuse


def _of_arc(function: _F) -> _F:
    """Add the options of ARC for functions that arex does not have; an error names the program that has them."""
    voms, myproxy, nss = _refused(_ELSEWHERE), _refused(_NO_MYPROXY), _refused(_NO_NSS)
    path, ours = click.Path(), "Not supported: use "
    for option in reversed((
        click.option("-S", "--voms", multiple=True, expose_value=False, callback=voms, help=f"{ours}voms-proxy-init."),
        click.option("-o", "--order", multiple=True, expose_value=False, callback=voms, help=f"{ours}voms-proxy-init."),
        click.option("-V", "--vomses", type=path, expose_value=False, help=f"{_IGNORED} as there is no -S."),
        click.option("-s", "--vomsdir", type=path, expose_value=False, help=f"{_IGNORED} as there is no -S."),
        click.option("-G", "--gsicom", is_flag=True, expose_value=False, help=f"{_IGNORED} as there is no -S."),
        click.option("-H", "--httpcom", is_flag=True, expose_value=False, help=f"{_IGNORED} as there is no -S."),
        click.option("-B", "--oldcom", is_flag=True, expose_value=False, help=f"{_IGNORED} as there is no -S."),
        click.option("-O", "--old", is_flag=True, expose_value=False, help="Ignored; accepted for compatibility with "
            "ARC."),
        click.option("-L", "--myproxysrv", expose_value=False, callback=myproxy, help=f"{ours}myproxy-logon."),
        click.option("-M", "--myproxycmd", expose_value=False, callback=myproxy, help=f"{ours}myproxy-logon."),
        click.option("-U", "--user", expose_value=False, help=f"{_IGNORED} as there is no -L."),
        click.option("-N", "--nopassphrase", is_flag=True, expose_value=False, help=f"{_IGNORED} as there is no -L."),
        click.option("-R", "--retrievable_by_cert", expose_value=False, help=f"{_IGNORED} as there is no -L."),
        click.option("-F", "--nssdb", is_flag=True, expose_value=False, callback=nss, help="Not supported: export the "
            "certificate to a file, and use -C."),
    )):  # fmt: skip
        function = option(function)
    return function


@click.command(context_settings=options.CONTEXT, epilog=_EPILOG)
@click.option(
    "-P",
    "--proxy",
    "path",
    type=click.Path(path_type=Path),
    help="Proxy file (default: $X509_USER_PROXY, or /tmp/x509up_u<uid>).",
)
@click.option("-C", "--cert", type=click.Path(path_type=Path), help="Certificate file: PEM, DER or PKCS#12.")
@click.option(
    "-K", "--key", type=click.Path(path_type=Path), help="Private key file, if the key is not in the certificate file."
)
@click.option(
    "-T",
    "--cadir",
    type=click.Path(path_type=Path),
    help="Directory with the certificates of trusted authorities, for --check.",
)
@click.option("-I", "--info", is_flag=True, help="Print all information about the proxy.")
@click.option(
    "-i",
    "--infoitem",
    "items",
    multiple=True,
    metavar="NAME",
    help="Print one item of information; see the list of items below.",
)
@click.option(
    "-c",
    "--constraint",
    "constraints",
    multiple=True,
    metavar="NAME=VALUE",
    help="Constraint of the new proxy; see below.",
)
@click.option("-p", "--passwordsource", "sources", multiple=True, metavar="key=SOURCE",
              help="Source of the passphrase: int (the terminal), stdin, file:NAME, stream:0.")  # fmt: skip
@click.option("-r", "--remove", is_flag=True, help="Remove the proxy.")
@click.option(
    "--check", is_flag=True, help="Verify the proxy and its chain up to the authority, and print the problems."
)
@click.option(
    "--local",
    is_flag=True,
    help="Create a local identity in ~/.arc/local-identity.pem, or in the file of -P: "
    "with it, ARC's own clients can show and control the jobs that you submit without a credential.",
)
@_of_arc
@options.json_option
@click.option("-z", "--conffile", type=click.Path(), expose_value=False,
              help="Ignored; accepted for compatibility with ARC.")  # fmt: skip
@click.option("-t", "--timeout", type=int, expose_value=False, help="Ignored; accepted for compatibility with ARC.")
@click.option("-d", "--debug", expose_value=False, help="Ignored; accepted for compatibility with ARC.")
@click.version_option(None, "-v", "--version", package_name="arex", message="%(prog)s %(version)s")
def command(
    *,
    path: Path | None,
    cert: Path | None,
    key: Path | None,
    cadir: Path | None,
    info: bool,
    items: tuple[str, ...],
    constraints: tuple[str, ...],
    sources: tuple[str, ...],
    remove: bool,
    check: bool,
    local: bool,
    as_json: bool,
) -> int:
    """
    Create a proxy: a short-lived certificate with which services can act in your name.

    Without -C and -K, arcproxy uses the certificate $X509_USER_CERT with $X509_USER_KEY, or the one in ~/.arc or
    ~/.globus. It writes the proxy to $X509_USER_PROXY, or to /tmp/x509up_u<uid>.
    """
    from arex.credentials.file import proxy_path  # noqa: PLC0415 - not needed for the help

    where = path or (_local_path() if local else proxy_path())
    if remove:
        return _remove(where)
    now = SystemClock().now()
    if info or items or check:
        return _tell(where, items, cadir, now, info=info, check=check, as_json=as_json)
    if local:
        return _make_local(where, constraints, now, as_json=as_json)
    return _make(where, _certificate(cert, key), constraints, sources, now, as_json=as_json)


def _remove(path: Path) -> int:
    try:
        path.unlink()
    except FileNotFoundError as exc:
        raise CredentialError(f"Cannot remove proxy file at {path}, because it's not there") from exc
    return 0


# --- what is there --------------------------------------------------------------------------------------------------


def _tell(
    path: Path, items: Sequence[str], cadir: Path | None, now: datetime, *, info: bool, check: bool, as_json: bool
) -> int:
    from arex.cli import proxyinfo  # noqa: PLC0415 - it needs cryptography
    from arex.credentials.file import content  # noqa: PLC0415

    if not path.exists():
        raise CredentialError(f"Cannot find file at {path} for getting the proxy. Please make sure this file exists.")
    shown = proxyinfo.load(path, content(path))
    unknown = [item for item in items if item not in proxyinfo.ITEMS]
    findings = _findings(path, shown.credential.pem, cadir, now) if check else []
    if as_json:
        document(credential=proxyinfo.document(shown, now), findings=findings if check else None)
    else:
        texts = list(proxyinfo.lines(shown, now)) if info else []
        texts += [proxyinfo.ITEMS[item](shown, now) for item in items if item not in unknown]
        for text in texts:
            say(text)
        for finding in findings:
            say(f"Problem: {printable(str(finding))}")
        if check and not findings:
            say("No problems found with this proxy.")
    for item in unknown:
        remark(f"ERROR: Information item '{printable(item)}' is not known")
    return 1 if unknown or findings else 0


def _findings(path: Path, pem: bytes, cadir: Path | None, now: datetime) -> list[Finding]:
    from arex.credentials import chain  # noqa: PLC0415 - it needs cryptography

    return chain.check(path, pem, cadir or Path(os.environ.get("X509_CERT_DIR") or _AUTHORITIES), now)


# --- a new one ------------------------------------------------------------------------------------------------------


def _certificate(cert: Path | None, key: Path | None) -> tuple[Path, Path | None]:
    """Paths of the user's certificate and key: those in the options, or those in ARC's default places."""
    if cert is not None:
        return cert, key
    if named := os.environ.get("X509_USER_CERT"):
        other = os.environ.get("X509_USER_KEY")
        return Path(named), key or (Path(other) if other else None)
    home = Path(os.environ.get("HOME") or "~").expanduser()
    for place in _PLACES:
        if (found := home / place).exists():
            beside = found.with_name("userkey.pem")
            return found, key or (beside if found.suffix == ".pem" and beside.exists() else None)
    raise CredentialError(f"no certificate found in {home}/.arc or {home}/.globus: name it with -C and its key with -K")


def _make(
    path: Path,
    given: tuple[Path, Path | None],
    constraints: Sequence[str],
    sources: Sequence[str],
    now: datetime,
    *,
    as_json: bool,
) -> int:
    from arex.cli.constraints import parse  # noqa: PLC0415 - it needs cryptography
    from arex.credentials import proxy, signer  # noqa: PLC0415
    from arex.credentials.file import from_pem  # noqa: PLC0415

    wish = parse(constraints, now)
    by = signer.read(*given, _Passphrase(sources))
    if by.certificate.not_valid_after_utc <= now:
        raise CredentialError(f"the certificate {given[0]} expired at {local_time(by.certificate.not_valid_after_utc)}")
    pem = proxy.make(by, wish)
    made = from_pem(path, pem)
    if wish.ends < now:
        remark("WARNING: the end time that you set has passed: no service will accept this proxy")
    proxy.write(path, pem)
    if as_json:
        document(credential=_facts(made))
        return 0
    say(f"Your identity: {made.identity}")
    say("Proxy generation succeeded")
    say(f"Your proxy is valid until: {local_time(made.expires)}")
    return 0


def _local_path() -> Path:
    from arex.credentials.local_identity import default_path  # noqa: PLC0415 - not needed for the help

    return default_path(Path(os.environ.get("HOME") or "~").expanduser())


def _make_local(path: Path, constraints: Sequence[str], now: datetime, *, as_json: bool) -> int:
    from arex.cli.constraints import only_period  # noqa: PLC0415 - it needs cryptography
    from arex.credentials import local_identity  # noqa: PLC0415
    from arex.credentials.file import proxy_path  # noqa: PLC0415

    period = only_period(constraints)
    made = local_identity.write(path, local_identity.make(now, period or local_identity.LIFETIME))
    if as_json:
        document(credential=_facts(made))
        return 0
    say(f"Your local identity: {made.identity}")
    say(f"It is valid until: {local_time(made.expires)}")
    if proxy_path() != path:
        remark("Run this command before you use ARC's clients:")
        say(f"export X509_USER_PROXY={shlex.quote(str(path))}")
    return 0


def _facts(made: Credential) -> dict[str, object]:
    return {"identity": made.identity, "path": made.path, "subject": made.subject, "validityEnd": made.expires}


class _Passphrase:
    """The passphrase of the key, read when the object is called, and so only if it is needed."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._source = "int"
        for text in sources:
            to, _, source = text.partition("=")
            if to not in {"key", "all", "myproxy", "myproxynew"}:
                raise click.UsageError(f"unknown password type {to!r}: expected key or all")
            if to in {"key", "all"}:
                self._source = source

    def __call__(self) -> bytes:
        source = self._source
        if source == "int":
            return self._asked()
        if source in {"stdin", "stream:0"}:
            return sys.stdin.buffer.readline().rstrip(b"\r\n")
        if source.startswith("file:"):
            return Path(source.removeprefix("file:")).read_bytes().partition(b"\n")[0].rstrip(b"\r")
        if source.startswith('"'):
            raise CredentialError(
                "a passphrase on the command line is visible to all users of this host: use -p key=stdin or -p "
                "key=file:NAME"
            )
        raise click.UsageError(f"unknown password source {source!r}: expected int, stdin, file:NAME or stream:0")

    @staticmethod
    def _asked() -> bytes:
        if not sys.stdin.isatty():
            raise CredentialError("the key has a passphrase, and there is no terminal to enter it: use -p key=stdin")
        answer: str = click.prompt("Enter pass phrase for private key", hide_input=True, err=True)
        return answer.encode("utf-8", "surrogateescape")
