"""
One call of a fake program: who called it how goes to the controller, what it says comes back.

Started as ``python -SI client.py DIRECTORY COMMAND ARGUMENT...`` and kept small, for it is started very often.
"""

import _socket
import os
import sys
from json import dumps, loads


def main(root: str, command: str, argv: list[str]) -> int:
    stdin = ""
    if command in {"sbatch", "qsub", "bsub"} and not os.isatty(0):
        stdin = sys.stdin.buffer.read().decode(errors="surrogateescape")
    mask = os.umask(0)
    call = {
        "command": command,
        "argv": argv,
        "stdin": stdin,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "umask": mask,
    }
    talk = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    folder = os.open(root, os.O_RDONLY)
    try:
        talk.connect(f"/proc/self/fd/{folder}/socket")  # the path of a socket must be short
    except OSError:
        sys.stderr.write(f"{command}: error: the controller of this fake cluster does not run\n")
        return 1
    talk.sendall(dumps(call).encode("ascii") + b"\n")
    parts = []
    while part := talk.recv(1 << 16):
        parts.append(part)
    if not parts:
        sys.stderr.write(f"{command}: error: the controller of this fake cluster has gone\n")
        return 1
    out, err, code = loads(b"".join(parts))
    for stream, text in ((sys.stdout, out), (sys.stderr, err)):
        stream.buffer.write(text.encode(errors="surrogateescape"))
        stream.flush()
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
