"""Chromium without a screen, for tests of what is made for browsers."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # No name leads anywhere, so that a page which needs a network fails here as it would offline.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # WebGL by the processor.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)


@contextlib.contextmanager
def browser(width: int = 1280, height: int = 800) -> Iterator[Chrome]:
    """A Chromium of its own, with a window of so many pixels, that reaches no network.

    Where there is none the test is skipped, but with ``CI`` in the environment it fails.
    """
    for program in (CHROMIUM, DRIVER):
        if not program.exists():
            missing = f"there is no {program}; .ci/browser installs it"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    # Chromium may write to its profile for a moment after it has been told to go.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = Chrome(options=options, service=ChromeService(str(DRIVER)))
        try:
            yield driver
        finally:
            driver.quit()


def console_errors(driver: Chrome) -> list[str]:
    """What the page has complained of since the last call."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def requested_urls(driver: Chrome) -> list[str]:
    """What the page has asked for over HTTP since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("data:", "blob:", "chrome:"))]
