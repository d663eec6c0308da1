"""wattkeeper as its owner has it: a process with a config, asked over HTTP, told by signals."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.request

PATIENCE = 30.0


def until(condition, seconds=PATIENCE):
    """The first true answer, or the last one when the time is up."""
    end = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


class Gateway:
    """A running daemon. Its log goes to `log`, whole."""

    def __init__(self, wattkeeper, folder, config):
        self.wattkeeper, self.path, self.log = wattkeeper, pathlib.Path(folder) / "wattkeeper.toml", ""
        self.path.write_text(config)
        command = [wattkeeper, "run", "--log", "text", "--config", self.path]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.follow, daemon=True).start()
        found = until(lambda: re.search(r"http=Some\(([^)]+)\)", self.log) or self.process.poll() is not None)
        if not found or found is True:
            raise SystemExit(f"the daemon does not run:\n{self.log}")
        self.http = found[1]

    def follow(self):
        for line in self.process.stderr:
            self.log += line

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
            return answer.read().decode()

    def state(self):
        return json.loads(self.get("/api/v1/state"))

    def control(self):
        return self.state()["control"] or {"state": "none", "setpoints": []}

    def points(self, device):
        """Name to (value, quality)."""
        found = next(d for d in self.state()["devices"] if d["name"] == device)
        return {point["name"]: (point["value"], point["quality"]) for point in found["points"]}

    def metric(self, series):
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.get("/metrics"), re.M)
        return float(found[1]) if found else None

    def read(self, device, *arguments):
        """What `wattkeeper read --json` says of a device."""
        command = [self.wattkeeper, "read", "--json", "--config", self.path, device, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def reload(self, config):
        self.path.write_text(config)
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self):
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)
