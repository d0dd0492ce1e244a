"""An authority of the tests: certificates made by OpenSSL, below hashed names as a site has them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

USER = "/DC=org/DC=example/CN=Test User"


def openssl(*argv: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass(frozen=True)
class Authority:
    directory: Path

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def trusted(self) -> Path:
        return self.directory / "certificates"

    def build(self) -> None:
        self._sign_itself("ca", "/DC=org/DC=example/CN=Test CA")
        self.trusted.mkdir()
        (self.trusted / f"{self.hash}.0").write_bytes(self.certificate.read_bytes())
        self.user("user", USER)

    @property
    def hash(self) -> str:
        return openssl("x509", "-noout", "-hash", "-in", self.certificate)

    def _sign_itself(self, name: str, subject: str) -> None:
        usage = "keyUsage=critical,keyCertSign,cRLSign"
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", subject, "-addext", usage,
            "-keyout", self.directory / f"{name}.key", "-out", self.directory / f"{name}.pem",
        )  # fmt: skip

    def user(self, name: str, subject: str, *, key: str = "rsa:2048", usage: str = "digitalSignature") -> Path:
        """A certificate of this authority, its key beside it."""
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else []
        path = self.directory / f"{name}.pem"
        openssl(
            "req", "-x509", "-newkey", key, *curve, "-nodes", "-days", "20", "-subj", subject,
            "-CA", self.certificate, "-CAkey", self.directory / "ca.key", "-addext", f"keyUsage=critical,{usage}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", self.directory / f"{name}.key", "-out", path,
        )  # fmt: skip
        (self.directory / f"{name}.key").chmod(0o600)
        return path

    def key(self, name: str = "user") -> Path:
        return self.directory / f"{name}.key"

    def verifies(self, proxy: Path) -> bool:
        """What OpenSSL says of a proxy with its chain."""
        argv = ["openssl", "verify", "-allow_proxy_certs", "-CApath", str(self.trusted)]
        done = subprocess.run(
            [*argv, "-untrusted", str(proxy), str(proxy)], check=False, capture_output=True, text=True
        )
        return done.returncode == 0

    def revoke(self, certificate: Path) -> None:
        """A revocation list with one certificate on it."""
        place = self.directory / "db"
        place.mkdir()
        (place / "index").touch()
        (place / "number").write_text("01\n")
        config = place / "conf"
        config.write_text(
            f"[ca]\ndefault_ca=it\n[it]\ndatabase={place}/index\ncrlnumber={place}/number\ndefault_md=sha256\n"
            f"default_crl_days=7\ncertificate={self.certificate}\nprivate_key={self.directory}/ca.key\n"
        )
        openssl("ca", "-config", config, "-revoke", certificate)
        openssl("ca", "-config", config, "-gencrl", "-out", self.trusted / f"{self.hash}.r0")
