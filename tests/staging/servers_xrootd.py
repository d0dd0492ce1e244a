"""An XRootD data server, which does not run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from tests.staging.servers import free_port
from tests.staging.servers_process import Server, program


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

    def give(self, path: Path) -> None:
        """To the account of the server, with all that is in it."""
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            for each in (path, *path.rglob("*")):
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
