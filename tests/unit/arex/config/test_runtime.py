from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from arex.config.arcconf import parse
from arex.config.load import load
from arex.config.model import Configuration
from arex.config.runtime import cfg_path, runtime_cfg
from tests import environments

DATA = environments.DATA / "config"
#: The account of the real service and its mail address: not ours to claim.
ACCOUNT = {("arex", "user"), ("arex", "mail")}


def entries(text: str) -> set[tuple[str, str, str]]:
    sections, faults = parse(text, Path("x.cfg"))

    assert faults == []
    return {(section.header, entry.name, entry.value) for section in sections for entry in section.entries}


def headers(text: str) -> set[str]:
    return {section.header for section in parse(text, Path("x.cfg"))[0]}


def test_the_pre_processed_file_is_the_one_that_the_real_service_wrote() -> None:
    """Same site file, same options, same defaults: ARC 6.17 wrote the second of them itself."""
    config, _ = load(DATA / "arc-6.17.conf", {}, uid=0)
    real = (DATA / "arex-6.17.cfg").read_text()

    assert {each for each in entries(real) if each[:2] not in ACCOUNT} == entries(runtime_cfg(config))
    assert headers(real) == headers(runtime_cfg(config))


def test_clients_find_what_they_need_without_any_site_file(tmp_path: Path) -> None:
    config, _ = load(None, {"HOME": str(tmp_path)}, system=tmp_path / "absent")

    found = entries(runtime_cfg(config))

    assert {
        ("lrms", "lrms", "fork"),
        ("arex", "controldir", f"{tmp_path}/.local/share/arex/jobstatus"),
        ("arex", "sessiondir", f"{tmp_path}/.local/share/arex/sessiondir"),
        ("arex/ws/jobs", "allownew", "yes"),
        ("arex/ws/jobs", "maxjobdesc", "5242880"),
    } <= found
    assert "queue:fork" in headers(runtime_cfg(config))


def test_there_are_no_blanks_around_the_equals_sign() -> None:
    options = [line for line in runtime_cfg(Configuration()).splitlines() if "=" in line]

    assert all("=" in line.split(maxsplit=1)[0] for line in options)
    assert not any(line.partition("=")[2].startswith(" ") for line in options)


def test_what_only_scripts_of_arc_use_is_handed_on() -> None:
    config, _ = load(DATA / "site.conf", {}, uid=0)

    found = entries(runtime_cfg(config))

    assert {
        ("lrms", "lrms", "slurm short"),
        ("lrms", "slurm_requirements", "#SBATCH --qos=grid"),
        ("arex", "scratchdir", "/scratch"),
        ("arex", "sessiondir", "/srv/arc/session2 drain"),
        ("arex", "joblog", ""),
        ("queue:long", "allowaccess", "all"),
        ("queue:long", "opsys", "AlmaLinux-9"),
        ("queue:long", "opsys", "Linux-5.14"),
    } <= found


def test_our_own_block_is_not_for_others() -> None:
    assert "arex/service" not in headers(runtime_cfg(Configuration()))


def test_the_file_lies_beside_the_pidfile() -> None:
    def beside(pidfile: str) -> Path:
        return cfg_path(Path(pidfile))

    assert beside("/run.d/arex.pid") == Path("/run.d/arex.cfg")
    assert beside("/run.d/arex") == Path("/run.d/arex.cfg")


def test_defaults_follow_the_options_they_come_from(tmp_path: Path) -> None:
    file = tmp_path / "arc.conf"
    file.write_text("[arex]\ncontroldir=/c\nloglevel=1\n[arex/data-staging]\n[arex/ws]\n")
    config, _ = load(file, {}, uid=0)

    found = entries(runtime_cfg(replace(config, common=replace(config.common, hostname="h"))))

    assert ("arex/data-staging", "statefile", "/c/dtr.state") in found
    assert ("arex/data-staging", "loglevel", "1") in found
    assert ("arex/ws", "wsurl", "https://h:443/arex") in found
