"""An OpenSSH server of this account, with a separate host key and authorized key."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from tests.staging.servers import free_port
from tests.staging.servers_process import Server, program


class Sshd:
    """``home`` is for clients: their key, and hosts that they know."""

    def __init__(self, root: Path) -> None:
        self.user = getpass.getuser()
        self.files, self.home = root / "files", root / "home"
        self.files.mkdir(parents=True)
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        for key in (root / "host", self.home / ".ssh" / "id_ed25519"):
            argv = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        (root / "authorized").write_bytes((self.home / ".ssh" / "id_ed25519.pub").read_bytes())
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.host_key = " ".join((root / "host.pub").read_text().split()[:2])
        port = free_port()
        (root / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"AuthorizedKeysFile {root}/authorized\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
            "MaxStartups 100\nSubsystem sftp internal-sftp\n"
        )
        # -D -e: in the foreground, with its words on stderr
        self.server = Server([program("sshd"), "-D", "-e", "-f", f"{root}/sshd_config"], port, root / "log")
        self.know(port)

    def know(self, port: int) -> None:
        with (self.home / ".ssh" / "known_hosts").open("a") as stream:
            stream.write(f"[127.0.0.1]:{port} {self.host_key}\n")

    def url(self, path: Path | str, options: str = "", port: int = 0) -> str:
        return f"sftp://{self.user}@127.0.0.1:{port or self.server.port}{options}{path}"
