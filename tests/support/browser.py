"""Debian's Chromium, steered over the WebDriver protocol (W3C) and Chrome's DevTools commands."""

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from debian import install_packages
from runs import DEADLINE

PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync"
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's name for a reference

KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Right": "\ue014"}


def install() -> str:
    """Why no browser can be had here, empty if it can."""
    if all(shutil.which(name) for name in ("chromium", "chromedriver")):
        return ""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "installing Chromium needs root and Debian's apt-get"
    return install_packages(PACKAGES)


@contextlib.contextmanager
def browser() -> Iterator["Browser"]:
    """A headless browser without a network, ended with the block."""
    with tempfile.TemporaryDirectory() as profile:
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            port = next(
                found[1]
                for line in driver.stdout
                if (found := re.search(r"started successfully on port (\d+)", line))
            )
            opened = Browser(f"http://127.0.0.1:{port}", profile)
            yield opened
            opened.call("DELETE", "")
        finally:
            driver.terminate()
            driver.wait()


class Browser:
    """One window. Selectors are CSS; scripts are bodies of functions and may return JSON."""

    def __init__(self, address: str, profile: str) -> None:
        self._session = f"{address}/session"
        options = {"args": [*FLAGS.split(), f"--user-data-dir={profile}"]}
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        started = self.call("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self._session += f"/{started['sessionId']}"
        self.devtools("Network.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
        self.devtools("Network.emulateNetworkConditions", **offline)

    def call(self, method: str, command: str, body: Any = None) -> Any:
        """Answer of the driver to one command."""
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._session + command, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, page: Path) -> None:
        self.call("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, selector: str) -> list[str]:
        """Text of all elements that are shown."""
        script = """return [...document.querySelectorAll(arguments[0])]
            .filter(e => e.checkVisibility()).map(e => (e.innerText ?? e.textContent).trim())"""
        return self.run(script, selector)

    def click(self, selector: str) -> None:
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{found[ELEMENT]}/click")

    def press(self, *keys: str) -> None:
        """Press keys, on what has the focus."""
        actions = [
            {"type": kind, "value": KEYS.get(key, key)}
            for key in keys
            for kind in ("keyDown", "keyUp")
        ]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self.call("POST", "/actions", {"actions": [keyboard]})

    def choose(self, selector: str, value: str) -> None:
        """Choose an option or enter a value, as a user would."""
        script = """const e = document.querySelector(arguments[0]); e.value = arguments[1];
            e.dispatchEvent(new Event('input', {bubbles: true}));
            e.dispatchEvent(new Event('change', {bubbles: true}))"""
        self.run(script, selector, value)

    def log(self, kind: str) -> list[dict[str, Any]]:
        """New entries of the log ``browser`` (the console) or ``performance`` (what it does)."""
        return self.call("POST", "/se/log", {"type": kind})

    def size(self, width: int, height: int) -> None:
        mobile = width < 600
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.devtools("Emulation.setDeviceMetricsOverride", **screen)

    def media(self, kind: str = "", scheme: str = "light") -> None:
        """Emulate print or screen, and the preferred colours."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", media=kind, features=features)

    def screenshot(self, file: Path, whole: bool = False) -> None:
        options = {"captureBeyondViewport": True} if whole else {}
        if whole:
            width, height = self.run(
                "const d = document.documentElement; return [d.scrollWidth, d.scrollHeight]"
            )
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            options["clip"] = clip
        file.parent.mkdir(exist_ok=True)
        image = self.devtools("Page.captureScreenshot", **options)["data"]
        file.write_bytes(base64.b64decode(image))

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("POST", "/print", {"background": True}))
