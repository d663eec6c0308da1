//! A Modbus request to its answer, by the letter of "Modbus Application Protocol V1.1b3".

use super::bank::{Exception, RegisterBank, Table};

/// Answers one request PDU. `touch` is told of each write before it is done, and may veto it.
pub(super) fn answer(
    bank: &mut dyn RegisterBank,
    pdu: &[u8],
    touch: &mut dyn FnMut(Table, u16, &[u16]) -> Write,
) -> Vec<u8> {
    let function = pdu.first().copied().unwrap_or(0);
    respond(bank, pdu, touch).unwrap_or_else(|exception| vec![function | 0x80, exception as u8])
}

/// What becomes of a write.
pub(super) enum Write {
    /// Done.
    Do,
    /// Acknowledged, not done.
    Ignore,
    /// Refused.
    Refuse(Exception),
}

/// Whether a request changes anything.
pub(super) fn is_write(pdu: &[u8]) -> bool {
    matches!(pdu.first(), Some(5 | 6 | 15 | 16))
}

fn respond(
    bank: &mut dyn RegisterBank,
    pdu: &[u8],
    touch: &mut dyn FnMut(Table, u16, &[u16]) -> Write,
) -> Result<Vec<u8>, Exception> {
    let word = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
    let mut write = |table, start, words: &[u16]| match touch(table, start, words) {
        Write::Do => bank.write(table, start, words),
        Write::Ignore => Ok(()),
        Write::Refuse(exception) => Err(exception),
    };
    match pdu {
        [function @ 1..=4, sh, sl, ch, cl] => {
            let (start, count) = (word(sh, sl), word(ch, cl));
            let (table, most) = match function {
                1 => (Table::Coil, 2000),
                2 => (Table::Discrete, 2000),
                3 => (Table::Holding, 125),
                _ => (Table::Input, 125),
            };
            in_range(start, count, most)?;
            let words = bank.read(table, start, count)?;
            let data = if *function <= 2 { pack(&words) } else { words.iter().flat_map(|w| w.to_be_bytes()).collect() };
            let mut reply = vec![*function, u8::try_from(data.len()).map_err(|_| Exception::Value)?];
            reply.extend(data);
            Ok(reply)
        }
        [5, sh, sl, vh, vl] => {
            let value = match word(vh, vl) {
                0xff00 => 1,
                raw => raw,
            };
            write(Table::Coil, word(sh, sl), &[value])?;
            Ok(pdu.to_vec())
        }
        [6, sh, sl, vh, vl] => {
            write(Table::Holding, word(sh, sl), &[word(vh, vl)])?;
            Ok(pdu.to_vec())
        }
        [15, sh, sl, ch, cl, len, data @ ..] => {
            let (start, count) = (word(sh, sl), word(ch, cl));
            in_range(start, count, 1968)?;
            if usize::from(*len) != data.len() || data.len() != usize::from(count).div_ceil(8) {
                return Err(Exception::Value);
            }
            let bits = data.iter().flat_map(|byte| (0..8).map(move |bit| u16::from(byte >> bit & 1)));
            write(Table::Coil, start, &bits.take(count.into()).collect::<Vec<_>>())?;
            Ok(vec![15, *sh, *sl, *ch, *cl])
        }
        [16, sh, sl, ch, cl, len, data @ ..] => {
            let (start, count) = (word(sh, sl), word(ch, cl));
            in_range(start, count, 123)?;
            if usize::from(*len) != data.len() || data.len() != 2 * usize::from(count) {
                return Err(Exception::Value);
            }
            let words: Vec<u16> = data.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            write(Table::Holding, start, &words)?;
            Ok(vec![16, *sh, *sl, *ch, *cl])
        }
        [1..=6 | 15 | 16, ..] => Err(Exception::Value),
        _ => Err(Exception::Function),
    }
}

fn in_range(start: u16, count: u16, most: u16) -> Result<(), Exception> {
    if count == 0 || count > most {
        return Err(Exception::Value);
    }
    if u32::from(start) + u32::from(count) > 0x1_0000 {
        return Err(Exception::Address);
    }
    Ok(())
}

fn pack(bits: &[u16]) -> Vec<u8> {
    bits.chunks(8)
        .map(|eight| eight.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit != 0) << at))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::bank::Registers;

    fn ask(bank: &mut Registers, pdu: &[u8]) -> Vec<u8> {
        answer(bank, pdu, &mut |_, _, _| Write::Do)
    }

    #[test]
    fn each_function_answers_as_the_standard_has_it() {
        let mut bank = Registers::default().with(Table::Coil, 0, &[1, 0, 1, 1, 0, 0, 1, 1, 1, 0]).with(
            Table::Holding,
            107,
            &[555, 0, 100],
        );
        assert_eq!(ask(&mut bank, &[1, 0, 0, 0, 10]), [1, 2, 0b1100_1101, 0b01]);
        assert_eq!(ask(&mut bank, &[3, 0, 107, 0, 3]), [3, 6, 2, 43, 0, 0, 0, 100]);
        assert_eq!(ask(&mut bank, &[6, 0, 108, 0, 3]), [6, 0, 108, 0, 3]);
        assert_eq!(ask(&mut bank, &[5, 0, 1, 0xff, 0]), [5, 0, 1, 0xff, 0]);
        assert_eq!(ask(&mut bank, &[15, 0, 0, 0, 10, 2, 0xff, 0x03]), [15, 0, 0, 0, 10]);
        assert_eq!(ask(&mut bank, &[1, 0, 0, 0, 10]), [1, 2, 0xff, 0x03]);
        assert_eq!(ask(&mut bank, &[16, 0, 107, 0, 2, 4, 0, 10, 1, 2]), [16, 0, 107, 0, 2]);
        assert_eq!(ask(&mut bank, &[3, 0, 107, 0, 2]), [3, 4, 0, 10, 1, 2]);
    }

    #[test]
    fn what_cannot_be_is_an_exception() {
        let mut bank = Registers::default().with(Table::Holding, 0, &[0; 130]);
        assert_eq!(ask(&mut bank, &[3, 0, 0, 0, 0]), [0x83, 3]);
        assert_eq!(ask(&mut bank, &[3, 0, 0, 0, 126]), [0x83, 3]);
        assert_eq!(ask(&mut bank, &[3, 0, 120, 0, 20]), [0x83, 2]);
        assert_eq!(ask(&mut bank, &[4, 0xff, 0xff, 0, 2]), [0x84, 2]);
        assert_eq!(ask(&mut bank, &[16, 0, 0, 0, 2, 4, 0, 1]), [0x90, 3]);
        assert_eq!(ask(&mut bank, &[43, 14, 1, 0]), [0xab, 1]);
        assert_eq!(ask(&mut bank, &[]), [0x80, 1]);
    }
}
