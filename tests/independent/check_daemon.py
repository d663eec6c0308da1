#!/usr/bin/env python3
"""The daemon as a process against devices that are not ours: pymodbus servers, SunSpec images by pysunspec2, RTU on a pty.

usage: check_daemon.py [WATTKEEPER]      (default: target/debug/wattkeeper)

The loop is closed by a small plant. What the daemon says is held against what pysunspec2's client and mbpoll read from the
same devices. Ends with exit code 0 when all agree.
"""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import sunspec2.modbus.client as sunspec

from gateway import Gateway, until
from peers import Plant, Sdm630, Storage

failed = []
LIMIT = 20_000


def check(what, ok, seen=""):
    print(("ok    " if ok else "FAILED"), what, "" if ok else seen, flush=True)
    if not ok:
        failed.append(what)


# A hybrid as most are: tens of watts, hundredths of a percent, settings that its owner chose.
COMMON = {"ID": 1, "Mn": "Sunmill", "Md": "Hall 15", "Vr": "1.02", "SN": "H-1", "DA": 1}
HALL = [
    COMMON,
    {"ID": 103, "A": 0, "AphA": 0, "A_SF": -2, "PhVphA": 2301, "PhVphB": 2312, "PhVphC": 2299, "V_SF": -1, "W": 0,
     "W_SF": 1, "Hz": 4998, "Hz_SF": -2, "WH": 1234567, "WH_SF": 1, "DCW": 0, "DCW_SF": 1, "TmpCab": 312, "Tmp_SF": -1,
     "St": 4, "Evt1": 0, "Evt2": 0},
    {"ID": 120, "DERTyp": 82, "WRtg": 1500, "WRtg_SF": 1, "VARtg": 1500, "VARtg_SF": 1},
    {"ID": 121, "WMax": 1500, "WMax_SF": 1, "VRef": 230, "VRef_SF": 0},
    {"ID": 123, "Conn": 1, "WMaxLimPct": 10000, "WMaxLim_Ena": 0, "OutPFSet": 100, "OutPFSet_Ena": 0, "VArPct_Ena": 0,
     "WMaxLimPct_SF": -2, "OutPFSet_SF": -2},
    {"ID": 124, "WChaMax": 1500, "WChaMax_SF": 1, "WChaGra": 100, "WDisChaGra": 100, "WChaDisChaGra_SF": 0,
     "StorCtl_Mod": 0, "MinRsvPct": 500, "MinRsvPct_SF": -2, "ChaState": 6250, "ChaState_SF": -2, "ChaSt": 6,
     "OutWRte": 9000, "InWRte": 8000, "InOutWRte_SF": -2, "InOutWRte_RvrtTms": 600, "ChaGriSet": 0},
]  # fmt: skip
# Another base, a maker's own model in the chain, floats, whole percents, no revert timer, no switch for the grid.
SHED = [
    COMMON | {"Md": "Shed 8", "SN": "S-1"},
    [64_110, 3, 1, 2, 3],
    {"ID": 113, "A": 1.5, "AphA": 0.5, "PhVphA": 229.5, "PhVphB": 230.5, "PhVphC": 231.5, "W": 0.0, "Hz": 50.01,
     "WH": 7654321.0, "TmpCab": 25.5, "St": 4, "Evt1": 0, "Evt2": 0},
    {"ID": 124, "WChaMax": 8000, "WChaMax_SF": 0, "WChaGra": 100, "WDisChaGra": 100, "WChaDisChaGra_SF": 0,
     "StorCtl_Mod": 3, "ChaState": 40, "ChaState_SF": 0, "OutWRte": 75, "InWRte": 50, "InOutWRte_SF": 0},
]  # fmt: skip
OWN = {
    "hall": {"StorCtl_Mod": 0, "OutWRte": 9000, "InWRte": 8000, "InOutWRte_RvrtTms": 600, "ChaGriSet": 0},
    "shed": {"StorCtl_Mod": 3, "OutWRte": 75, "InWRte": 50, "InOutWRte_RvrtTms": None, "ChaGriSet": None},
}
PEAK = f'[[rule]]\nkind = "peak-shaving"\nlimit = "{LIMIT} W"\n'
SELF = '[[rule]]\nkind = "self-consumption"\n'


class Mosquitto:
    """A broker open to this machine."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = pathlib.Path(folder) / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type none\n")
        path = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen([path, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def newest(self, topic):
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", self.port, "-C", 1, "-W", 10, "-t", f"wattkeeper/yard/{topic}"]
        text = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=20).stdout
        return json.loads(text) if text.startswith("{") else text.strip()


class Yard:
    """The building and a client of another make to look into its devices with."""

    def __init__(self, folder, load):
        self.folder, self.broker = folder, Mosquitto(folder)
        self.plant = Plant(load)
        self.meter = self.plant.serve("grid", Sdm630(self.plant.grid))
        self.hall = self.plant.serve("hall", Storage(self.plant, 40_000, HALL))
        self.shed = self.plant.serve("shed", Storage(self.plant, 50_000, SHED))
        self.plant.batteries = [self.hall, self.shed]
        self.roof = Sdm630(lambda: -1500.0, unit=7, imported_kwh=0.5)
        nobody = Sdm630(lambda: 0.0, unit=9)
        nobody.silent = True
        self.plant.serve_line(f"{folder}/theirs", [self.roof, nobody])

    def grid_near(self, watts, within=1000):
        return until(lambda: abs(self.plant.grid() - watts) < within)

    def theirs(self, name):
        """The device as pysunspec2's own client finds it."""
        device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=self.plant.ports[name])
        device.scan()
        return device

    def settings(self, name):
        device = self.theirs(name)
        model = device.models[124][0]
        device.close()
        return {point: getattr(model, point).value for point in OWN[name]}

    def config(self, enabled, rules):
        ports = self.plant.ports
        battery = lambda name, kw: f"""
[[device]]
name = "{name}"
role = "battery"
profile = "sunspec"
address = "tcp://127.0.0.1:{ports[name]}"
interval = "100 ms"
max_age = "2 s"
timeout = "500 ms"
settle = "1 s"
capacity = "40 kWh"
charge_max = "{kw} kW"
discharge_max = "{kw} kW"
"""
        line = f"rtu:{self.folder}/ours?baud=9600&parity=none"
        roof = lambda unit: f"""
[[device]]
name = "roof-{unit}"
role = "pv-meter"
profile = "eastron-sdm630"
address = "{line}"
unit_id = {unit}
interval = "200 ms"
gap = "10 ms"
timeout = "200 ms"
"""
        return f"""
state_dir = "{self.folder}/state"
[site]
name = "yard"
time_zone = "UTC"
[http]
listen = "127.0.0.1:0"
[mqtt]
broker = "mqtt://127.0.0.1:{self.broker.port}"
[control]
enabled = {str(enabled).lower()}
interval = "200 ms"
lease = "3 s"
[[device]]
name = "grid"
role = "grid-meter"
profile = "eastron-sdm630"
address = "tcp://127.0.0.1:{ports["grid"]}"
interval = "100 ms"
max_age = "2 s"
gap = "0 ms"
{battery("hall", 15)}{battery("shed", 8)}{roof(7)}{roof(9)}{rules}
"""


def mbpoll(*arguments):
    command = ["mbpoll", "-0", "-1", "-B", *map(str, arguments)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    return [float(value) for value in re.findall(r"^\[\d+\]:\s+(-?[\d.e+]+)", text, re.M)]


def close(a, b):
    return a is not None and b is not None and abs(a - b) <= 1e-6 * max(1, abs(b))


def values_agree(yard, daemon):
    """What the daemon shows is what clients of other makes read."""
    until(lambda: daemon.points("shed").get("battery.soc", (None, ""))[1] == "good")
    until(lambda: daemon.points("hall").get("inverter.frequency", (None, ""))[1] == "good")
    for name, kind in (("hall", 103), ("shed", 113)):
        device, shown = yard.theirs(name), daemon.points(name)
        inverter, storage = device.models[kind][0], device.models[124][0]
        expected = {
            "inverter.power": inverter.W.cvalue,
            "inverter.voltage_l1": inverter.PhVphA.cvalue,
            "inverter.voltage_l3": inverter.PhVphC.cvalue,
            "inverter.frequency": inverter.Hz.cvalue,
            "inverter.current": inverter.A.cvalue,
            "inverter.energy": inverter.WH.cvalue,
            "battery.power": inverter.W.cvalue,
            "battery.soc": storage.ChaState.cvalue / 100,
            "battery.max_charge": storage.WChaMax.cvalue,
        }
        for point, value in expected.items():
            check(f"{name}: {point} is what pysunspec2 reads", close(shown.get(point, (None,))[0], value), (shown, value))
        common = device.models[1][0]
        texts = {"manufacturer": common.Mn.value, "model": common.Md.value, "serial": common.SN.value}
        seen = {key: shown.get(f"device.{key}", (None,))[0] for key in texts}
        check(f"{name}: nameplate", seen == texts, seen)
        device.close()
    shown = daemon.points("hall")
    check("hall: reserve", close(shown["battery.soc_min"][0], 0.05), shown)
    check("shed: what is not implemented is no value", daemon.points("shed").get("battery.soc_min", (None,))[0] is None)
    spoken = {point["name"]: point["value"] for point in daemon.read("grid")}
    port = yard.plant.ports["grid"]
    registers = {"meter.voltage_l1": 0, "meter.power_l2": 14, "meter.power": 52, "meter.frequency": 70}
    for point, register in registers.items():
        values = mbpoll("-m", "tcp", "-p", port, "-a", 1, "-t", "3:float", "-r", register, "-c", 1, "127.0.0.1")
        ok = len(values) == 1 and abs(spoken[point] - values[0]) <= 1e-4 * abs(values[0])
        check(f"read: {point} is what mbpoll reads", ok, (spoken, values))
    check("read: energy is in Wh", close(round(spoken["meter.energy_import"]), 1_234_500), spoken["meter.energy_import"])
    values = mbpoll("-m", "tcp", "-p", yard.plant.ports["hall"], "-a", 1, "-t", "4", "-r", 40_002, "-c", 40, "127.0.0.1")
    words = daemon.read("hall", "--registers", "holding:40002:40")["words"]
    check("read: raw registers are what mbpoll reads", [float(word) for word in words] == values, (words, values))


def published(yard, daemon):
    """Units of MQTT's readers: kWh and percent."""
    until(lambda: daemon.metric("wattkeeper_mqtt_connected") == 1.0)
    check("MQTT: online", yard.broker.newest("status") == "online")
    expected = {
        ("grid", "meter.energy_import"): 1234.5,
        ("hall", "battery.soc"): 62.5,
        ("hall", "battery.soc_min"): 5.0,
        ("hall", "inverter.energy"): 12345.67,
        ("hall", "battery.max_charge"): 15_000,
        ("shed", "inverter.energy"): 7654.321,
        ("roof-7", "meter.power"): -1500,
    }
    for (device, point), value in expected.items():
        # A device's topic is sent anew every few seconds: the slow points may come with the next.
        seen = until(lambda: point in (state := yard.broker.newest(f"state/{device}"))["values"] and state, 15) or {}
        found = seen.get("values", {}).get(point)
        check(f"MQTT: {device} {point} is {value}", found is not None and abs(found - value) < 1e-3 * abs(value), seen)


def dry_run(yard, daemon):
    check("dry run", until(lambda: daemon.control()["state"] == "dry-run"), daemon.control())
    places = lambda: [(device.open, device.connects) for device in (yard.meter, yard.hall, yard.shed)]
    check("one connection a device", until(lambda: places() == [(1, 1)] * 3), places())
    wanted = lambda: sum(s["value"] or 0 for s in daemon.control()["setpoints"])
    check("dry run: says what it would do", until(lambda: wanted() > 9000), daemon.control())
    values_agree(yard, daemon)
    published(yard, daemon)
    check("dry run: nothing was written", not yard.hall.writes and not yard.shed.writes)


def line(yard, daemon):
    """Two units of one RTU line, of which one is not there."""
    shown = lambda: daemon.points("roof-7").get("meter.power", (None, ""))
    check("RTU: a meter on pymodbus's serial server", until(lambda: shown() == (-1500.0, "good")), shown())
    before = yard.roof.reads
    check("RTU: goes on beside a silent unit", until(lambda: yard.roof.reads > before + 20))
    up = lambda unit: daemon.metric(f'wattkeeper_device_up{{device="roof-{unit}"}}')
    check("RTU: the silent one is down, the other up", until(lambda: (up(7), up(9)) == (1.0, 0.0)), (up(7), up(9)))


def peaks(yard, daemon):
    yard.plant.load = 30_000
    check("peak: held at 30 kW", yard.grid_near(LIMIT), yard.plant.grid())
    check("peak: controlling", daemon.control()["state"] == "controlling", daemon.control())
    until(lambda: yard.settings("hall")["InWRte"] < 0)
    seen = yard.settings("hall")
    check("hall discharges by a negative InWRte", seen["StorCtl_Mod"] == 3 and seen["InWRte"] < 0, seen)
    check("hall has a revert timer", seen["InOutWRte_RvrtTms"] == 90, seen)
    for load in (36_000, 26_000, 40_000):
        yard.plant.load = load
        check(f"peak: held at {load / 1000:.0f} kW", yard.grid_near(LIMIT), yard.plant.grid())
    check("own limits are kept: the shed gives 75 % at most", yard.shed.power <= 0.75 * 8000 + 80, yard.shed.power)
    yard.grid_near(LIMIT, 100)
    held = [yard.plant.grid() for _ in range(40) if not time.sleep(0.05)]
    check("peak: stays held", max(held) < LIMIT + 500, max(held))
    confirmed = lambda: daemon.metric('wattkeeper_setpoint_watts{device="hall",control="battery"}')
    check("the setpoint is what the battery does", until(lambda: abs((confirmed() or 0) - yard.hall.power) < 200), confirmed())


def reload(yard, daemon):
    daemon.reload(yard.config(True, PEAK + SELF.replace("self-consumption", "self-consumptio")))
    check("a bad config is refused", until(lambda: "reload refused" in daemon.log))
    check("and the old one runs on", yard.grid_near(LIMIT) and daemon.control()["state"] == "controlling")
    daemon.reload(yard.config(True, PEAK + SELF))
    yard.plant.load = 8000
    check("self-consumption after a reload", yard.grid_near(0, 500), yard.plant.grid())
    yard.plant.load = -9000
    check("self-consumption: charges from a surplus", yard.grid_near(0, 500), yard.plant.grid())
    seen = yard.settings("hall")
    check("hall charges by a negative OutWRte", seen["StorCtl_Mod"] == 3 and seen["OutWRte"] < 0, seen)
    check("own limits are kept: the shed takes 50 % at most", yard.shed.power >= -0.5 * 8000 - 80, yard.shed.power)
    check("no bus was restarted", set(re.findall(r"reloaded buses=(\d+)", daemon.log)) == {"0"}, daemon.log[-500:])


def own_settings(yard, what, seconds=0.0):
    for name, own in OWN.items():
        check(f"{what}: {name} has its own settings", until(lambda: yard.settings(name) == own, seconds), yard.settings(name))


def faults(yard, daemon):
    yard.plant.load, most = 30_000, 30_000 - 15_000 - 6000  # the shed's owner allows 75 % of 8 kW
    check("all that the batteries may give", yard.grid_near(most), yard.plant.grid())
    yard.meter.silent = True
    check("silent meter: not controlling", until(lambda: daemon.control()["state"] == "not-controlling"))
    check("silent meter: says so", "grid" in daemon.control()["reason"], daemon.control())
    # Of two batteries one is left to its own automatic, the other stands by: they would feed each other.
    check("silent meter: the hall has its own settings", until(lambda: yard.settings("hall") == OWN["hall"]))
    stands_by = lambda: (yard.settings("shed")["StorCtl_Mod"], yard.settings("shed")["OutWRte"]) == (3, 0)
    check("silent meter: the shed stands by", until(stands_by) and until(lambda: abs(yard.shed.power) < 10))
    yard.meter.silent = False
    check("meter back: controls again", yard.grid_near(most), yard.plant.grid())
    up = lambda name: daemon.metric(f'wattkeeper_device_up{{device="{name}"}}')
    yard.hall.late = 0.8
    check("late battery: away, the meter is not", until(lambda: (up("hall"), up("grid")) == (0.0, 1.0)))
    told = lambda: next(s["value"] for s in daemon.control()["setpoints"] if s["device"] == "hall")
    check("late battery: nothing is asked of it", until(lambda: told() is None), daemon.control())
    yard.hall.late = 0.0
    check("late battery: comes back", until(lambda: up("hall") == 1.0))
    check("late battery: is told again", until(lambda: told()) and yard.grid_near(most), yard.plant.grid())


def ends(yard, daemon):
    yard.plant.load = -9000
    yard.grid_near(0, 500)
    check("SIGTERM: exit code 0", daemon.stop() == 0, daemon.log[-2000:])
    own_settings(yard, "SIGTERM")


def killed(yard, wattkeeper):
    """Nobody can put anything back then, but the device's own timer, and the next start."""
    daemon = Gateway(wattkeeper, yard.folder, yard.config(True, PEAK + SELF))
    check("before the kill: charges", yard.grid_near(0, 500) and yard.hall.power < -1000, yard.hall.power)
    daemon.kill()
    left = yard.settings("hall")
    check("SIGKILL: the hall is left charging", left["StorCtl_Mod"] == 3 and left["OutWRte"] < 0, left)
    yard.hall.pace = 60.0
    check("SIGKILL: its own timer ends it", until(lambda: yard.settings("hall")["StorCtl_Mod"] == 0, 10))
    check("SIGKILL: it rests", until(lambda: abs(yard.hall.power) < 10), yard.hall.power)
    yard.hall.pace = 1.0
    daemon = Gateway(wattkeeper, yard.folder, yard.config(False, PEAK + SELF))
    own_settings(yard, "next start, in dry-run", 15)
    writes = len(yard.hall.writes)
    check("and then it is left alone", until(lambda: daemon.control()["state"] == "dry-run"))
    check("dry run after a crash ends with 0", daemon.stop() == 0, daemon.log[-2000:])
    check("nothing more was written", len(yard.hall.writes) == writes)


def main():
    wattkeeper = sys.argv[1] if len(sys.argv) > 1 else "target/debug/wattkeeper"
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = (pathlib.Path(folder) / end for end in ("ours", "theirs"))
        pty = subprocess.Popen(["socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"])
        until(lambda: ours.exists() and theirs.exists())
        yard = Yard(folder, 30_000)
        try:
            daemon = Gateway(wattkeeper, folder, yard.config(False, PEAK))
            started = time.monotonic()
            dry_run(yard, daemon)
            line(yard, daemon)
            daemon.reload(yard.config(True, PEAK))
            peaks(yard, daemon)
            reload(yard, daemon)
            faults(yard, daemon)
            ends(yard, daemon)
            killed(yard, wattkeeper)
            print(f"{time.monotonic() - started:.1f} s")
        finally:
            pty.terminate()
            yard.broker.process.terminate()
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
