"""``arex config check`` looks at more than the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.shell import User


def check(user: User) -> Any:
    return user.run("arex", "config", "check", "--json").json


def change(user: User, old: str, new: str) -> None:
    conf = user.home / "arc.conf"
    text = conf.read_text()
    assert old in text
    conf.write_text(text.replace(old, new))


@pytest.mark.parametrize(("mode", "code", "warnings"), [(0o700, 0, 0), (0o1777, 0, 1), (0o777, 2, 0)])
def test_a_session_root_that_all_can_write_is_a_warning_or_an_error(
    user: User, mode: int, code: int, warnings: int
) -> None:
    (user.home / "session").mkdir()
    (user.home / "session").chmod(mode)

    said = user.run("arex", "config", "check")

    assert code == said.code
    assert (code, warnings) == (0, 0) or "every account of this host can" in said.err
    assert warnings == len([each for each in check(user)["warnings"] if "session root" in each["message"]])


def test_a_misspelt_batch_system_is_an_error_with_a_suggestion(user: User) -> None:
    change(user, "[lrms]\nlrms=fork", "[lrms]\nlrms=slrum")

    said = user.run("arex", "config", "check")

    assert 2 == said.code
    assert "[lrms] lrms: there is no backend named 'slrum' (did you mean slurm?)" in said.err
    assert "1 error, " in said.out


@pytest.mark.parametrize("option", ["controldir", "sessiondir", "logfile", "pidfile", "joblog"])
def test_a_path_that_cannot_be_made_is_an_error_with_its_option(user: User, option: str) -> None:
    (user.home / "file").touch()
    conf = user.home / "arc.conf"
    lines = [line for line in conf.read_text().splitlines() if not line.startswith(f"{option}=")]
    at = lines.index("[arex]")
    conf.write_text("\n".join([*lines[: at + 1], f"{option}={user.home}/file/below", *lines[at + 1 :]]))

    found = check(user)

    assert not found["ok"]
    [fault] = found["faults"]
    assert ("arex", option, str(conf)) == (fault["block"], fault["option"], fault["file"])
    assert "is not a directory" in fault["message"] or "Not a directory" in fault["message"]


def test_missing_commands_of_the_batch_system_are_a_warning(user: User) -> None:
    (user.home / "bin").mkdir()
    change(user, "[lrms]\nlrms=fork", f"[lrms]\nlrms=slurm\nslurm_bin_path={user.home}/bin")

    found = check(user)

    assert f"sbatch, squeue, scancel not found in {user.home}/bin" in [each["message"] for each in found["warnings"]]


def test_what_matters_comes_before_options_without_effect_and_is_counted(user: User) -> None:
    with (user.home / "arc.conf").open("a") as conf:
        conf.write("\n[arex/jura]\nloglevel=3\n[mapping]\nmap_to_user=all griduser\n")

    said = user.run("arex", "config", "check")
    found = check(user)

    assert 0 == said.code
    assert said.err.index("warning: ") < said.err.index("note: ")
    assert ["mapping"] == [each["block"] for each in found["warnings"]]
    assert ["arex/jura"] == [each["block"] for each in found["notes"]]
    assert "no errors, 1 warning, 1 line without effect in arex\n" in said.out


def test_every_fault_of_the_file_is_a_record_for_programs(user: User) -> None:
    change(user, "[arex]\n", "[arex]\nloglevel=NOPE\n")

    [fault] = check(user)["faults"]

    assert {"block": "arex", "option": "loglevel", "file": str(user.home / "arc.conf")} == {
        name: fault[name] for name in ("block", "option", "file")
    }
    assert isinstance(fault["line"], int)
    assert fault["message"].startswith("expected 0 to 5")


def test_a_file_for_yaml_is_written_in_yaml_and_can_be_read(user: User) -> None:
    target = user.home / "new" / "arc.yaml"

    assert 0 == user.run("arex", "init", target).code
    said = user.run("arex", "config", "check", target)

    assert (0, "") == (said.code, "".join(line for line in said.err.splitlines() if "error" in line))
    assert "\narex:\n" in target.read_text()
    assert "\n#  maxjobs: '-1 -1 -1 -1 -1'\n" in target.read_text()


def test_options_can_be_listed_and_have_values_and_units(user: User) -> None:
    assert "[arex/service]\n  layout, allow_root" in user.run("arex", "config", "explain").out
    assert "Values: fork, slurm, sge" in user.run("arex", "config", "explain", "lrms").out
    assert "Values: flat, nested" in user.run("arex", "config", "explain", "layout").out
    assert "lrms_timeout: Time limit" in (text := user.run("arex", "config", "explain", "[arex/service]").out)
    assert "Unit: calls." in text


@pytest.mark.parametrize("program", ["arcstat", "arckill"])
def test_a_faulty_configuration_does_not_keep_clients_from_their_jobs(user: User, program: str) -> None:
    job = user.submit()
    change(user, "[arex]\n", "[arex]\nloglevel=NOPE\n")

    said = user.run(program, job)

    assert 0 == said.code, said.err
    assert f"WARNING: {user.home}/arc.conf:" in said.err
    assert "[arex] loglevel: expected" in said.err


def test_new_jobs_need_a_configuration_without_faults(user: User) -> None:
    change(user, "[arex]\n", "[arex]\nloglevel=NOPE\n")

    said = user.run("arcsub", "-e", "&(executable=/bin/true)")

    assert 2 == said.code
    assert not list(Path(user.home / "ctl").glob("*/job.*"))


@pytest.mark.parametrize("line", ["contoldir=/elsewhere", "controldir", "[arx]"])
def test_a_fault_that_may_hide_the_control_directory_stops_every_command(user: User, line: str) -> None:
    conf = user.home / "arc.conf"
    conf.write_text(conf.read_text().replace(f"controldir={user.home}/ctl", line))

    for program in (["arex", "stop"], ["arex", "status"], ["arcsub", "-e", "&(executable=a)"]):
        said = user.run(*program)
        assert 2 == said.code, program
        assert f"{conf}:" in said.err


def test_the_service_can_be_asked_and_stopped_with_a_faulty_configuration(user: User) -> None:
    change(user, "[arex]\n", "[arex]\nloglevel=NOPE\n")

    stopped, status, started = (user.run("arex", word) for word in ("stop", "status", "start"))

    assert (0, "arex was not running\n") == (stopped.code, stopped.out)
    assert 3 == status.code
    assert 1 == status.err.count("[arex] loglevel: expected")
    assert 2 == started.code
