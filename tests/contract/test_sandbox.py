"""Session directories that HTCondor moves: its part is played by copies, the job script and the rest are real."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from arex.clock import SystemClock
from arex.model.ids import LocalId
from arex.model.report import EndCause
from lrms.attempt.record import read_done
from lrms.htcondor import files
from lrms.htcondor.collect import OutputCollector
from lrms.htcondor.files import Claim, Link
from lrms.jobscript.script import job_script
from lrms.jobscript.settings import RuntimeScript, ScriptMode, ScriptSettings
from tests.contract.sandbox import BEGAN, RETURNED, Moved, tree

#: Names that no list of names could hold.
NAMES = ("a b,c", "quo'te\"", "new\nline", " lead", "*", "back\\slash", "-rf", ".dot", "lat\udce9", "x=$(y);", "end\n")


def test_what_a_job_leaves_on_the_node_is_its_session_afterwards(tmp_path: Path) -> None:
    """Everything: new and changed, removed and replaced, links and modes and empty directories."""
    moved = Moved(
        tmp_path,
        "cat in/put; echo more >>in/put; rm gone; rm -r was; echo file >was; mkdir -p a/empty; chmod 750 a\n"
        "ln -s /no/where a/out; ln -s ../in/put a/in; ln -s '' none 2>/dev/null; ln -s 'x\n' nl; ln -s . self\n"
        "printf '#!/bin/sh\\n' >tool; chmod 755 tool; mkdir shut; echo s >shut/s; chmod 0 shut/s; chmod 0 shut",
    )
    moved.add("in/put", "data\n", 0o640)
    (moved.session / "in").chmod(0o750)
    moved.add("gone", "")
    moved.add("was/a/directory", "")
    (moved.session / "old").symlink_to("in/put")

    done = moved.all()

    assert (0, EndCause.EXIT_CODE, "12.0", ("node1",)) == (done.exit_code, done.cause, done.localid, done.nodes)
    found = dict(tree(moved.session))
    assert "#!/bin/sh" in found.pop("program")
    assert {
        "in": "directory 750",
        "in/put": "640 'data\\nmore\\n'",
        "was": "600 'file\\n'",
        "a": "directory 750",
        "a/empty": "directory 700",
        "a/out": "to /no/where",
        "a/in": "to ../in/put",
        "nl": "to x\n",
        "self": "to .",
        "old": "to in/put",
        "tool": "755 '#!/bin/sh\\n'",
        "shut": "directory 700",
        "shut/s": "400 's\\n'",
        "out": "600 'data\\n'",
        "err": "600 ''",
    } == found
    assert (moved.rundir / "started").read_text() == "id 12.0\n"
    assert {"done", "started"} <= {each.name for each in moved.rundir.iterdir()}
    assert not list(moved.rundir.glob("in.*")) + list(moved.rundir.glob("b*"))


def test_what_is_in_its_place_stays(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "echo new >new")
    moved.all()
    before, record = tree(moved.session), (moved.rundir / "done").read_bytes()
    shutil.copytree(moved.node / "back", moved.rundir / "back")
    shutil.rmtree(moved.rundir / "back/session")

    assert files.take_in(moved.rundir, moved.session)

    assert (before, record) == (tree(moved.session), (moved.rundir / "done").read_bytes())


async def test_questions_at_the_same_time_take_in_once(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "echo new >new")
    await asyncio.to_thread(moved.travel)
    arrivals = OutputCollector(SystemClock())
    job = moved.inside

    await asyncio.gather(*(arrivals.take_in([job]) for _ in range(5)))

    assert frozenset() == await arrivals.take_in([job])
    assert (0, "new\n") == (moved.done().exit_code, (moved.session / "new").read_text())
    await arrivals.close()


async def test_a_disk_error_is_tried_again_and_nothing_is_told_meanwhile(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "echo new >new")
    await asyncio.to_thread(moved.travel)
    arrivals = OutputCollector(SystemClock())
    job = moved.inside
    in_the_way = moved.submission.diag
    in_the_way.mkdir()

    assert {"12.0"} == await arrivals.take_in([job])

    in_the_way.rmdir()
    assert frozenset() == await arrivals.take_in([job])
    assert 0 == moved.done().exit_code


def test_names_are_only_names(tmp_path: Path) -> None:
    moved = Moved(tmp_path, 'for each in * .dot; do ln -s -- "$each" d/"$each"; done; mkdir -- \'-d\'; : >"-d/\'"')
    (moved.session / "d").mkdir()
    for name in NAMES:
        moved.add(name, "text")

    assert 0 == moved.all().exit_code

    found = tree(moved.session)
    assert dict.fromkeys(NAMES, "600 'text'") == {name: found[name] for name in NAMES}
    assert {f"d/{name}": f"to {name}" for name in NAMES} == {f"d/{name}": found[f"d/{name}"] for name in NAMES}
    assert "600 ''" == found["-d/'"]


@pytest.mark.parametrize("when", ["nothing", "half", "no end", "running"])
def test_the_session_stays_until_all_of_it_is_back(tmp_path: Path, when: str) -> None:
    """What counts is that HTCondor's log says so, whatever lies there already."""
    moved = Moved(tmp_path, "echo new >new")
    before = tree(moved.session)
    key = moved.send()
    moved.run()
    moved.bring(key, BEGAN if when == "running" else f"{BEGAN}005 (12.000.000) Job termin")
    if when == "nothing":
        shutil.rmtree(moved.rundir / "back")
    elif when == "half":
        (moved.rundir / "back/done").unlink()

    assert not files.take_in(moved.rundir, moved.session)

    assert before == tree(moved.session)
    assert read_done(moved.rundir / "done") is None


def test_a_log_that_lost_its_end_is_done_without_if_all_is_there(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "echo new >new")
    key = moved.send()
    moved.run()
    moved.bring(key, BEGAN)
    (moved.rundir / "back/session/new").write_text("n")
    assert not files.take_in(moved.rundir, moved.session, certain=True)

    (moved.rundir / "back/session/new").write_text("new\n")

    assert files.take_in(moved.rundir, moved.session, certain=True)
    assert "new\n" == (moved.session / "new").read_text()


@pytest.mark.parametrize("lost", ["session/new", "session", "sent", "links"])
def test_files_that_did_not_come_back_are_a_failure(tmp_path: Path, lost: str) -> None:
    """The payload succeeded; without its files that is not reported, and the session is unchanged."""
    moved = Moved(tmp_path, "echo new >new")
    before = tree(moved.session)
    key = moved.send()
    moved.run()
    moved.bring(key)
    path = moved.rundir / "back" / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert files.take_in(moved.rundir, moved.session)

    done = moved.done()
    assert (None, EndCause.LOST) == (done.exit_code, done.cause)
    assert "not returned" in done.message
    assert before == tree(moved.session)


@pytest.mark.parametrize("step", ["links", "moved away", "moved in", "accounted"])
def test_a_crash_on_the_way_in_costs_nothing(tmp_path: Path, step: str) -> None:
    moved = Moved(tmp_path, "echo new >new; ln -s new link")
    key = moved.send()
    moved.run()
    moved.bring(key)
    back = moved.rundir / "back"
    (back / "session/link").symlink_to("new")
    if step != "links":
        (back / "ready").touch()
        moved.session.rename(moved.rundir / "before.1f")
    if step in {"moved in", "accounted"}:
        (back / "session").rename(moved.session)
    if step == "accounted":
        shutil.copy(back / "diag", moved.submission.diag)

    assert files.take_in(moved.rundir, moved.session)

    assert {"program", "new", "link", "out", "err"} == set(tree(moved.session))
    assert 0 == moved.done().exit_code
    assert 1 == moved.submission.diag.read_text().count("exitcode=0")


@pytest.mark.parametrize("name", ["../../../outside", "/etc/x/../../..", "way/out", "new", "", ".", "x" * 300])
def test_a_forged_list_of_links_reaches_nothing_outside(tmp_path: Path, name: str) -> None:
    moved = Moved(tmp_path, "echo new >new")
    key = moved.send()
    moved.run()
    moved.bring(key)
    (moved.rundir / "back/links").write_text(f"./way\0{tmp_path}\0{name}\0/etc\0")

    assert files.take_in(moved.rundir, moved.session)

    assert {"front", "node", "printed"} == {each.name for each in tmp_path.iterdir()}
    assert name == "new" or moved.done().cause is EndCause.LOST


@pytest.mark.parametrize(
    "payload", ["rm -rf ../session", "rm -rf ../session; ln -s / ../session", "rm -rf ../session ../back"]
)
def test_a_job_that_removes_its_session_has_an_empty_one(tmp_path: Path, payload: str) -> None:
    moved = Moved(tmp_path, payload)

    moved.all()

    assert {} == tree(moved.session)
    assert "an empty one goes back" in moved.printed()


def test_what_is_no_file_is_left_out_and_named(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "mkfifo pipe; echo new >new")

    assert 0 == moved.all().exit_code

    assert {"program", "new", "out", "err"} == set(tree(moved.session))
    assert "This does not go back, it is no file:" in moved.printed()


def test_files_of_the_cache_go_along_and_other_links_stay_links(tmp_path: Path) -> None:
    """Also where nodes would see the cache under another path. What an earlier payload has linked is not read here."""
    moved = Moved(tmp_path, "cat big; readlink secret")
    for directory, name in (("joblinks/abc", "big"), ("joblinks/other", "theirs")):
        (tmp_path / "cache" / directory).mkdir(parents=True)
        (tmp_path / "cache" / directory / name).write_text(f"{name}\n")
    (moved.session / "big").symlink_to("/net/cache/joblinks/abc/big")
    (moved.session / "secret").symlink_to(f"{tmp_path}/cache/joblinks/other/theirs")

    moved.all(Link("/net/cache", str(tmp_path / "cache")), Link(str(tmp_path / "cache"), str(tmp_path / "cache")))

    assert f"big\n{tmp_path}/cache/joblinks/other/theirs\n" == (moved.session / "out").read_text()
    assert (moved.session / "secret").is_symlink()


def test_runtime_environments_see_the_node_and_not_the_front_end(tmp_path: Path) -> None:
    body = 'echo "$1:$RUNTIME_NODE_SEES_FRONTEND:$RUNTIME_JOB_DIR:$PWD:$RUNTIME_LOCAL_SCRATCH_DIR" >>rte'
    moved = Moved(tmp_path, 'test "$HOME" = "$PWD"', runtimes=(RuntimeScript(name="APPS/X", body=body),))

    assert 0 == moved.all().exit_code

    place = f"{moved.node}/session"
    assert [f"{stage}::{place}:{place}:{moved.node}" for stage in (1, 2)] == (moved.session / "rte").read_text().split()
    assert "runtimeenvironments=APPS/X;" in moved.submission.diag.read_text()


def test_a_job_that_fails_before_its_payload_says_why(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "", grami={"args": ("./no-such-program",)})

    done = moved.all()

    assert (None, EndCause.NEVER_STARTED) == (done.exit_code, done.cause)
    assert "does not seem to exist" in (moved.session / "err").read_text()


def test_a_second_start_ends_at_once(tmp_path: Path) -> None:
    """HTCondor itself says on the node that it is one."""
    moved = Moved(tmp_path, "echo ran")
    moved.send()
    (moved.node / ".job.ad").write_text("NumJobStarts = 1\n")

    assert 1 == moved.run()
    assert [] == list((moved.node / "back").iterdir())


def test_a_job_whose_wall_time_is_over_brings_back_what_it_has(tmp_path: Path) -> None:
    """Its time begins when it has something: the job script counts it with this sleep."""
    moved = Moved(tmp_path, "echo partial >result; exec /bin/sleep 600", grami={"walltime_s": 1})
    counts = tmp_path / "bin" / "sleep"
    counts.parent.mkdir()
    result = moved.node / "session" / "result"
    counts.write_text(f"#!/bin/sh\nuntil [ -s '{result}' ]; do /bin/sleep 0.02; done\nexec /bin/sleep \"$@\"\n")
    counts.chmod(0o755)

    done = moved.all(PATH=f"{counts.parent}:{os.environ['PATH']}")

    assert (143, EndCause.WALLTIME) == (done.exit_code, done.cause)
    assert "partial\n" == (moved.session / "result").read_text()


def test_a_job_that_ends_within_its_wall_time_ends_as_it_does(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "trap '' TERM; echo partial >result; exit 5", grami={"walltime_s": 600})

    done = moved.all()

    assert (5, EndCause.EXIT_CODE) == (done.exit_code, done.cause)
    assert "partial\n" == (moved.session / "result").read_text()


def test_a_later_submission_takes_the_files_from_the_one_before(tmp_path: Path) -> None:
    """So that a job which HTCondor takes late has nothing to begin with."""
    moved = Moved(tmp_path, "true")
    first = moved.send()

    second = files.claim(moved.rundir)

    assert second.taken is None
    assert [f"in.{second.key}"] == [each.name for each in moved.rundir.glob("in.*")]
    assert second.key != first


@pytest.mark.parametrize("story", [BEGAN, RETURNED, BEGAN.partition("001")[0]])
def test_a_submission_that_was_taken_is_the_answer_to_the_next(tmp_path: Path, story: str) -> None:
    moved = Moved(tmp_path, "true")
    key = moved.send()
    (moved.rundir / f"log.{key}").write_text(story)

    assert Claim(taken=LocalId("12.0")) == files.claim(moved.rundir)
    assert [f"in.{key}"] == [each.name for each in moved.rundir.glob("in.*")]


def test_one_that_went_without_having_begun_may_be_submitted_again(tmp_path: Path) -> None:
    moved = Moved(tmp_path, "true")
    key = moved.send()
    (moved.rundir / f"log.{key}").write_text(f"{BEGAN.partition('001')[0]}009 (12.000.000) Job was aborted.\n...\n")

    assert files.claim(moved.rundir).key


def test_the_script_is_clean_whatever_the_job_is_called(tmp_path: Path) -> None:
    program = shutil.which("shellcheck")
    assert program, "shellcheck is part of the test tools"
    moved = Moved(tmp_path, "", grami={"walltime_s": 60, "args": ("a'b\"c\\d", "new\nline")})
    script = job_script(moved.submission, ScriptSettings(mode=ScriptMode.SANDBOX, localid_words='"$AREX_LOCALID"'))

    done = subprocess.run([program, "-s", "sh", "-"], input=script, capture_output=True, text=True, check=False)

    assert ("", "") == (done.stdout, done.stderr)
