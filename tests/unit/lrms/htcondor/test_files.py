"""What HTCondor returns, whatever the payload has made of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lrms.htcondor import files
from tests.trees import deep

DEPTH = 1200
RECORD = (
    "exitcode=0\nsignal=\ncause=exit code\nstart=2026-11-20T09:00:00Z\nend=2026-11-20T09:00:01Z\nwall_s=1\nuser_s=0\n"
    "system_s=0\nmaxrss_kb=10\nnode=node1\nlocalid=12.0\ncomplete=yes\n"
)
LOG = (
    "000 (12.000.000) 2026-11-20 09:00:00 Job submitted\n...\n001 (12.000.000) 2026-11-20 09:00:00 Job executing\n...\n"
    "005 (12.000.000) 2026-11-20 09:00:01 Job terminated.\n...\n"
)


def test_a_tree_that_is_deeper_than_python_recurses_is_taken_in(tmp_path: Path) -> None:
    session, rundir = tmp_path / "abc", tmp_path / "abc.lrms" / "abc-1"
    session.mkdir()
    back = rundir / "back"
    (back / "session").mkdir(parents=True)
    (back / "session" / "result").write_text("12345")
    (back / "session" / "link").symlink_to("result")  # not counted as bytes
    (back / "done").write_text(RECORD)
    (back / "links").write_bytes(b"")
    (back / "sent").write_text(f"entries={DEPTH + 5}\nbytes=5\ncomplete=yes\n")
    (rundir / "key").write_text("k1")
    (rundir / "log.k1").write_text(LOG)

    with deep(back / "session" / "deep", DEPTH):
        assert files.take_in(rundir, session)
        assert {"result", "link", "deep"} == {path.name for path in session.iterdir()}
        assert "exitcode=0" in (rundir / "done").read_text()
        subprocess.run(["rm", "-rf", session / "deep"], check=True)


def test_files_are_counted_as_the_node_counts_them(tmp_path: Path) -> None:
    """With ``find``: all entries, and the bytes of regular files."""
    assert (0, 0) == files._measured(tmp_path / "missing")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("123")
    (tmp_path / "a" / "link").symlink_to("b")

    assert (4, 3) == files._measured(tmp_path / "a")
    assert (0, 0) == files._measured(tmp_path / "a" / "link")
