#!/usr/bin/env python3
"""What the daemon costs and how fast it is, against a simulator on this machine. Standard library only.

  python3 benches/bench.py                      all figures, about 6 minutes; the release build first
  python3 benches/bench.py --quick --check      a smoke run of a minute and a half: fails where a figure is far off
  python3 benches/bench.py --scenario soak --minutes 10

Scenarios: start, scale, floor, reaction (the default) and soak. Needs mosquitto, and no other load on the machine for
the 99th percentiles; CPU times and the ratio to the floor bear some. A device is 60 registers in two blocks, published at
every poll, QoS 0. For steadier figures `--pin CPU` runs everything on one core; `floor` always does.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from gateway_config import controlling, polling

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE, BROKER, HTTP = 21000, 21990, 21991


class Lines:
    """perfsim: a command in, a line of JSON out."""

    def __init__(self, devices, plant):
        argv = [f"{TOP}/target/release/examples/perfsim", str(BASE), str(devices)] + (["plant"] if plant else [])
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the simulator ended: is the port range taken?")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()


class Rig:
    """Simulator, broker and daemon (or the command that stands in for it), for one run."""

    def __init__(self, options, devices, config, plant=False, instead=None):
        self.folder = tempfile.mkdtemp(prefix="wattkeeper-bench-")
        self.processes = []
        try:
            self.sim = Lines(devices, plant)
            self.processes.append(self.sim.process)
            self.broker_config = os.path.join(self.folder, "mosquitto.conf")
            with open(self.broker_config, "w") as file:
                file.write(f"listener {BROKER} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n"
                           "max_queued_messages 0\nset_tcp_nodelay true\n")
            self.start_broker()
            path = os.path.join(self.folder, "wattkeeper.toml")
            with open(path, "w") as file:
                file.write(config(self.folder))
            self.log = open(os.path.join(self.folder, "log"), "wb")
            self.sim.ask("reset")
            self.daemon = subprocess.Popen(instead or [options.binary, "run", "--config", path], stdout=self.log,
                                           stderr=self.log, stdin=subprocess.DEVNULL)
            self.processes.append(self.daemon)
            self.wait_for_all()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start_broker(self):
        self.broker = subprocess.Popen(["mosquitto", "-c", self.broker_config], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        self.processes.append(self.broker)
        time.sleep(0.3)

    def wait_for_all(self, seconds=30):
        end = time.monotonic() + seconds
        while self.sim.ask("stats")["all_polled_ms"] is None:
            if time.monotonic() > end or self.daemon.poll() is not None:
                with open(self.log.name) as log:
                    sys.stderr.write(log.read()[-2000:])
                raise SystemExit("the daemon did not poll all devices")
            time.sleep(0.05)

    def cpu_seconds(self):
        total = 0
        for thread in os.listdir(f"/proc/{self.daemon.pid}/task"):
            with open(f"/proc/{self.daemon.pid}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def status(self, key):
        with open(f"/proc/{self.daemon.pid}/status") as file:
            return int(re.search(rf"^{key}:\s*(\d+)", file.read(), re.M)[1])

    def open_files(self):
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))

    def window(self, seconds):
        """Counts and CPU over some seconds."""
        self.sim.ask("reset")
        cpu, start = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        stats = self.sim.ask("stats")
        cpu, seconds = self.cpu_seconds() - cpu, time.monotonic() - start
        return {"polls/s": stats["polls"] / seconds, "CPU ms/s": cpu * 1e3 / seconds,
                "CPU us/poll": cpu * 1e6 / max(stats["polls"], 1), "gap p50 ms": stats["gap_p50_ms"],
                "gap p99 ms": stats["gap_p99_ms"], "peak RSS MiB": self.status("VmHWM") / 1024}

    def messages(self, seconds):
        """MQTT messages that arrived in some seconds; outside the measured windows."""
        argv = ["mosquitto_sub", "-p", str(BROKER), "-t", "#", "-W", str(seconds), "-F", "%r"]
        out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        return out.split().count("0") / seconds

    def close(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def many(devices, interval_ms):
    return lambda folder: polling(folder, devices, interval_ms, BASE, BROKER)


def start(options):
    """Process start to first poll; the binary; memory with one device."""
    times = []
    for _ in range(2 if options.quick else 7):
        with Rig(options, 1, many(1, 1000)) as rig:
            times.append(rig.sim.ask("stats")["first_poll_ms"])
            rss = rig.status("VmRSS") / 1024
    yield {"start ms": statistics.median(times), "RSS MiB": rss,
           "binary MiB": os.path.getsize(options.binary) / 1048576}


def scale(options):
    """Devices read once a second."""
    for devices in options.devices:
        with Rig(options, devices, many(devices, 1000)) as rig:
            time.sleep(3)
            row = rig.window(5 if options.quick else 20)
            messages = rig.messages(3)
            if not messages:
                raise SystemExit("nothing was published")
            yield {"devices": devices, **row, "messages/s": messages}


def floor(options):
    """One device as fast as it answers, all on one core: the daemon in turns with the same crates without its features."""
    tool = [f"{TOP}/target/release/examples/floor", str(BASE), "1", "0", str(BROKER)]
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    pairs = []
    try:
        for _ in range(2 if options.quick else 7):
            costs = []
            for instead in (None, tool):
                with Rig(options, 1, many(1, 0), instead=instead) as rig:
                    time.sleep(1)
                    costs.append(rig.window(3)["CPU us/poll"])
            pairs.append(costs)
    finally:
        os.sched_setaffinity(0, cores)
    ratios = [daemon / least for daemon, least in pairs]
    daemon, least = (statistics.median(costs) for costs in zip(*pairs))
    yield {"pairs": len(pairs), "CPU us/poll": daemon, "floor us/poll": least, "ratio": statistics.median(ratios),
           "least ratio": min(ratios), "most ratio": max(ratios)}


def reaction(options):
    """From the meter's answer to the battery's write on the wire."""
    with Rig(options, 2, lambda folder: controlling(folder, BASE, BROKER), plant=True) as rig:
        time.sleep(3)
        rig.sim.ask("reset")
        asked = 10 if options.quick else 100
        for step in range(asked):
            rig.sim.ask(f"load {5000 + step * 37 % 4000}")
            time.sleep(0.6 + step % 7 * 0.013)
            rig.sim.ask("load 0")
            time.sleep(0.6)
        stats = rig.sim.ask("stats")
        if stats["reactions"] < asked * 0.9:
            raise SystemExit(f"only {stats['reactions']} of {asked} load steps were answered by the battery")
        yield {"samples": stats["reactions"], "p50 ms": stats["reaction_p50_ms"], "p99 ms": stats["reaction_p99_ms"],
               "max ms": stats["reaction_max_ms"]}


def soak(options):
    """50 devices every 100 ms, while broker and devices break off every 15 s: memory and files must not grow."""
    # What waits for the broker takes room as it should; here it shall not hide what takes room as it should not.
    def little(folder):
        return many(50, 100)(folder) + '\n[telemetry]\nbuffer = "1 MB"\n'

    with Rig(options, 50, little) as rig:
        end = time.monotonic() + options.minutes * 60
        time.sleep(min(60, options.minutes * 15))
        memory, files = rig.status("VmRSS"), rig.open_files()
        breaks = 0
        while time.monotonic() < end:
            rig.sim.ask("drop")
            rig.broker.kill()
            rig.broker.wait()
            time.sleep(2)
            rig.start_broker()
            time.sleep(13)
            breaks += 1
            if rig.daemon.poll() is not None:
                raise SystemExit("the daemon ended")
        time.sleep(10)
        grown, more = rig.status("VmRSS") - memory, rig.open_files() - files
        rig.sim.ask("reset")
        rig.wait_for_all()
        yield {"minutes": options.minutes, "breaks": breaks, "RSS MiB": rig.status("VmRSS") / 1024,
               "grown MiB": grown / 1024, "more files": more}


SCENARIOS = {"start": start, "scale": scale, "floor": floor, "reaction": reaction, "soak": soak}

# For --check: well above what is promised (but for the size), so that a busy machine passes and a blunder does not.
MOST = {"start ms": 500, "binary MiB": 10, "peak RSS MiB": 40, "CPU ms/s": 80, "gap p50 ms": 1100, "ratio": 2.2, "p50 ms": 5,
        "grown MiB": 4, "more files": 2}


def check(name, rows):
    """The figures of a scenario that are far off."""
    return [f"{name}: {column} is {row[column]:.2f}, at most {most} expected"
            for row in rows for column, most in MOST.items() if row.get(column, 0) > most]


def show(name, rows):
    print(f"\n{name}: {SCENARIOS[name].__doc__}")
    columns = list(rows[0])
    print("  ".join(f"{column:>12s}" for column in columns))
    for row in rows:
        print("  ".join(f"{value:12.2f}" if isinstance(value, float) else f"{value!s:>12s}" for value in row.values()))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="start,scale,floor,reaction")
    parser.add_argument("--devices", default="1,100,500", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--binary", help="default: built here")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pin", type=int, metavar="CPU", help="run everything on this core")
    parser.add_argument("--minutes", type=float, default=10, help="length of the soak")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure is far off")
    parser.add_argument("--json", help="append the rows to this file")
    options = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--bins", "--examples"], cwd=TOP, check=True)
    options.binary = options.binary or f"{TOP}/target/release/wattkeeper"
    if options.pin is not None:
        os.sched_setaffinity(0, {options.pin})
    far_off = []
    for name in options.scenario.split(","):
        rows = list(SCENARIOS[name](options))
        show(name, rows)
        far_off += check(name, rows)
        if options.json:
            with open(options.json, "a") as file:
                file.writelines(json.dumps({"scenario": name, "pin": options.pin, **row}) + "\n" for row in rows)
    if options.check and far_off:
        raise SystemExit("\n".join(far_off))


if __name__ == "__main__":
    main()
