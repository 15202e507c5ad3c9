"""browser - Chromium without a window, spoken to over two pipes (DevTools protocol).

https://chromedevtools.github.io/devtools-protocol/. What a page complains of (errors, refused by
its policy, exceptions) is in `complaints`.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from kit import Failed, Skipped

WIDE, PHONE = (1280, 900), (390, 844)


def program():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        raise Skipped("chromium is not installed (packaging/packages.sh, group browser)")
    return path


class Browser:
    def __init__(self, t):
        self.t, self.n, self.waiting, self.events, self.complaints = t, 0, b"", [], []
        self.folder = tempfile.mkdtemp(prefix="tranche-browser-")
        to_it, self.to = os.pipe()
        self.of, of_it = os.pipe()
        to_it, of_it = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_it, of_it))

        def become():
            os.dup2(to_it, 3)
            os.dup2(of_it, 4)
        log = open(os.path.join(self.folder, "log"), "wb")
        self.p = subprocess.Popen(
            [program(), "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-dev-shm-usage",
             "--user-data-dir=" + os.path.join(self.folder, "profile"), "about:blank"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(3, 4), preexec_fn=become, start_new_session=True,
            env=t.env(HOME=self.folder))
        os.close(to_it)
        os.close(of_it)
        t.cleanups.append(self.close)
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")
        self.size(WIDE)

    def close(self):
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait()
        for fd in (self.to, self.of):
            os.close(fd)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the protocol ----

    def message(self, end):
        while b"\0" not in self.waiting:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.of], [], [], left)[0]:
                raise Failed("the browser does not answer")
            more = os.read(self.of, 1 << 20)
            if not more:
                with open(os.path.join(self.folder, "log"), errors="replace") as f:
                    raise Failed("the browser is gone:\n" + f.read()[-3000:])
            self.waiting += more
        one, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, seconds=120, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        end = time.monotonic() + seconds
        while True:
            m = self.message(end)
            if m.get("id") == self.n:
                if "error" in m:
                    raise Failed(f"{method}: {m['error']}")
                return m["result"]
            self.hear(m)

    def hear(self, m):
        method, params = m.get("method"), m.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"])[:2000])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(json.dumps(params["entry"])[:2000])
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append("a dialog: " + params["message"])
        elif method == "Page.loadEventFired":
            self.loaded = True

    # ---- what a person does ----

    def open(self, url):
        self.loaded = False
        r = self.ask("Page.navigate", url=url)
        if r.get("errorText"):
            raise Failed(f"{url}: {r['errorText']}")
        self.t.wait_until(lambda: self.js("document.readyState") == "complete" and self.loaded, f"{url} is loaded")

    def js(self, text):
        r = self.ask("Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise Failed(f"{text[:300]}: {json.dumps(r['exceptionDetails'])[:2000]}")
        return r["result"].get("value")

    def until(self, text, seconds=180):
        try:
            self.t.wait_until(lambda: self.js(text), text, seconds)
        except Failed as e:
            raise Failed(f"{e}\n{self.complaints}\n{self.js('document.body.innerText')[:3000]}")

    def size(self, size):
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1,
                 mobile=size == PHONE)

    def scheme(self, name):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def scripts(self, on):
        self.ask("Emulation.setScriptExecutionDisabled", value=not on)

    def key(self, name, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)
        if name == "Enter":
            self.ask("Input.dispatchKeyEvent", type="char", text="\r", key=name, code=name, windowsVirtualKeyCode=code)

    def tab(self):
        self.key("Tab", 9)

    def shot(self, path):
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
