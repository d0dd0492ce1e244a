"""
The documentation as people see it: opened as files in a real browser, on a desktop and on a telephone.

``AREX_SCREENSHOTS=DIR`` keeps an image of each page.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.environments import ROOT

_PATIENCE_S: Final = 30
DESKTOP: Final = 1400
TELEPHONE: Final = 420
#: Pages with what is difficult to show: tables with code, wide code blocks, images, generated pages.
PAGES: Final = (
    "index.html", "users/tutorial.html", "users/attributes.html", "users/commands.html", "users/job-descriptions.html",
    "users/python.html", "users/json.html", "admins/configuration.html", "admins/operations.html",
    "admins/lrms/index.html", "admins/trust.html",
    "developers/architecture.html", "developers/api.html", "developers/attributes.html", "developers/testing.html",
    "adr/index.html", "adr/0004-package-names.html", "glossary.html",
)  # fmt: skip
#: Elements that stick out of the page to the right, although nothing around them scrolls.
_STICKING_OUT: Final = """
const scrolls = (node) =>
    node && (/auto|scroll|hidden|clip/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
return [...document.querySelectorAll(".md-content *")]
    .filter((node) => node.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .filter((node) => !scrolls(node.parentElement)).slice(0, 5).map((node) => node.outerHTML.slice(0, 120));
"""
#: Code in tables that is broken into several lines.
_BROKEN: Final = """
return [...document.querySelectorAll(".md-typeset td code")].filter((node) => node.getClientRects().length > 1)
    .map((node) => node.textContent);
"""
_CUT: Final = """
return [...document.querySelectorAll(".md-typeset pre > code")]
    .filter((node) => node.scrollWidth > node.clientWidth + 1)
    .map((node) => node.textContent.split("\\n").sort((a, b) => b.length - a.length)[0]);
"""
_LIGHTNESS: Final = """
const colour = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
return (colour[0] + colour[1] + colour[2]) / 3;
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(into)],
        cwd=ROOT, check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    return into


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    profile = tmp_path_factory.mktemp("profile")
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}",
                 "host-resolver-rules=MAP * ~NOTFOUND"):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, ChromeService("/usr/bin/chromedriver"))
    yield browser
    browser.quit()


def look(browser: Chrome, page: Path, *, width: int, scheme: str = "light") -> None:
    """Open a page as a file, as with ``scheme`` chosen in the system."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    if directory := os.environ.get("AREX_SCREENSHOTS"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        name = "-".join((*page.parts[-2:], str(width), scheme))
        browser.save_screenshot(str(Path(directory) / f"{name}.png"))


def measured(browser: Chrome, script: str) -> Any:
    return browser.execute_script(script)


@pytest.mark.parametrize("width", [DESKTOP, TELEPHONE])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_window(browser: Chrome, site: Path, page: str, width: int) -> None:
    """What is wider, such as a table, scrolls by itself."""
    look(browser, site / page, width=width)

    assert [] == measured(browser, _STICKING_OUT)
    assert width >= measured(browser, "return document.documentElement.scrollWidth")
    assert [] == measured(browser, _BROKEN)


def test_the_tree_of_folders_fits_a_desktop(browser: Chrome, site: Path) -> None:
    look(browser, site / "developers/architecture.html", width=DESKTOP)

    assert [] == measured(browser, _CUT)


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_pages_have_the_colours_of_the_system(browser: Chrome, site: Path, scheme: str, is_dark: bool) -> None:
    look(browser, site / "users/tutorial.html", width=DESKTOP, scheme=scheme)

    assert is_dark is (measured(browser, _LIGHTNESS) < 128)


def test_the_search_finds_pages_that_are_opened_as_files(browser: Chrome, site: Path) -> None:
    look(browser, site / "admins/lrms/slurm.html", width=DESKTOP)

    browser.find_element(By.CSS_SELECTOR, ".md-search__input").send_keys("wakeupperiod", Keys.SHIFT)
    found = WebDriverWait(browser, _PATIENCE_S).until(
        lambda _: [
            each.get_attribute("href") for each in browser.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
        ]
    )

    assert any("/admins/configuration.html" in (link or "") for link in found)
    target = next(link for link in found if link and "/admins/configuration.html" in link)
    browser.get(target)
    assert "wakeupperiod" in browser.page_source


def test_pages_load_nothing_from_elsewhere_and_have_no_errors(browser: Chrome, site: Path) -> None:
    browser.get_log("browser")  # type: ignore[no-untyped-call]
    look(browser, site / "users/tutorial.html", width=DESKTOP)

    loaded = measured(browser, "return performance.getEntriesByType('resource').map((each) => each.name)")

    assert [] == [name for name in loaded if not name.startswith(("file:", "data:"))]
    assert [] == browser.get_log("browser")  # type: ignore[no-untyped-call]


def test_a_page_leads_to_the_next_one_and_code_can_be_copied(browser: Chrome, site: Path) -> None:
    look(browser, site / "users/tutorial.html", width=DESKTOP)

    links = [each.get_attribute("href") or "" for each in browser.find_elements(By.CSS_SELECTOR, ".md-footer__link")]

    assert ["index.html", "job-descriptions.html"] == [link.rpartition("/")[2] for link in links]
    WebDriverWait(browser, _PATIENCE_S).until(
        lambda _: browser.find_elements(By.CSS_SELECTOR, ".language-sh [data-md-type=copy]")
    )


def test_decisions_are_one_entry_of_the_navigation(browser: Chrome, site: Path) -> None:
    look(browser, site / "adr/index.html", width=DESKTOP)

    links = [each.get_attribute("href") or "" for each in browser.find_elements(By.CSS_SELECTOR, ".md-nav--primary a")]

    assert 1 == len([link for link in links if "/adr/" in link and "#" not in link])
