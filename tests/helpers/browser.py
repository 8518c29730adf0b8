"""A real browser without a window, by the WebDriver protocol: chromium and chromedriver."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)
TIMEOUT_S = 60.0


def missing():
    """Return which of the two programs is not installed, or ""."""
    return " and ".join(name for name in ("chromium", "chromedriver") if shutil.which(name) is None)


class Page:
    """One window of the browser."""

    def __init__(self, address, session):
        self._url = f"{address}/session/{session}"

    def open(self, url):
        _call("POST", f"{self._url}/url", {"url": url})

    def run(self, script):
        """Return what the body of a JavaScript function returns."""
        return _call("POST", f"{self._url}/execute/sync", {"script": script, "args": []})

    def wait(self, script):
        """Return what `script` returns as soon as it is true."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.1)
        raise TimeoutError(f"never true: {script}; the page says: {self.text()[:500]}")

    def inside(self, index):
        """Let what follows look at a frame of the page by its number; None: at the page itself."""
        _call("POST", f"{self._url}/frame", {"id": index})

    def text(self):
        return self.run("return document.body.innerText")

    def click(self, text):
        """Click the innermost element that shows exactly `text`."""
        self.wait(
            "const found = [...document.querySelectorAll('*')].filter("
            f"e => e.children.length === 0 && e.textContent.trim() === {json.dumps(text)});"
            "if (!found.length) return false; found[0].click(); return true"
        )

    def screenshot(self):
        return base64.b64decode(_call("GET", f"{self._url}/screenshot"))

    def errors(self):
        """Return what the page complained about in the console."""
        log = _call("POST", f"{self._url}/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]


def _call(method, url, body=None):
    """Return the value of a WebDriver command."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
        return json.load(reply)["value"]


@contextlib.contextmanager
def window(profile):
    """Start a browser that keeps its files in the new folder `profile`; yield its `Page`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _until_ready(address)
        options = {
            "binary": shutil.which("chromium"),
            "args": [*FLAGS, f"--user-data-dir={profile}"],
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = _call("POST", f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})
        try:
            yield Page(address, session["sessionId"])
        finally:  # ends the browser, which would outlive its driver
            _call("DELETE", f"{address}/session/{session['sessionId']}")
    finally:
        driver.terminate()
        driver.wait()


def _until_ready(address):
    """Wait until the driver answers."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if _call("GET", f"{address}/status")["ready"]:
                return
        time.sleep(0.05)
    raise TimeoutError("chromedriver does not answer")
