//! A connection, and one checked exchange on it. The only file that names `tokio_modbus`.
//!
//! No late answer is ever taken for a newer one:
//! - TCP: whatever ends otherwise than in a checked answer or an exception (a time-out, an error, a dropped future) has
//!   lost the connection: it is taken out before the call and put back only after a sound one.
//! - RTU: a line has no transaction numbers. After a failure it is silent for the longest response time and drained; then
//!   the same read is repeated before any other read of that unit, for a late answer to it is still an answer to it. Once
//!   it is answered the line is silent again until nothing more comes, for both requests may be answered. A write needs no
//!   repetition: its echo names it. (No rule helps against answers that are later than four times the time-out, or that
//!   are late again and again: the profile's time-out must be longer than the device ever takes.)

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio_modbus::client::{Client as _, Context, tcp};
use tokio_modbus::slave::{Slave, SlaveContext as _};
use tokio_modbus::{Error as CallError, Request as Call, Response};

use super::ErrorKind;
use super::dial::{Dial, Framing};
use super::request::Request;
use super::rtu::Line;
use crate::clock::{Clock, IoTime, Pulse};
use crate::profile::{Span, Table, WriteFunction};

/// The loop marks its pulse at least this often, also while it waits for an answer.
const TURN: Duration = Duration::from_secs(1);
/// A line that has failed so often in a row is opened anew: a converter or an adapter may be stuck.
const MUTE: u32 = 8;

/// The connection of a bus.
pub(super) struct Link {
    framing: Framing,
    dial: Dial,
    clock: Clock,
    pulse: Pulse,
    /// The longest that any unit may take to answer.
    slowest: Duration,
    wire: Wire,
    /// Sound answers on this connection.
    answers: u64,
    /// Failures since the last answer.
    failures: u32,
    /// End of the last exchange.
    ended: IoTime,
    /// RTU: nothing is sent before.
    silent_until: IoTime,
    /// RTU: more answers may come than were waited for: nothing is sent before the line was silent that long.
    doubtful: bool,
    /// RTU: the read that failed last, by unit: to be repeated before another one.
    owed: BTreeMap<u8, Span>,
}

#[derive(Default)]
enum Wire {
    #[default]
    Closed,
    Tcp(Context),
    Line(Line),
}

impl Link {
    pub fn new((framing, dial): (Framing, Dial), slowest: Duration, clock: Clock, pulse: Pulse) -> Self {
        Self {
            framing,
            dial,
            clock,
            pulse,
            slowest,
            wire: Wire::Closed,
            answers: 0,
            failures: 0,
            ended: IoTime::START,
            silent_until: IoTime::START,
            doubtful: false,
            owed: BTreeMap::new(),
        }
    }

    pub const fn is_open(&self) -> bool {
        !matches!(self.wire, Wire::Closed)
    }

    /// Nothing will be sent before.
    pub const fn silent_until(&self) -> IoTime {
        self.silent_until
    }

    /// When the last exchange ended.
    pub const fn ended(&self) -> IoTime {
        self.ended
    }

    /// Closes; the next exchange needs [`Self::open`] first.
    pub fn close(&mut self) {
        self.wire = Wire::Closed;
    }

    /// Rests until `gap` after the last exchange.
    pub async fn rest(&mut self, gap: Duration) {
        if gap.is_zero() {
            return;
        }
        let (now, until) = (self.clock.io(), self.ended + gap);
        if now < until {
            turning(&self.clock, &self.pulse, now, None, self.clock.sleep_until(until)).await;
        }
    }

    /// Opens the connection anew.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(&mut self) -> io::Result<()> {
        self.wire = Wire::Closed;
        self.answers = 0;
        let stream = turning(&self.clock, &self.pulse, self.clock.io(), None, (self.dial)())
            .await
            .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
        self.wire = match self.framing {
            Framing::Tcp => Wire::Tcp(tcp::attach_slave(stream, Slave(0))),
            Framing::Rtu { .. } => {
                if !self.owed.is_empty() || self.clock.io() < self.silent_until {
                    // What a converter held back while we were away arrives only now.
                    self.silent_until = self.clock.io() + self.slowest;
                }
                Wire::Line(Line::new(stream))
            }
        };
        Ok(())
    }

    /// One request and its answer: the words of a read (bits as 0 and 1), nothing for a write. At most `timeout` (and on
    /// a line the time that the characters take) from the moment the request is sent.
    ///
    /// # Errors
    /// [`ErrorKind`]; the connection may be closed thereafter.
    pub async fn exchange(&mut self, unit: u8, request: Request<'_>, timeout: Duration) -> Result<Vec<u16>, ErrorKind> {
        let broadcast = unit == 0 && (matches!(request, Request::Write { .. }) || self.framing != Framing::Tcp);
        if broadcast {
            // BusUnit 0 speaks to all and is answered by none.
            return Err(ErrorKind::Protocol);
        }
        let result = match self.framing {
            Framing::Tcp => self.call(unit, request, timeout).await,
            Framing::Rtu { gap, character } => self.speak(unit, request, timeout, gap, character).await,
        };
        self.ended = self.clock.io();
        match result {
            Ok(_) | Err(ErrorKind::Exception(_)) => {
                self.answers += 1;
                self.failures = 0;
            }
            Err(_) => self.failures += 1,
        }
        result
    }

    async fn call(&mut self, unit: u8, request: Request<'_>, timeout: Duration) -> Result<Vec<u16>, ErrorKind> {
        let served = self.answers > 0;
        match self.call_once(unit, request, timeout).await {
            // A peer that served and then closed an idle connection has not refused anything: once more on a fresh one.
            Err(ErrorKind::Transport) if served => {
                self.open().await.map_err(|_| ErrorKind::Transport)?;
                self.call_once(unit, request, timeout).await
            }
            result => result,
        }
    }

    async fn call_once(&mut self, unit: u8, request: Request<'_>, timeout: Duration) -> Result<Vec<u16>, ErrorKind> {
        let Wire::Tcp(mut context) = std::mem::take(&mut self.wire) else { return Err(ErrorKind::Transport) };
        context.set_slave(Slave(unit));
        let now = self.clock.io();
        let answer = turning(&self.clock, &self.pulse, now, Some(now + timeout), context.call(call(request))).await;
        let result = match answer {
            None => return Err(ErrorKind::Timeout),
            Some(Err(CallError::Protocol(_))) => return Err(ErrorKind::Protocol),
            Some(Err(CallError::Transport(error))) => {
                let garbled = matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
                return Err(if garbled { ErrorKind::Protocol } else { ErrorKind::Transport });
            }
            Some(Ok(Err(code))) => Err(ErrorKind::Exception(code.into())),
            Some(Ok(Ok(response))) => Ok(checked(request, response).ok_or(ErrorKind::Protocol)?),
        };
        self.wire = Wire::Tcp(context);
        result
    }

    async fn speak(
        &mut self,
        unit: u8,
        request: Request<'_>,
        timeout: Duration,
        gap: Duration,
        character: Duration,
    ) -> Result<Vec<u16>, ErrorKind> {
        let mut repeated = false;
        if let Request::Read(span) = request
            && let Some(owed) = self.owed.remove(&unit)
        {
            repeated = owed == span;
            // Whatever comes of it: one repetition answers for the failure before it.
            if !repeated {
                match self.speak_once(unit, Request::Read(owed), timeout, gap, character).await {
                    Ok(_) | Err(ErrorKind::Exception(_)) => self.doubt(),
                    Err(kind) => return Err(kind),
                }
            }
        }
        let result = self.speak_once(unit, request, timeout, gap, character).await;
        if repeated && matches!(result, Ok(_) | Err(ErrorKind::Exception(_))) {
            self.doubt();
        }
        if let (Request::Read(span), Err(ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::Transport)) =
            (request, &result)
        {
            self.owed.insert(unit, span);
        }
        result
    }

    /// One of several requests was answered: the others may be yet.
    fn doubt(&mut self) {
        self.ended = self.clock.io();
        self.silent_until = self.ended + self.slowest;
        self.doubtful = true;
    }

    /// Waits until the line may be used, with nothing on it that was not asked for.
    async fn quiet(&mut self, line: &mut Line, gap: Duration) -> io::Result<()> {
        for _ in 0..MUTE {
            let from = self.silent_until.max(self.ended + gap);
            let now = self.clock.io();
            if now < from {
                turning(&self.clock, &self.pulse, now, None, self.clock.sleep_until(from)).await;
            }
            if !line.drain().await? || !self.doubtful {
                self.doubtful = false;
                return Ok(());
            }
            self.silent_until = self.clock.io() + self.slowest;
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    async fn speak_once(
        &mut self,
        unit: u8,
        request: Request<'_>,
        timeout: Duration,
        gap: Duration,
        character: Duration,
    ) -> Result<Vec<u16>, ErrorKind> {
        // Taken out for the time of the exchange: should this future be dropped, the port is closed.
        let Wire::Line(mut line) = std::mem::take(&mut self.wire) else { return Err(ErrorKind::Transport) };
        let answer = match self.quiet(&mut line, gap).await {
            Ok(()) => {
                let now = self.clock.io();
                let deadline = now + timeout + character * airtime(request);
                turning(&self.clock, &self.pulse, now, Some(deadline), line.exchange(unit, request)).await
            }
            Err(_) => Some(Err(ErrorKind::Transport)),
        };
        let result = match answer {
            Some(result) => result,
            None if line.heard() => Err(ErrorKind::Protocol),
            None => Err(ErrorKind::Timeout),
        };
        let sound = matches!(result, Ok(_) | Err(ErrorKind::Exception(_)));
        if !sound {
            self.silent_until = self.clock.io() + self.slowest;
        }
        if sound || (result != Err(ErrorKind::Transport) && self.failures < MUTE) {
            self.wire = Wire::Line(line);
        } else {
            self.failures = 0;
        }
        result
    }
}

/// Waits from `now` on for `future`, at most until `deadline`, and marks the pulse meanwhile.
async fn turning<F: Future>(
    clock: &Clock,
    pulse: &Pulse,
    mut now: IoTime,
    deadline: Option<IoTime>,
    future: F,
) -> Option<F::Output> {
    let mut future = pin!(future);
    loop {
        pulse.mark(now);
        let until = deadline.map_or(now + TURN, |deadline| deadline.min(now + TURN));
        tokio::select! {
            biased;
            output = &mut future => return Some(output),
            () = clock.sleep_until(until) => {}
        }
        if deadline == Some(until) {
            return None;
        }
        now = clock.io();
    }
}

/// Characters of a request and its answer, for the time they take on a line.
fn airtime(request: Request<'_>) -> u32 {
    const FRAMES: u32 = 8 + 8;
    FRAMES
        + match request {
            Request::Read(span) => 2 * u32::from(span.len),
            Request::Write { span, .. } => 1 + 2 * u32::from(span.len),
        }
}

fn call(request: Request<'_>) -> Call<'_> {
    match request {
        Request::Read(Span { table, start, len }) => match table {
            Table::Coil => Call::ReadCoils(start, len),
            Table::DiscreteInput => Call::ReadDiscreteInputs(start, len),
            Table::Holding => Call::ReadHoldingRegisters(start, len),
            Table::Input => Call::ReadInputRegisters(start, len),
        },
        Request::Write { span: Span { start, .. }, words, function } => {
            let first = words.first().copied().unwrap_or(0);
            match function {
                WriteFunction::SingleCoil => Call::WriteSingleCoil(start, first != 0),
                WriteFunction::SingleRegister => Call::WriteSingleRegister(start, first),
                WriteFunction::Coils => Call::WriteMultipleCoils(start, words.iter().map(|bit| *bit != 0).collect()),
                WriteFunction::Registers => Call::WriteMultipleRegisters(start, words.into()),
            }
        }
    }
}

/// The words of an answer, if it answers just this request: `tokio_modbus` compares unit and function, we the rest.
fn checked(request: Request<'_>, response: Response) -> Option<Vec<u16>> {
    match (request, response) {
        (Request::Read(span), Response::ReadHoldingRegisters(words)) if span.table == Table::Holding => {
            (words.len() == usize::from(span.len)).then_some(words)
        }
        (Request::Read(span), Response::ReadInputRegisters(words)) if span.table == Table::Input => {
            (words.len() == usize::from(span.len)).then_some(words)
        }
        // Bits come in whole bytes.
        (Request::Read(span), Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits)) => {
            let len = usize::from(span.len);
            (bits.len() == len.next_multiple_of(8)).then(|| bits.into_iter().take(len).map(u16::from).collect())
        }
        (Request::Write { span, words, .. }, response) => {
            let first = words.first().copied().unwrap_or(0);
            let echoed = match response {
                Response::WriteSingleCoil(start, on) => start == span.start && on == (first != 0),
                Response::WriteSingleRegister(start, word) => start == span.start && word == first,
                Response::WriteMultipleCoils(start, len) | Response::WriteMultipleRegisters(start, len) => {
                    (start, len) == (span.start, span.len)
                }
                _ => false,
            };
            echoed.then(Vec::new)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::dial::Stream;

    /// A link to a peer that takes requests and never answers.
    fn link(framing: Framing) -> Link {
        let mut peers = Vec::new();
        let dial: Dial = Box::new(move || {
            let (ours, theirs) = tokio::io::duplex(1024);
            peers.push(theirs);
            Box::pin(std::future::ready(Ok(Box::new(ours) as Box<dyn Stream>)))
        });
        Link::new((framing, dial), Duration::from_secs(1), Clock::system(), Pulse::default())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_drops_an_exchange_in_flight_has_lost_the_connection() {
        for framing in [Framing::Tcp, Framing::Rtu { gap: Duration::ZERO, character: Duration::ZERO }] {
            let mut link = link(framing);
            link.open().await.unwrap();
            let request = Request::Read(Span::holding(100, 1));
            let exchange = link.exchange(1, request, Duration::from_secs(5));
            assert!(tokio::time::timeout(Duration::from_secs(1), exchange).await.is_err());
            assert!(!link.is_open(), "{framing:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_ends_a_tcp_connection_and_silences_a_line() {
        let request = Request::Read(Span::holding(100, 1));
        let mut tcp = link(Framing::Tcp);
        tcp.open().await.unwrap();
        assert_eq!(tcp.exchange(1, request, Duration::from_secs(5)).await, Err(ErrorKind::Timeout));
        assert!(!tcp.is_open());
        let mut line = link(Framing::Rtu { gap: Duration::ZERO, character: Duration::ZERO });
        line.open().await.unwrap();
        assert_eq!(line.exchange(1, request, Duration::from_secs(5)).await, Err(ErrorKind::Timeout));
        assert!(line.is_open());
        assert_eq!(line.silent_until(), line.clock.io() + Duration::from_secs(1));
    }

    #[test]
    fn an_answer_of_another_length_or_echo_is_none() {
        let read = Request::Read(Span::holding(100, 2));
        assert_eq!(checked(read, Response::ReadHoldingRegisters(vec![1, 2])), Some(vec![1, 2]));
        assert_eq!(checked(read, Response::ReadHoldingRegisters(vec![1])), None);
        assert_eq!(checked(read, Response::ReadHoldingRegisters(vec![1, 2, 3])), None);
        assert_eq!(checked(read, Response::ReadInputRegisters(vec![1, 2])), None);
        let coils = Request::Read(Span { table: Table::Coil, start: 0, len: 3 });
        let bits = |n| Response::ReadCoils([true, false, true].into_iter().cycle().take(n).collect());
        assert_eq!(checked(coils, bits(8)), Some(vec![1, 0, 1]));
        assert_eq!(checked(coils, bits(16)), None);
        let write = |function, words| Request::Write { span: Span::holding(5, 1), words, function };
        let single = write(WriteFunction::SingleRegister, &[9]);
        assert!(checked(single, Response::WriteSingleRegister(5, 9)).is_some());
        assert!(checked(single, Response::WriteSingleRegister(5, 8)).is_none());
        assert!(checked(single, Response::WriteSingleRegister(4, 9)).is_none());
        let many = write(WriteFunction::Registers, &[9]);
        assert!(checked(many, Response::WriteMultipleRegisters(5, 1)).is_some());
        assert!(checked(many, Response::WriteMultipleRegisters(5, 2)).is_none());
    }
}
