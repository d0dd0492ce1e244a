"""An XRootD data server, which does not run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.staging.servers import free_port
from tests.staging.servers_process import Server, program
from tests.trees import everything_below


class GsiAuthority:
    """An authority, a server and a user's proxy with RSA keys: GSI knows no others."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="gsi"))
        self.root.chmod(0o755)
        usage = "keyUsage=critical,digitalSignature,keyEncipherment"
        end = ["basicConstraints=critical,CA:FALSE", usage]
        proxy = [*end, "proxyCertInfo=critical,language:id-ppl-inheritAll"]
        self._make("ca", "/CN=Test Authority", ["basicConstraints=critical,CA:TRUE"], "")
        self._make("server", "/DC=org/CN=localhost", [*end, "subjectAltName=DNS:localhost"], "ca")
        self._make("user", "/DC=org/CN=Some User", end, "ca")
        self._make("proxy", "/DC=org/CN=Some User/CN=1", proxy, "user")
        self.certificates = self.root / "certificates"
        self.certificates.mkdir()
        shutil.copy(self.root / "ca.pem", self.certificates)
        _run("openssl", "rehash", str(self.certificates))
        parts = [(self.root / name).read_bytes() for name in ("proxy.pem", "proxy.key", "user.pem")]
        self.proxy = self._private("both", b"".join(parts))
        self.keyless = self._private("keyless", parts[0] + parts[2])
        if os.geteuid() == 0:
            os.chown(self.root / "server.key", pwd.getpwnam("nobody").pw_uid, -1)

    def _make(self, name: str, subject: str, extensions: list[str], signer: str) -> None:
        key, out = f"{self.root}/{name}.key", f"{self.root}/{name}.pem"
        by = ["-CA", f"{self.root}/{signer}.pem", "-CAkey", f"{self.root}/{signer}.key"] if signer else []
        added = [word for each in extensions for word in ("-addext", each)]
        new = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", out, "-days", "2", "-subj", subject]
        _run("openssl", "req", "-x509", *new, *added, *by)
        Path(key).chmod(0o400)

    def _private(self, name: str, content: bytes) -> Path:
        path = self.root / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def close(self) -> None:
        shutil.rmtree(self.root)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr


class Xrootd:
    """``files`` is what it serves as /data. It has a directory where another account may look."""

    def __init__(self, extra: str = "") -> None:
        self.root = Path(tempfile.mkdtemp(prefix="xrootd"))
        self.files = self.root / "root" / "data"
        for each in (self.files, self.root / "admin"):
            each.mkdir(parents=True)
        port = free_port()
        (self.root / "conf").write_text(
            f"xrd.port {port}\nall.role server\nall.export /data\noss.localroot {self.root}/root\n"
            f"all.adminpath {self.root}/admin\nall.pidpath {self.root}/admin\nxrootd.chksum adler32\n"
            f"xrd.network nodnr\nofs.persist manual hold 1\n{extra}"
        )
        argv = [program("xrootd"), "-c", f"{self.root}/conf", "-n", "test", "-l", f"{self.root}/log"]
        if os.geteuid() == 0:
            argv += ["-R", "nobody"]
        self.give(self.root)
        self.server = Server(argv, port, self.root / "output")

    @classmethod
    def with_gsi(cls, authority: GsiAuthority) -> Self:
        """It lets no one in without a proxy."""
        root = authority.root
        options = f"-certdir:{root}/certificates -cert:{root}/server.pem -key:{root}/server.key -crl:0 -gmapopt:10"
        return cls(f"xrootd.seclib libXrdSec.so\nsec.protocol gsi {options}\nsec.protbind * only gsi\n")

    def give(self, path: Path) -> None:
        """To the account of the server, with all that is in it."""
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            for each in (path, *everything_below(path)):
                with contextlib.suppress(FileNotFoundError):  # the server has just removed it
                    os.chown(each, account.pw_uid, account.pw_gid)

    def put(self, name: str, content: bytes) -> Path:
        path = self.files / name
        path.write_bytes(content)
        self.give(path)
        return path

    def url(self, path: str, options: str = "", port: int = 0) -> str:
        return f"root://127.0.0.1:{port or self.server.port}{options}//data/{path}"

    def close(self) -> None:
        self.server.close()
        shutil.rmtree(self.root)
