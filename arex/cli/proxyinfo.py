"""The output of ``arcproxy`` about a proxy: everything, or single items with the names that ARC uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from arex.cli.output import printable
from arex.credentials import chain, proxy, voms
from arex.credentials.certificate import in_pem
from arex.credentials.crypto import x509
from arex.credentials.file import Credential, from_pem
from arex.errors import CredentialError

_TYPES: Final = {
    proxy.INHERIT_ALL: "X.509 Proxy Certificate Profile RFC compliant impersonation proxy - RFC inheritAll proxy",
    proxy.INDEPENDENT: "X.509 Proxy Certificate Profile RFC compliant independent proxy - RFC independent proxy",
    proxy.LIMITED: "X.509 Proxy Certificate Profile RFC compliant limited proxy - RFC limited proxy",
    proxy.ANY_LANGUAGE: "RFC anyLanguage proxy",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A proxy and all information that ``arcproxy`` prints about it."""

    credential: Credential
    certificates: tuple[x509.Certificate, ...]
    info: proxy.Info | None
    attributes: tuple[voms.Attributes, ...]

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]


def load(path: Path, data: bytes) -> Shown:
    """
    Load a proxy from a file.

    Raises:
        CredentialError: the file cannot be parsed as a proxy.
    """
    found = tuple(x509.load_pem_x509_certificates(data)) if b"-----BEGIN CERTIFICATE-----" in data else ()
    credential = from_pem(path, data)
    try:
        attributes = tuple(voms.in_chain(in_pem(data)))
    except (ValueError, IndexError, StopIteration) as exc:
        raise CredentialError(f"the VOMS attributes in {path} cannot be parsed: {exc}") from exc
    return Shown(credential, found, proxy.info_of(found[0]), attributes)


def lines(shown: Shown, now: datetime) -> Iterator[str]:
    """The text output, as of ARC's ``arcproxy -I``; VOMS attributes are marked as not verified."""
    item = {name: read(shown, now) for name, read in ITEMS.items()}
    yield f"Subject: {item['subject']}"
    yield f"Issuer: {item['issuer']}"
    yield f"Identity: {item['identity']}"
    yield f"Time left for proxy: {_left(shown.leaf.not_valid_before_utc, shown.credential.expires, now, 'Proxy')}"
    yield f"Proxy path: {item['path']}"
    yield f"Proxy type: {item['type']}"
    yield f"Proxy key length: {item['keybits']}"
    yield f"Proxy signature: {item['signingAlgorithm']}"
    for each in shown.attributes:
        yield f"====== AC extension information for VO {printable(each.vo)} (not verified) ======"
        yield f"VO        : {printable(each.vo)}"
        yield f"subject   : {shown.credential.identity}"
        yield f"issuer    : {each.issuer}"
        yield f"uri       : {printable(each.uri)}"
        yield from (f"attribute : {printable(fqan)}" for fqan in each.fqans)
        yield f"Time left for AC: {_left(each.starts, each.ends, now, 'AC')}"


def document(shown: Shown, now: datetime) -> dict[str, object]:
    """The JSON output, with the same information."""
    return {
        **{name: read(shown, now) for name, read in ITEMS.items() if not name.startswith("voms")},
        "validityStart": shown.leaf.not_valid_before_utc,
        "validityEnd": shown.credential.expires,
        "voms": [
            {
                "vo": each.vo,
                "uri": each.uri,
                "attributes": list(each.fqans),
                "issuer": each.issuer,
                "validityStart": each.starts,
                "validityEnd": each.ends,
                "verified": False,
            }
            for each in shown.attributes
        ],
    }


def _left(starts: datetime, ends: datetime, now: datetime, what: str) -> str:
    if now < starts:
        return f"{what} not valid yet" if what == "Proxy" else f"{what} is not valid yet"
    if now >= ends:
        return f"{what} expired" if what == "Proxy" else f"{what} has expired"
    return period(int((ends - now).total_seconds()))


def period(seconds: int) -> str:
    """``11 hours 59 minutes 1 second``."""
    parts = ((seconds // 3600, "hour"), (seconds // 60 % 60, "minute"), (seconds % 60, "second"))
    words = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in parts if count]
    return " ".join(words) or "0 seconds"


# --- items ----------------------------------------------------------------------------------------------------------


def _authority(shown: Shown) -> str:
    """Issuer of the first certificate that is not a proxy."""
    plain = next((each for each in shown.certificates if proxy.info_of(each) is None), shown.certificates[-1])
    return chain.name_of(plain.issuer)


def _type(shown: Shown) -> str:
    if shown.info is None:
        return "certificate"
    return _TYPES.get(shown.info.policy, f"RFC proxy with policy language {shown.info.policy}")


def _policy(shown: Shown) -> str:
    return "" if shown.info is None else printable(shown.info.text.decode("utf-8", "replace"))


def _digest(shown: Shown) -> str:
    used = shown.leaf.signature_hash_algorithm
    return "" if used is None else used.name


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _of_vo(read: Callable[[voms.Attributes, datetime], str]) -> Callable[[Shown, datetime], str]:
    return lambda shown, now: "|".join(read(each, now) for each in shown.attributes)


def _remaining(ends: datetime, now: datetime) -> str:
    return str(max(0, int((ends - now).total_seconds())))


#: Items for ``-i``, in ARC's order, with functions that return their values.
ITEMS: Final[Mapping[str, Callable[[Shown, datetime], str]]] = {
    "subject": lambda shown, _: shown.credential.subject,
    "identity": lambda shown, _: shown.credential.identity,
    "issuer": lambda shown, _: shown.credential.issuer,
    "ca": lambda shown, _: _authority(shown),
    "path": lambda shown, _: str(shown.credential.path),
    "type": lambda shown, _: _type(shown),
    "validityStart": lambda shown, _: _seconds(shown.leaf.not_valid_before_utc),
    "validityEnd": lambda shown, _: _seconds(shown.credential.expires),
    "validityPeriod": lambda shown, _: str(
        int((shown.credential.expires - shown.leaf.not_valid_before_utc).total_seconds())
    ),
    "validityLeft": lambda shown, now: _remaining(shown.credential.expires, now),
    "vomsVO": _of_vo(lambda each, _: printable(each.vo)),
    "vomsSubject": lambda shown, _: "|".join(shown.credential.identity for _ in shown.attributes),
    "vomsIssuer": _of_vo(lambda each, _: each.issuer),
    "vomsACvalidityStart": _of_vo(lambda each, _: _seconds(each.starts)),
    "vomsACvalidityEnd": _of_vo(lambda each, _: _seconds(each.ends)),
    "vomsACvalidityPeriod": _of_vo(lambda each, _: str(int((each.ends - each.starts).total_seconds()))),
    "vomsACvalidityLeft": _of_vo(lambda each, now: _remaining(each.ends, now)),
    "proxyPolicy": lambda shown, _: _policy(shown),
    "keybits": lambda shown, _: str(getattr(shown.leaf.public_key(), "key_size", "")),
    "signingAlgorithm": lambda shown, _: _digest(shown),
}
