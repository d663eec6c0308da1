//! Register values of real devices, as others published them, and what they mean. Signs: import, PV and discharge positive.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattkeeper::profile::{Instance, Overrides, Table, Value, WordOrder};

use crate::device::{Device, at, builtin, identify, poll_all};

type Values = BTreeMap<String, Value>;

/// Registers of one table: first address, words in hex.
fn device(table: Table, blocks: &[(u16, &str)]) -> Device {
    let mut device = Device::default();
    put(&mut device, table, blocks);
    device
}

fn put(device: &mut Device, table: Table, blocks: &[(u16, &str)]) {
    for (start, hex) in blocks {
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        let words: Vec<u16> =
            digits.chunks(4).map(|four| u16::from_str_radix(&four.iter().collect::<String>(), 16).unwrap()).collect();
        device.put(table, *start, &words);
    }
}

fn read(id: &str, device: &Device) -> Values {
    let mut instance = Instance::new(builtin(id), &Overrides::default());
    identify(&mut instance, device).unwrap();
    // A total that shows 0 or comes anew is believed at the third poll.
    (0..3).map(|n| poll_all(&mut instance, device, at(n))).last().unwrap()
}

#[track_caller]
fn is(values: &Values, point: &str, wanted: f64) {
    match values.get(point) {
        Some(Value::Number(found)) if (found - wanted).abs() <= 1e-6 * wanted.abs().max(1.0) => {}
        other => panic!("{point} is {other:?}, not {wanted}"),
    }
}

/// evcc issue 16704 (an SH15T: "Power: 493W, Energy: 436.7kWh"), issue 16696 (an SH10RT: 1177 kWh discharged, 98.8 %).
#[test]
fn a_sungrow_has_the_low_word_first() {
    let blocks = [
        (4989, "4132 3335 3034 3135 3737 3000 0000 0000 0000 0000"),
        (5000, "0064"),
        (5016, "01ed 0000"),
        (13_000, "0002"),
        (13_002, "110f 0000"),
        (13_009, "ffe3 ffff"),
        (13_021, "01d8"),
        (13_022, "03dc"),
        (13_026, "2dfa 0000"),
    ];
    let values = read("sungrow-sh", &device(Table::Input, &blocks));
    is(&values, "pv.power", 493.0);
    is(&values, "pv.energy", 436_700.0);
    is(&values, "grid.power", 29.0); // 13009 counts export
    is(&values, "battery.soc", 0.988);
    is(&values, "battery.energy_discharge", 1_177_000.0);
    // Old firmware: a magnitude, bit 1 of 13000 says "charging".
    is(&values, "battery.power", -472.0);
    is(&values, "battery.max_charge", 10_000.0);
    assert_eq!(values["device.serial"], Value::Text(Arc::from("A2350415770")));

    let mut newer = device(Table::Input, &blocks);
    put(&mut newer, Table::Input, &[(5213, "fe28 ffff")]);
    put(&mut newer, Table::Holding, &[(33_046, "01f4 0190")]);
    let values = read("sungrow-sh", &newer);
    is(&values, "battery.power", -472.0); // 5213 counts discharge (mkaiser modbus_sungrow.yaml)
    is(&values, "battery.max_charge", 5000.0);
    is(&values, "battery.max_discharge", 4000.0);
}

/// evcc issue 18339 (31401 = 00017586, SoC 2d: "battery soc: 45%"), issue 16907 (30775 = ffffffe9: an SBS takes 23 W),
/// issue 16972 (a Tripower in the morning: 30773 = 0, 30961 = 37: 55 W).
#[test]
fn an_sma_has_all_ones_where_there_is_nothing() {
    let tripower = device(
        Table::Holding,
        &[
            (30_057, "b391 2a4e"),
            (30_231, "0000 2710"),
            (30_773, "0000 0000"),
            (30_775, "ffff ffe9"),
            (30_865, "0000 0000 0000 0fa0"),
            (30_845, "0000 002d"),
            (30_961, "0000 0037"),
            (31_393, "0000 0000 0000 1006"),
            (31_401, "0000 0000 0001 7586"),
        ],
    );
    let values = read("sma-tripower-se", &tripower);
    is(&values, "pv.power", 55.0);
    is(&values, "inverter.power", -23.0);
    is(&values, "grid.power", -4000.0); // import 0, export 4000
    is(&values, "battery.power", 4102.0); // evcc issue 18339: "battery power: 4102W" while discharging
    is(&values, "battery.soc", 0.45);
    is(&values, "battery.energy_discharge", 95_622.0);

    let mut asleep = tripower;
    put(&mut asleep, Table::Holding, &[(30_773, "8000 0000"), (31_393, "ffff ffff ffff ffff"), (30_845, "ffff ffff")]);
    let values = read("sma-tripower-se", &asleep);
    is(&values, "pv.power", 55.0);
    assert_eq!(values["battery.power"], Value::Invalid, "asleep is not 0 W");
    assert_eq!(values["battery.soc"], Value::Invalid);

    let island = [(30_057, "b391 2a4e"), (30_775, "ffff ffe9"), (40_189, "0000 1388 0000 1770")];
    let values = read("sma-sunny-island", &device(Table::Holding, &island));
    is(&values, "battery.power", -23.0);
    is(&values, "battery.max_charge", 5000.0);
    is(&values, "battery.max_discharge", 6000.0);
}

/// evcc issue 12708 (registers 40071 to 40120 of an SE10K-RWS), issue 15445 (its meter from 40190 on; 91 W in export
/// direction is ffa5), solaredge-modbus-multi issue 527 (57668: 45b09000, 46000000), nmakel/solaredge_modbus issue 90
/// (690 W while the status is 3, charging; SoE 28.888887).
#[test]
fn a_solaredge_mixes_word_orders() {
    let mut edge = device(
        Table::Holding,
        &[
            (40_000, "5375 6e53"),
            (40_004, "536f 6c61 7245 6467 6500 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000"),
            (
                40_071,
                "0942 030d 031d 0317 fffe 0fae 0fbe 0fb7 090b 090a 0921 ffff 1590 0000 1384 fffe 1598 0000 f3b2 ffff \
                 d901 fffe 01fc 6b62 0000 1cbe fffd 1dc0 ffff 15e4 0000 8000 144d 8000 8000 fffe 0004 0000",
            ),
            (40_188, "00cb 0069"),
            (
                40_190,
                "0066 002f 0008 002e ffff 5b98 5b98 5cd3 5a6c 0000 0000 0000 0000 fffe 1387 fffe ffa5 0408 ff85 fc18 \
                 0000 01dc 041c 0094 03f8 0000 fe2d ff31 ffaf ff4e 0000 081c db02 1950 2403 fffe 0144 8402 015e 6052 \
                 0000 0000 0000 0000 0114 0820 0028 f5e8 0053 b622 00b1 3865 0000",
            ),
            (57_348, "0004 0001"),
            (57_666, "c000 460f 9000 45b0 0000 4600"),
            (57_716, "8000 442c"),
            (57_730, "0000 42c6 1c71 41e7"),
        ],
    );
    let values = read("solaredge-storedge", &edge);
    is(&values, "inverter.power", 5520.0);
    is(&values, "inverter.energy", 33_319_778.0);
    is(&values, "grid.power", 91.0);
    is(&values, "grid.energy_export", 21_267_458.0);
    is(&values, "grid.energy_import", 18_090_016.0);
    is(&values, "battery.power", -690.0);
    is(&values, "battery.capacity", 9200.0);
    is(&values, "battery.max_charge", 5650.0);
    is(&values, "battery.max_discharge", 8192.0);
    assert!(matches!(values["battery.soc"], Value::Number(soc) if (soc - 0.288_888_87).abs() < 1e-6));
    is(&values, "pv.power", 6294.0); // 5604 W of DC and the 690 W that go into the battery
    assert_eq!(values["inverter.state"], Value::Text(Arc::from("mppt")));
    assert_eq!(values["device.manufacturer"], Value::Text(Arc::from("SolarEdge")));

    // No meter at its place (a Synergy inverter has it further on); no battery: -3.4e38 or NaN.
    put(&mut edge, Table::Holding, &[(40_188, "ffff"), (57_716, "ffff ff7f")]);
    let values = read("solaredge-storedge", &edge);
    assert_eq!(values["grid.power"], Value::Invalid);
    assert_eq!(values["battery.power"], Value::Invalid);
}

/// marcelblijleven/goodwe tests/sample/et/GW10K-ET_running_data1.hex and GW10K-ET_meter_data.hex, decoded there by
/// tests/test_et.py; SoC, health and limits as that test has them.
#[test]
fn a_goodwe_counts_discharge_and_export_positive() {
    let running = "1508160b0b0c0cfe00330000069f0cfe0035000006e100000000000000000000000000000000000002020959000f1387\
                   00000150096f000d13870000011f096b000b1387000000ce00010000033ffffffffd0000000000000000095600061386\
                   00010000006b096d000913880001000000bd096c00021387000100000000000000e000000050000000e9000001380000\
                   020a000401fe0000024b00001f640fb209eeff9efffff63000030000002000010000000000000000edb50000007d0000\
                   b8520000241e00620000024400000001588a007400006bbd003500005f65001d00050000";
    let meter = "00010023000a00000001ffc7ffd2fffaff920538ff6fff84fff2ffb0138d462449804a46a2f9ffffffc7ffffffd2ffff\
                 fffaffffff92";
    let blocks = [
        (35_001, "2710 3931 3030 3045 5455 3030 3057 3030 3030"),
        (35_100, running),
        (36_000, meter),
        (37_004, "000a 0019 0000 005b 0063"),
    ];
    let values = read("goodwe-et", &device(Table::Holding, &blocks));
    is(&values, "pv.power", 3456.0); // ppv
    is(&values, "pv.energy", 6_085_300.0); // e_total
    is(&values, "battery.voltage", 254.2);
    is(&values, "battery.power", -2512.0); // fffff630, battery_mode 3: charging
    is(&values, "battery.energy_charge", 2_758_100.0);
    is(&values, "battery.energy_discharge", 2_442_100.0);
    is(&values, "battery.soc", 0.91);
    is(&values, "inverter.power", -3.0); // active_power
    is(&values, "grid.power", 110.0); // active_power_total -110
    is(&values, "grid.power_l1", 57.0);
    is(&values, "grid.energy_export", 10_514.375);
    is(&values, "grid.energy_import", 3_254_462.25);
    is(&values, "battery.max_charge", 2542.0); // 10 A
    is(&values, "battery.max_discharge", 6355.0); // 25 A
}

/// davidrapan/ha-solarman pull 488 ("Zero Export to CT", a load of 3.3 kW: 2184 W from the battery, 1252 W from the grid).
#[test]
fn a_deye_of_one_phase_counts_discharge_and_import_positive() {
    let mut deye = Device::default();
    let dump = [
        (0, 3),
        (150, 2405),
        (169, 1252),
        (182, 1275),
        (183, 5258),
        (184, 96),
        (186, 261),
        (187, 295),
        (190, 2184),
        (191, 4155),
        // Import total: low word, frequency, high word (evcc deye-storage.yaml reads 78 and 80).
        (78, 0x86a0),
        (79, 4998),
        (80, 1),
    ];
    for (at, word) in dump {
        deye.put(Table::Holding, at, &[word]);
    }
    let values = read("deye-1p", &deye);
    is(&values, "battery.power", 2184.0);
    is(&values, "battery.current", 41.55);
    is(&values, "battery.voltage", 52.58);
    is(&values, "battery.soc", 0.96);
    is(&values, "battery.temperature", 27.5);
    is(&values, "grid.power", 1252.0);
    is(&values, "grid.voltage", 240.5);
    is(&values, "grid.frequency", 49.98);
    is(&values, "grid.energy_import", 10_000_000.0);
    is(&values, "pv.power", 556.0);
    let mut other = Instance::new(builtin("deye-3p"), &Overrides::default());
    assert!(identify(&mut other, &deye).is_err(), "three phases are another device");
}

/// kbialek/deye-inverter-mqtt issue 31 (registers 024a to 024f of an SG04LP3: 0480 1404 0015 0000 02d1 0581).
#[test]
fn a_deye_of_three_phases_is_known_by_its_type() {
    let blocks = [(0, "0005"), (586, "0480 1404 0015 0000 02d1 0581"), (625, "ff38"), (672, "0064 0032 0000 0000")];
    let values = read("deye-3p", &device(Table::Holding, &blocks));
    is(&values, "battery.temperature", 15.2);
    is(&values, "battery.voltage", 51.24);
    is(&values, "battery.soc", 0.21);
    is(&values, "battery.power", 721.0); // 14.09 A at 51.24 V
    is(&values, "battery.current", 14.09);
    is(&values, "grid.power", -200.0);
    is(&values, "pv.power", 150.0);
}

/// evcc issue 25636 (33149 = 548, 33135 = 1: "battery 1 power: 548W"; 33057 = 4; 33257 = ffffffc6), issue 14711
/// (33263 = ffffffcc, 33283 = 0003d0f4).
#[test]
fn a_solis_tells_the_direction_of_its_battery_beside_the_power() {
    let blocks = [
        (33_057, "0000 0004"),
        (33_133, "01f4"),
        (33_135, "0001"),
        (33_139, "004b 0064"),
        (33_143, "01f4 03e8"),
        (33_149, "0000 0224"),
        (33_257, "ffff ffc6 0000 0000 0000 0000 ffff ffcc"),
        (33_283, "0003 d0f4"),
    ];
    let mut solis = device(Table::Input, &blocks);
    let values = read("solis-hybrid", &solis);
    is(&values, "battery.power", 548.0);
    is(&values, "pv.power", 4.0);
    is(&values, "grid.power", 52.0);
    is(&values, "grid.power_l1", 58.0);
    is(&values, "grid.energy_import", 2_501_000.0);
    is(&values, "battery.max_charge", 2500.0);
    is(&values, "battery.max_discharge", 5000.0);
    // Charging, with and without a sign of its own.
    for power in ["0000 0224", "ffff fddc"] {
        put(&mut solis, Table::Input, &[(33_135, "0000"), (33_149, power)]);
        is(&read("solis-hybrid", &solis), "battery.power", -548.0);
    }
}

/// wlcrs/huawei-solar-lib tests (model "SUN2000L-3KTL", rated power 3000 W) and register_values.py (signs); evcc issue 31595
/// (a meter that is not there shows 7fffffff: 21474836.47 kWh).
#[test]
fn a_huawei_without_a_meter_has_no_grid_power() {
    let mut huawei = device(
        Table::Holding,
        &[
            (30_000, "5355 4e32 3030 304c 2d33 4b54 4c00 0000 0000 0000 0000 0000 0000 0000 0000"),
            (30_073, "0000 0bb8"),
            (32_064, "0000 0fa0"),
            (32_080, "0000 0bb8"),
            (37_046, "0000 1388 0000 1388"),
            (37_760, "02ee"),
            (37_762, "0002"),
            (37_765, "0000 03e8"),
        ],
    );
    let meter: Vec<u16> = [0x7FFF, 0xFFFF].repeat(18).into_iter().chain([0x7FFF]).collect();
    huawei.put(Table::Holding, 37_101, &meter);
    let values = read("huawei-sun2000", &huawei);
    assert_eq!(values["grid.power"], Value::Invalid);
    assert_eq!(values["grid.energy_import"], Value::Invalid);
    is(&values, "battery.power", -1000.0); // 37765 counts charge
    is(&values, "battery.soc", 0.75);
    is(&values, "pv.power", 4000.0);
    is(&values, "inverter.max", 3000.0);
    assert_eq!(values["device.model"], Value::Text(Arc::from("SUN2000L-3KTL")));

    // 2100 W of feed-in, as in that FusionSolar; exported energy comes negative (I32AbsoluteValueRegister).
    put(&mut huawei, Table::Holding, &[(37_113, "0000 0834"), (37_119, "ffff fc18 0000 07d0")]);
    let values = read("huawei-sun2000", &huawei);
    is(&values, "grid.power", -2100.0);
    is(&values, "grid.energy_export", 10_000.0);
    is(&values, "grid.energy_import", 20_000.0);
}

/// evcc issue 16992 writes 95.0 % as 0000 42be (low word first) by fn 16 to unit 71; issue 31827 reads 4718 W from 1038.
#[test]
fn a_kostal_says_its_word_order() {
    let little = [
        (5, "0000"),
        (252, "0000 c47a"),
        (514, "0040"),
        (582, "fe0c"),
        (1038, "7000 4593 0000 459c"),
        (1066, "0000 42be"),
        (1080, "0002"),
    ];
    let big = [
        (5, "0001"),
        (252, "c47a 0000"),
        (514, "0040"),
        (582, "fe0c"),
        (1038, "4593 7000 459c 0000"),
        (1066, "42be 0000"),
        (1080, "0002"),
    ];
    for blocks in [little, big] {
        let values = read("kostal-plenticore", &device(Table::Holding, &blocks));
        is(&values, "grid.power", -1000.0);
        is(&values, "battery.power", -500.0);
        is(&values, "battery.soc", 0.64);
        is(&values, "battery.max_charge", 4718.0);
        is(&values, "pv.power", 95.0);
    }
    // The owner's config wins over the register, and a register that makes no sense is no Kostal.
    let overrides = Overrides { words: Some(WordOrder::Big), ..Overrides::default() };
    let mut told = Instance::new(builtin("kostal-plenticore"), &overrides);
    let odd = device(Table::Holding, &[(5, "0000"), (1066, "42be 0000")]);
    identify(&mut told, &odd).unwrap();
    is(&poll_all(&mut told, &odd, at(0)), "pv.power", 95.0);
    let mut other = Instance::new(builtin("kostal-plenticore"), &Overrides::default());
    let error = identify(&mut other, &device(Table::Holding, &[(5, "0007")])).unwrap_err();
    assert!(error.ends_with("register 5 has 7, not 0 (low word first) or 1 (high word first)"), "{error}");
}

/// evcc issue 11454 (0608 = 0035: 53 %); signs of evcc sofarsolar-g3.yaml and openWB devices/sofar (export, charge +).
#[test]
fn a_sofar_counts_in_ten_watts() {
    let blocks = [
        (1160, "ff9c"),
        (1414, "0032"),
        (1417, "0019"),
        (1542, "00c8 0000 0035"),
        (1678, "0000 03e8"),
        (1682, "0001 0000"),
        (4368, "0000"),
    ];
    let values = read("sofar-hyd", &device(Table::Holding, &blocks));
    is(&values, "battery.soc", 0.53);
    is(&values, "battery.power", -2000.0);
    is(&values, "grid.power", 1000.0);
    is(&values, "pv.power", 750.0);
    is(&values, "grid.energy_import", 100_000.0);
    is(&values, "grid.energy_export", 6_553_600.0);
}

/// 0xAHA/Growatt_ModbusTCP issue 403 (30016, 30017 = 1, 34464: 10 kW) and pull 77 (3178 discharge, 3180 charge, unsigned).
#[test]
fn a_growatt_has_two_unsigned_numbers_for_each_direction() {
    let blocks = [
        (3005, "0000 2328"),
        (3009, "0000 03e8"),
        (3013, "0000 0000"),
        (3017, "0000 0000"),
        (3041, "0000 0000 0000 1388"),
        (3171, "004a"),
        (3178, "0000 305c 0000 0000"),
        (31_210, "0000 c350 0000 c350"),
    ];
    let mut growatt = device(Table::Input, &blocks);
    put(&mut growatt, Table::Holding, &[(30_016, "0001 86a0")]);
    let values = read("growatt-tl-xh", &growatt);
    is(&values, "battery.power", 1238.0);
    is(&values, "battery.soc", 0.74);
    is(&values, "grid.power", -500.0);
    is(&values, "pv.power", 1000.0);
    is(&values, "battery.max_charge", 5000.0);
}

/// A chain like a GEN24's, with so many modules in 160. Names of sunspec/models; WChaMax 11520 as evcc issue 19078 has it.
pub fn fronius(modules: u16) -> Device {
    let mut words = vec![0x5375, 0x6E53];
    let mut model = |id: u16, len: u16, blank: u16, values: &[(u16, u16)]| {
        let start = words.len();
        words.extend([id, len]);
        words.resize(start + usize::from(len) + 2, blank);
        for (at, word) in values {
            words[start + usize::from(*at)] = *word;
        }
    };
    let name: Vec<u16> = b"Fronius\0".chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
    let name: Vec<(u16, u16)> = (2..).zip(name).collect();
    model(1, 66, 0, &name);
    model(103, 50, 0xFFFF, &[(10, 2301), (11, 2302), (12, 2303), (13, 0xFFFF), (14, 4021), (15, 0), (38, 4)]);
    model(120, 26, 0xFFFF, &[(2, 82), (3, 10_000), (4, 0)]);
    let powers = [3072, 1024, 307, 0, 0, 0];
    let mut values = vec![(4, 0), (8, modules)];
    values.extend((0..modules).map(|nth| (10 + 20 * nth + 11, powers[usize::from(nth)])));
    model(160, 8 + 20 * modules, 0xFFFF, &values);
    let storage = [(2, 11_520), (18, 0), (5, 0), (7, 500), (21, 0xFFFE), (8, 6250), (22, 0xFFFE), (11, 4)];
    let rates = [(12, 10_000), (13, 10_000), (15, 0), (17, 0), (25, 0xFFFE)];
    model(124, 24, 0xFFFF, &[&storage[..], &rates[..]].concat());
    words.extend([0xFFFF, 0]);
    Device::holding(40_000, &words)
}

/// redpomodoro/fronius_modbus README: module 3 is the battery's charge, module 4 its discharge.
#[test]
fn a_fronius_shows_its_battery_as_the_modules_three_and_four() {
    let values = read("fronius-gen24", &fronius(4));
    is(&values, "battery.power", -307.0);
    is(&values, "pv.power", 4096.0);
    is(&values, "inverter.power", 4021.0);
    is(&values, "battery.soc", 0.625);
    is(&values, "battery.soc_min", 0.05);
    is(&values, "battery.max_charge", 11_520.0);
    assert_eq!(values["device.manufacturer"], Value::Text(Arc::from("Fronius")));
    assert_eq!(values["battery.state"], Value::Text(Arc::from("charging")));
    for others in [2, 6] {
        let values = read("fronius-gen24", &fronius(others));
        assert_eq!(values.get("battery.power").unwrap_or(&Value::Invalid), &Value::Invalid, "{others} modules");
        assert_eq!(values["pv.power"], Value::Invalid);
    }
    let mut other = fronius(4);
    other.put(Table::Holding, 40_004, &[0x534D, 0x4100, 0, 0]);
    let mut instance = Instance::new(builtin("fronius-gen24"), &Overrides::default());
    assert!(identify(&mut instance, &other).is_err(), "another maker is not a Fronius");
}
