"""Devices that are not ours: pymodbus serves them, pysunspec2 makes their SunSpec images, a small plant moves behind them.

Power into the busbar is positive: grid import, discharge. The values are ours, every byte on the wire is theirs.
"""

import asyncio
import logging
import struct
import threading

import sunspec2.file.client as sunspec_file
from pymodbus import FramerType
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

STEP = 0.02
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it reports each fault that we ask it for
FLOAT32 = ModbusClientMixin.DATATYPE.FLOAT32


class Device:
    """A Modbus unit: counts its requests and connections, and fails as told."""

    def __init__(self):
        self.silent, self.late = False, 0.0
        self.reads, self.writes = 0, []
        self.open, self.most_open, self.connects = 0, 0, 0

    async def action(self, function, start, address, count, registers, written):
        if self.silent:
            raise NoSuchIdException("silent")  # pymodbus then answers nothing
        if self.late:
            await asyncio.sleep(self.late)
        if written is None:
            self.reads += 1
            self.show(function, registers, start)
            return None
        self.writes.append((address, list(written)))
        return self.take(address, written)

    def show(self, function, registers, start):
        """Fills the registers that are about to be read."""

    def take(self, address, words):
        """Takes a write, or says why not."""
        return ExcCodes.ILLEGAL_FUNCTION

    def connected(self, there):
        self.open += 1 if there else -1
        self.connects += there
        self.most_open = max(self.most_open, self.open)


class Sdm630(Device):
    """A meter by its manual: 32-bit floats in input registers. Its holding registers hold something else."""

    def __init__(self, power, unit=1, imported_kwh=1234.5):
        super().__init__()
        self.power, self.imported_kwh = power, imported_kwh
        holding = [SimData(0, values=[7] * 100, datatype=DataType.REGISTERS)]
        inputs = [SimData(0, values=[0] * 78, datatype=DataType.REGISTERS)]
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        self.unit = SimDevice(unit, simdata=(bits, bits, holding, inputs), action=self.action)

    def show(self, function, registers, start):
        if function != 4:
            return
        watts = self.power()
        values = {0: 230.1, 2: 231.2, 4: 229.9, 0x34: watts, 0x46: 49.98, 0x48: self.imported_kwh, 0x4A: 3.25}
        values |= {0x0C + 2 * phase: watts / 3 for phase in range(3)}
        values |= {6 + 2 * phase: abs(watts) / 3 / 230 for phase in range(3)}
        for at, value in values.items():
            registers[at - start : at - start + 2] = ModbusClientMixin.convert_to_registers(value, FLOAT32)


class Storage(Device):
    """A battery inverter: model 124 as the standard has it, automatic at rest unless `automatic` says otherwise.

    `models` are dicts by the model definitions of pysunspec2, or lists of raw words for a maker's own model.
    """

    def __init__(self, plant, base, models, unit=1):
        super().__init__()
        self.plant, self.base = plant, base
        self.power, self.soc, self.automatic, self.pace = 0.0, 62.5, lambda: 0.0, 1.0
        self.since_write = 0.0
        at, self.parts = base + 2, []
        for model in models:
            if isinstance(model, dict):
                made = sunspec_file.FileClientModel(model_id=model["ID"], data=model)
                if not model.get("L"):
                    made.points["L"].value = made.len - 2
                self.parts.append((at, made))
                at += made.len
            else:
                self.parts.append((at, model))
                at += len(model)
        find = lambda ids: next((part for _, part in self.parts if getattr(part, "model_id", 0) in ids), None)
        self.inverter, self.storage = find((101, 103, 113)), find((124,))
        end = [0xFFFF, 0]
        words = [0x5375, 0x6E53] + [word for _, part in self.parts for word in self.words(part)] + end
        self.unit = SimDevice(
            unit, simdata=[SimData(base, values=words, datatype=DataType.REGISTERS)], action=self.action
        )

    @staticmethod
    def words(part):
        if isinstance(part, list):
            return part
        image = part.get_mb()
        return list(struct.unpack(f">{len(image) // 2}H", image))

    @property
    def most(self):
        return self.storage.WChaMax.cvalue

    def show(self, function, registers, start):
        self.inverter.W.cvalue = self.power
        self.storage.ChaState.cvalue = self.soc
        for at, part in self.parts:
            if part in (self.inverter, self.storage):
                words = self.words(part)
                registers[at - start : at - start + len(words)] = words

    def take(self, address, words):
        """Only whole points that the standard lets be written, with values that it knows."""
        at, part = next(((at, p) for at, p in self.parts if at <= address < at + len(self.words(p))), (0, None))
        if part is not self.storage:
            return ExcCodes.ILLEGAL_ADDRESS
        offset, end, points = address - at, address - at + len(words), []
        while offset < end:
            point = next((p for p in part.points.values() if p.offset == offset), None)
            if point is None or offset + point.len > end or point.pdef.get("access") != "RW" or point.value is None:
                return ExcCodes.ILLEGAL_ADDRESS
            points.append(point)
            offset += point.len
        for point, word in zip(points, words):
            name, signed = point.pdef["name"], word - 0x10000 if word > 0x7FFF else word
            full = round(100 / 10 ** (part.InOutWRte_SF.value or 0))
            known = {"StorCtl_Mod": range(4), "ChaGriSet": range(2), "InOutWRte_RvrtTms": range(65535)}
            known |= {"OutWRte": range(-full, full + 1), "InWRte": range(-full, full + 1)}
            if name not in known:
                return ExcCodes.ILLEGAL_ADDRESS
            if signed not in known[name]:
                return ExcCodes.ILLEGAL_VALUE
            point.value = signed
        self.since_write = 0.0
        return None

    def window(self):
        """(least, most) power that model 124 leaves, discharge positive."""
        model, least, most = self.storage, -self.most, self.most
        if model.StorCtl_Mod.value & 1:
            least = max(least, -self.most * model.InWRte.cvalue / 100)
        if model.StorCtl_Mod.value & 2:
            most = min(most, self.most * model.OutWRte.cvalue / 100)
        if model.ChaGriSet.value == 0:  # charges from the building's own surplus alone
            least = max(least, min(0.0, self.plant.load))
        return least, max(most, least)

    def step(self):
        self.since_write += STEP * self.pace
        timer = self.storage.InOutWRte_RvrtTms.value
        if self.storage.StorCtl_Mod.value and timer and self.since_write >= timer:
            self.storage.StorCtl_Mod.value = 0  # nobody renewed it: the own automatic again
        least, most = self.window()
        target = min(max(self.automatic(), least), most)
        self.power += (target - self.power) * 0.2
        self.power = target if abs(target - self.power) < 1 else self.power


class Plant:
    """A busbar with a load and batteries: grid = load - batteries. Serves its devices until closed."""

    def __init__(self, load):
        self.load, self.batteries = load, []
        self.ports, self.loop = {}, asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self.turn(), self.loop)

    def grid(self):
        return self.load - sum(battery.power for battery in self.batteries)

    async def turn(self):
        while True:
            for battery in self.batteries:
                battery.step()
            await asyncio.sleep(STEP)

    def serve(self, name, device):
        """Serves a device on a port of its own."""

        async def start():
            server = ModbusTcpServer(
                device.unit, address=("127.0.0.1", 0), ignore_missing_devices=True, trace_connect=device.connected
            )
            await server.serve_forever(background=True)
            return server.transport.sockets[0].getsockname()[1]

        self.ports[name] = asyncio.run_coroutine_threadsafe(start(), self.loop).result(10)
        return device

    def serve_line(self, path, devices):
        """Serves devices as units of one serial line; other units stay silent."""

        async def start():
            server = ModbusSerialServer(
                [device.unit for device in devices],
                framer=FramerType.RTU,
                port=path,
                baudrate=9600,
                ignore_missing_devices=True,
            )
            await server.serve_forever(background=True)

        asyncio.run_coroutine_threadsafe(start(), self.loop).result(10)
