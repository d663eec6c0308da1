#!/usr/bin/env python3
"""Reads the simulated devices with clients that are not ours: pymodbus, pysunspec2, mbpoll.

usage: check_devices.py [WATTKEEPER]      (default: target/debug/wattkeeper)

Starts `wattkeeper simulate` on site.toml, with a pty pair (socat) as its serial line, and compares what the clients read
with the truth that it prints. Ends with exit code 0 when all agree.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import sunspec2.modbus.client as sunspec
from pymodbus.client import ModbusTcpClient

HERE = pathlib.Path(__file__).parent
failed = []


def check(what, ok, seen=""):
    print(("ok    " if ok else "FAILED"), what, seen)
    if not ok:
        failed.append(what)


def near(a, b, share=0.05, floor=600.0):
    return abs(a - b) <= max(floor, share * abs(b))


class Site:
    """The simulated site: where its devices are, and the newest truth."""

    def __init__(self, wattkeeper, serial):
        command = [wattkeeper, "simulate", "--config", HERE / "site.toml", "--json", "--every", "50ms"]
        command += ["--listen", "127.0.0.1:0", "--serial", serial, "--load-peak", "60", "--pv-peak", "30"]
        command += ["--start", "2026-06-01T12:00:00Z"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ports, self.newest = {}, None
        for line in self.process.stderr:
            if found := re.match(r"(\S+): tcp://127\.0\.0\.1:(\d+) unit", line):
                self.ports[found[1]] = int(found[2])
            if line.startswith("line-meter:"):
                break
            if "error" in line:
                print(line, self.process.stderr.read())
        if len(self.ports) < 5:
            self.process.wait(5)
            sys.exit(f"{wattkeeper} simulate ended with {self.process.returncode}")
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.newest = json.loads(line)

    def truth(self):
        self.newest = None
        while self.newest is None:
            time.sleep(0.01)
        return self.newest

    def client(self, name):
        client = ModbusTcpClient("127.0.0.1", port=self.ports[name])
        assert client.connect()
        return client

    def sunspec(self, name):
        device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=self.ports[name])
        device.scan()
        return device


def until(condition, seconds=10.0):
    """Waits for a condition, at most so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def f32(client, address):
    answer = client.read_input_registers(address, count=2, device_id=1)
    return client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)


def sdm630(site):
    client = site.client("grid")
    watts, truth = f32(client, 0x34), site.truth()
    check("SDM630: total power", near(watts, truth["grid_w"]), f"{watts:.1f} W")
    phases = sum(f32(client, at) for at in (0x0C, 0x0E, 0x10))
    check("SDM630: phases add up", near(phases, truth["grid_w"]), f"{phases:.1f} W")
    check("SDM630: voltage", 220 < f32(client, 0) < 240)
    check("SDM630: frequency", 49.9 < f32(client, 0x46) < 50.1)
    kwh = f32(client, 0x48)
    check("SDM630: import", abs(kwh - site.truth()["imported_wh"] / 1000) < 0.1, f"{kwh:.2f} kWh")
    check("SDM630: at most 80 registers", client.read_input_registers(0, count=81, device_id=1).exception_code == 3)
    check("SDM630: another unit is away", client.read_input_registers(0, count=2, device_id=9).exception_code == 11)


def mbpoll(*arguments):
    command = ["mbpoll", "-0", "-1", "-B", *map(str, arguments)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout
    return [float(value) for value in re.findall(r"^\[\d+\]:\s+(-?[\d.e+]+)", text, re.M)]


def by_mbpoll(site, serial):
    values = mbpoll("-m", "tcp", "-p", site.ports["grid"], "-a", 1, "-t", "3:float", "-r", 0x34, "-c", 1, "127.0.0.1")
    check("mbpoll: power over TCP", len(values) == 1 and near(values[0], site.truth()["grid_w"]), values)
    values = mbpoll("-m", "rtu", "-b", 9600, "-P", "none", "-a", 7, "-t", "3:float", "-r", 0, "-c", 3, serial)
    check("mbpoll: voltages over RTU", len(values) == 3 and all(220 < volts < 240 for volts in values), values)


def sunspec_pv(site):
    device = site.sunspec("roof")
    check("PV: chain", [m.model_id for m in device.model_list] == [1, 103, 120, 121, 123])
    check("PV: lengths are those of the model tables", all(m.len == m.points["L"].value for m in device.model_list))
    check("PV: type", device.models[120][0].DERTyp.value == 4)
    check("PV: rating", near(device.models[121][0].WMax.cvalue, 30_000, floor=1))
    inverter = device.models[103][0]
    check("PV: power", near(inverter.W.cvalue, site.truth()["pv_w"]), f"{inverter.W.cvalue} W")
    check("PV: not implemented is none", inverter.PPVphAB.value is None)
    control = device.models[123][0]
    control.WMaxLimPct.cvalue, control.WMaxLim_Ena.value = 0, 1
    control.write()
    check("PV: curtailed", until(lambda: site.truth()["pv_w"] < 100))
    control.WMaxLim_Ena.value = 0
    control.write()
    control.read()
    check("PV: read back", control.WMaxLim_Ena.value == 0 and control.WMaxLimPct.cvalue == 0)


def sunspec_storage(site):
    device = site.sunspec("store")
    check("storage: chain", [m.model_id for m in device.model_list] == [1, 103, 120, 121, 123, 124, 160])
    storage, mppt = device.models[124][0], device.models[160][0]
    check("storage: modules", [m.IDStr.value for m in mppt.module] == ["String 1", "String 2", "StCha", "StDisCha"])
    soc = site.truth()["devices"]["store"]["soc"]
    check("storage: SoC", abs(storage.ChaState.cvalue - 100 * soc) < 0.2, f"{storage.ChaState.cvalue} %")
    check("storage: WChaMax", storage.WChaMax.cvalue == 40_000)
    storage.OutWRte.cvalue, storage.InOutWRte_RvrtTms.value, storage.StorCtl_Mod.value = -30, 4, 2
    storage.write()
    power = lambda: site.truth()["devices"]["store"]["battery_w"]
    check("storage: -30 % of discharge is 12 kW of charge", until(lambda: near(power(), -12_000, floor=100), 3.5))
    device.models[103][0].read()
    check("storage: shows it", near(device.models[103][0].W.cvalue, -12_000, floor=100))
    mppt.read()
    check("storage: as module 3", near(mppt.module[2].DCW.cvalue, 12_000 * 0.95, floor=100))
    check("storage: reverts by itself", until(lambda: not near(power(), -12_000, floor=100), 8))
    storage.read()
    check("storage: and says so", storage.StorCtl_Mod.value == 0 and storage.InOutWRte_RvrtTms.value == 4)
    storage.OutWRte.cvalue, storage.InWRte.cvalue = 0, 0
    storage.InOutWRte_RvrtTms.value, storage.StorCtl_Mod.value = 0, 3
    storage.write()
    check("storage: holds", until(lambda: abs(power()) < 1))


def sunspec_meter(site):
    device = site.sunspec("grid-2")
    check("meter: chain", [m.model_id for m in device.model_list] == [1, 203])
    meter = device.models[203][0]
    check("meter: load", near(meter.W.cvalue, site.truth()["load_w"]), f"{meter.W.cvalue} W")


def victron(site):
    client = site.client("gx")
    serial = client.read_holding_registers(800, count=6, device_id=100)
    text = client.convert_from_registers(serial.registers, client.DATATYPE.STRING)
    check("GX: serial is 12 hex digits", re.fullmatch("[0-9a-f]{12}", text) is not None, text)
    signed = lambda word: word - 0x10000 if word > 0x7FFF else word
    grid = sum(signed(w) for w in client.read_input_registers(820, count=3, device_id=100).registers)
    check("GX: grid", near(grid, site.truth()["grid_w"]), f"{grid} W")
    setpoint = int(site.truth()["grid_w"]) + 5000
    words = client.convert_to_registers(setpoint, client.DATATYPE.INT32)
    client.write_registers(2716, words, device_id=100)
    check("GX: regulates the grid point", until(lambda: near(site.truth()["grid_w"], setpoint, floor=500)))
    time.sleep(1)
    battery = signed(client.read_holding_registers(842, count=1, device_id=100).registers[0])
    truth = -site.truth()["devices"]["gx"]["battery_w"]
    check("GX: battery, charging positive, less its losses", near(battery, truth * (0.95 if truth > 0 else 1 / 0.95)))
    client.write_registers(2716, [0, 0], device_id=100)
    client.write_register(2702, 0, device_id=100)
    check("GX: no discharge", until(lambda: site.truth()["devices"]["gx"]["battery_w"] < 1))
    check("GX: a hole is exception 2", client.read_holding_registers(848, count=1, device_id=100).exception_code == 2)


def main():
    wattkeeper = sys.argv[1] if len(sys.argv) > 1 else "target/debug/wattkeeper"
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = f"{folder}/ours", f"{folder}/theirs"
        line = subprocess.Popen(["socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}"])
        assert until(lambda: pathlib.Path(ours).exists() and pathlib.Path(theirs).exists())
        site = Site(wattkeeper, ours)
        try:
            time.sleep(3)  # the batteries begin at rest and take over the load
            sunspec_storage(site)  # leaves it holding: two batteries that regulate one grid point would fight
            sunspec_pv(site)
            time.sleep(2)  # until the batteries have followed
            sunspec_meter(site)
            sdm630(site)
            by_mbpoll(site, theirs)
            victron(site)
        finally:
            site.process.terminate()
            line.terminate()
        check("simulate ends on SIGTERM with 0", site.process.wait(5) == 0)
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
