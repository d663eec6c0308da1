//! JSON written straight into a buffer that is used again and again: a record costs no allocation but its own bytes.

use std::io::Write;

use crate::clock::SiteTime;

/// A JSON text being written. Commas come by themselves: one is due unless something was just opened or named.
#[derive(Debug, Default)]
pub struct Json(Vec<u8>);

/// Beyond this a scaled number no longer fits an `f64`'s integers exactly.
const EXACT: f64 = 9.0e15;
/// Powers of ten, by decimals.
const SCALES: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

impl Json {
    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Starts anew in the same buffer.
    pub fn clear(&mut self) -> &mut Self {
        self.0.clear();
        self
    }

    fn comma(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[' | b':')) {
            self.0.push(b',');
        }
    }

    /// `{`
    pub fn open(&mut self) -> &mut Self {
        self.comma();
        self.0.push(b'{');
        self
    }

    /// `}`
    pub fn close(&mut self) -> &mut Self {
        self.0.push(b'}');
        self
    }

    /// `[`
    pub fn open_list(&mut self) -> &mut Self {
        self.comma();
        self.0.push(b'[');
        self
    }

    /// `]`
    pub fn close_list(&mut self) -> &mut Self {
        self.0.push(b']');
        self
    }

    /// `"name":`
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.0.push(b':');
        self
    }

    /// A key that was prepared by `prepared_key`.
    pub fn prepared(&mut self, key: &[u8]) -> &mut Self {
        self.comma();
        self.0.extend_from_slice(key);
        self
    }

    /// Members of an object, written elsewhere without its braces.
    pub fn members(&mut self, members: &[u8]) -> &mut Self {
        if !members.is_empty() {
            self.comma();
            self.0.extend_from_slice(members);
        }
        self
    }

    /// A string.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.comma();
        self.0.push(b'"');
        for &byte in text.as_bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                0..=0x1f => {
                    // Writing to a Vec does not fail.
                    let _ = write!(self.0, "\\u{byte:04x}");
                }
                _ => self.0.push(byte),
            }
        }
        self.0.push(b'"');
        self
    }

    /// `true` or `false`.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.comma();
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
        self
    }

    /// `null`.
    pub fn null(&mut self) -> &mut Self {
        self.comma();
        self.0.extend_from_slice(b"null");
        self
    }

    /// A whole number.
    pub fn integer(&mut self, number: u64) -> &mut Self {
        self.comma();
        self.digits(number, 0);
        self
    }

    /// A number rounded to at most so many decimals (6 at most), without trailing zeros; `null` where it is none.
    pub fn number(&mut self, number: f64, decimals: u8) -> &mut Self {
        let (scale, decimals) = match SCALES.get(usize::from(decimals)) {
            Some(scale) => (*scale, decimals),
            None => (1e6, 6),
        };
        let scaled = number.abs() * scale;
        if scaled < EXACT {
            self.comma();
            let (mut whole, mut decimals) = ((scaled + 0.5) as u64, decimals);
            if number < 0.0 && whole != 0 {
                self.0.push(b'-');
            }
            while decimals > 0 && whole.is_multiple_of(10) {
                whole /= 10;
                decimals -= 1;
            }
            self.digits(whole, decimals);
        } else if number.is_finite() {
            self.comma();
            let _ = write!(self.0, "{number}");
        } else {
            self.null();
        }
        self
    }

    /// A number or `null`.
    pub fn optional(&mut self, number: Option<f64>, decimals: u8) -> &mut Self {
        match number {
            Some(number) => self.number(number, decimals),
            None => self.null(),
        }
    }

    /// A time, RFC 3339 in UTC to the millisecond.
    pub fn time(&mut self, at: SiteTime) -> &mut Self {
        self.comma();
        let utc = jiff::tz::Offset::UTC.to_datetime(at);
        let (year, milli) = (utc.year().unsigned_abs().into(), utc.millisecond().unsigned_abs().into());
        let two = |part: i8| u32::from(part.unsigned_abs());
        self.0.push(b'"');
        for (part, first, end) in [
            (year, 1000, b'-'),
            (two(utc.month()), 10, b'-'),
            (two(utc.day()), 10, b'T'),
            (two(utc.hour()), 10, b':'),
            (two(utc.minute()), 10, b':'),
            (two(utc.second()), 10, b'.'),
            (milli, 100, b'Z'),
        ] {
            let mut place = first;
            while place > 0 {
                self.0.push(b'0' + (part / place % 10) as u8);
                place /= 10;
            }
            self.0.push(end);
        }
        self.0.push(b'"');
        self
    }

    /// The digits of `whole / 10^decimals`, built from the right and turned round.
    fn digits(&mut self, mut whole: u64, decimals: u8) {
        let start = self.0.len();
        let mut place = 0;
        loop {
            self.0.push(b'0' + (whole % 10) as u8);
            whole /= 10;
            place += 1;
            if place == decimals {
                self.0.push(b'.');
            } else if whole == 0 && place > decimals {
                break;
            }
        }
        if let Some(digits) = self.0.get_mut(start..) {
            digits.reverse();
        }
    }
}

/// `"name":`, for `Json::prepared`.
pub fn prepared_key(name: &str) -> Box<[u8]> {
    let mut json = Json::default();
    json.key(name);
    json.0.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: f64, decimals: u8) -> String {
        let mut json = Json::default();
        json.number(value, decimals);
        String::from_utf8(json.bytes().to_vec()).unwrap()
    }

    #[test]
    fn numbers_are_short_and_plain() {
        assert_eq!(number(0.1 + 0.2, 2), "0.3");
        assert_eq!(number(-0.05, 2), "-0.05");
        assert_eq!(number(-0.001, 2), "0");
        assert_eq!(number(80_000.0, 2), "80000");
        assert_eq!(number(0.5, 0), "1");
        assert_eq!(number(1e17, 2), "100000000000000000");
        assert_eq!(number(f64::NAN, 2), "null");
        assert_eq!(number(f64::NEG_INFINITY, 2), "null");
    }

    #[test]
    fn an_object_reads_back() {
        let mut json = Json::default();
        json.open().key("a\"b").text("x\n\\{").key("n").number(1.5, 3).key("l").open_list().null().flag(true);
        json.integer(7).open().close().close_list().key("t").time("2026-03-02T12:00:00.1Z".parse().unwrap()).close();
        let value: serde_json::Value = serde_json::from_slice(json.bytes()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a\"b": "x\n\\{", "n": 1.5, "l": [null, true, 7, {}], "t": "2026-03-02T12:00:00.100Z"})
        );
    }

    proptest! {
        #[test]
        fn a_number_reads_back_to_its_decimals(value in -1e6f64..1e6, decimals in 0u8..=6) {
            let back: f64 = number(value, decimals).parse().unwrap();
            prop_assert!((back - value).abs() <= 0.501 * 10f64.powi(-i32::from(decimals)));
        }

        #[test]
        fn a_time_reads_back_to_its_millisecond(nanos in 0i64..8_000_000_000_000_000_000) {
            let at = SiteTime::from_nanosecond(nanos.into()).unwrap();
            let mut json = Json::default();
            json.time(at);
            prop_assert_eq!(std::str::from_utf8(json.bytes()).unwrap(), format!("\"{at:.3}\""));
        }

        #[test]
        fn any_text_reads_back(text in ".*") {
            let mut json = Json::default();
            json.text(&text);
            prop_assert_eq!(serde_json::from_slice::<String>(json.bytes()).unwrap(), text);
        }
    }
}
