"""The configuration of a benchmark run: a config file's text, and the profiles it needs written beside it."""
import os

# A device of the workload: 60 registers in two blocks, each register a value of its own.
REGISTERS = [*range(0, 50), *range(100, 110)]


def duration(milliseconds):
    """0 asks for as fast as it goes: the shortest interval that a profile may have is shorter than any answer takes."""
    return f"{milliseconds}ms" if milliseconds else "0.05ms"


def meter_profile(interval_ms):
    points = "\n".join(f'custom.r{r} = {{ at = {r}, type = "u16", unit = "W", group = "all" }}' for r in REGISTERS)
    return f"""[profile]
id = "bench-device"
name = "60 registers in two blocks"
kind = "meter"
status = "confirmed"
sources = ["the bench"]

[bus]
table = "holding"
timeout = "1s"

[groups]
all = {{ every = "{duration(interval_ms)}" }}

[points]
{points}
"""


PLANT_METER = """[profile]
id = "bench-meter"
name = "Grid meter of the bench"
kind = "meter"
status = "confirmed"
sources = ["the bench"]

[bus]
table = "holding"
timeout = "500ms"

[groups]
all = { every = "100ms" }

[points]
power = { at = 0, type = "i32", unit = "W", group = "all" }
"""

PLANT_BATTERY = """[profile]
id = "bench-battery"
name = "Battery of the bench"
kind = "battery"
status = "confirmed"
sources = ["the bench"]

[bus]
table = "holding"
timeout = "500ms"

[groups]
all = { every = "100ms" }

[points]
battery.soc = { at = 0, type = "u16", unit = "%", group = "all" }
battery.power = { at = 1, type = "i32", unit = "W", group = "all" }

[control.battery]
kind = "battery-power"
min = "-20000"
max = "20000"
class = "ram"
refresh = "30s"
settle = "100ms"
set = [{ at = 200, type = "i32", value = "p", verify = true }]
release = [{ at = 200, type = "i32", value = "0" }]
"""


def write_profile(folder, name, text):
    os.makedirs(os.path.join(folder, "profiles"), exist_ok=True)
    with open(os.path.join(folder, "profiles", f"{name}.toml"), "w") as file:
        file.write(text)


def common(folder, broker, http):
    os.makedirs(os.path.join(folder, "state"), exist_ok=True)
    return f"""state_dir = "{folder}/state"

[site]
name = "bench"
time_zone = "UTC"
profiles = "{folder}/profiles"

[mqtt]
broker = "mqtt://127.0.0.1:{broker}"
telemetry_qos = 0

[http]
listen = "{f'127.0.0.1:{http}' if http else 'off'}"
"""


def polling(folder, devices, interval_ms, base_port, broker, http=None):
    """`devices` devices of 60 registers each, read every `interval_ms`."""
    write_profile(folder, "bench-device", meter_profile(interval_ms))
    return common(folder, broker, http) + "".join(f"""
[[device]]
name = "d{i}"
role = "load-meter"
profile = "bench-device"
address = "tcp://127.0.0.1:{base_port + i}"
unit_id = 1
""" for i in range(devices))


def controlling(folder, base_port, broker, http=None):
    """A meter and a battery under an instantaneous limit of 1 kW."""
    write_profile(folder, "bench-meter", PLANT_METER)
    write_profile(folder, "bench-battery", PLANT_BATTERY)
    return common(folder, broker, http) + f"""
[control]
enabled = true

[[device]]
name = "grid"
role = "grid-meter"
profile = "bench-meter"
address = "tcp://127.0.0.1:{base_port}"

[[device]]
name = "battery"
role = "battery"
profile = "bench-battery"
address = "tcp://127.0.0.1:{base_port + 1}"
capacity = "40 kWh"
charge_max = "20 kW"
discharge_max = "20 kW"

[[rule]]
kind = "peak-shaving"
limit = "1 kW"
"""


def gateway_config(job, base_port=20000, broker=18830):
    """For a bench outside that compares gateways: `job.n` devices, `job.interval_ms`, `job.tmp` for the profile."""
    return polling(job.tmp, job.n, job.interval_ms, base_port, broker)
