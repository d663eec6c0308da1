//! The units that one connection reaches, with their faults and what passed over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::bank::{Exception, SharedBank, Table, locked};
use super::fault::{Fault, LineFault};
use super::pdu::{self, Write};

/// Writes that a unit remembers.
const WRITES_KEPT: usize = 10_000;

/// One write that reached a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Table.
    pub table: Table,
    /// First address.
    pub start: u16,
    /// Words, in the order of the addresses.
    pub words: Vec<u16>,
}

/// What passed between a unit and its clients.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Requests, writes included.
    pub requests: u64,
    /// Writes asked for, done or not, oldest first; only the last 10 000 are kept.
    pub writes: Vec<Written>,
    spoilt: u64,
    fault: Fault,
    frozen: HashMap<Vec<u8>, Vec<u8>>,
}

/// One unit on a line. Cheap to clone; clones share all.
#[derive(Clone)]
pub struct Unit {
    /// Modbus unit id.
    pub id: u8,
    bank: SharedBank,
    traffic: Arc<Mutex<Traffic>>,
}

/// What a unit sends back.
pub(super) enum Reply {
    /// Nothing.
    Silence,
    /// This PDU, after a while, spoilt in the n-th way.
    Answer(Vec<u8>, Duration, Option<u64>),
}

impl Unit {
    /// A unit that serves a bank.
    pub fn new(id: u8, bank: SharedBank) -> Self {
        Self { id, bank, traffic: Arc::default() }
    }

    /// Switches the unit's fault.
    pub fn set_fault(&self, fault: Fault) {
        let mut traffic = locked(&self.traffic);
        traffic.fault = fault;
        traffic.frozen.clear();
    }

    /// What passed so far.
    pub fn traffic(&self) -> Traffic {
        locked(&self.traffic).clone()
    }

    /// Reads its registers past all faults.
    ///
    /// # Errors
    /// The exception that the device answers.
    pub fn peek(&self, table: Table, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        locked(&self.bank).read(table, start, count)
    }

    /// Takes one request.
    pub(super) fn ask(&self, request: &[u8]) -> Reply {
        let traffic = &mut *locked(&self.traffic);
        traffic.requests += 1;
        let fault = traffic.fault;
        if fault == Fault::Silent {
            return Reply::Silence;
        }
        if fault == Fault::Frozen
            && let Some(reply) = traffic.frozen.get(request)
        {
            return Reply::Answer(reply.clone(), Duration::ZERO, None);
        }
        let writes = &mut traffic.writes;
        let mut touch = |table, start, words: &[u16]| {
            if writes.len() >= WRITES_KEPT {
                writes.drain(..WRITES_KEPT / 2);
            }
            writes.push(Written { table, start, words: words.to_vec() });
            match fault {
                Fault::RefuseWrites(exception) => Write::Refuse(exception),
                Fault::IgnoreWrites => Write::Ignore,
                _ => Write::Do,
            }
        };
        let reply = pdu::answer(&mut *locked(&self.bank), request, &mut touch);
        if fault == Fault::Frozen && !pdu::is_write(request) {
            traffic.frozen.insert(request.to_vec(), reply.clone());
        }
        let late = if let Fault::Late(late) = fault { late } else { Duration::ZERO };
        let spoilt = (fault == Fault::Garbled).then(|| {
            traffic.spoilt += 1;
            traffic.spoilt - 1
        });
        Reply::Answer(reply, late, spoilt)
    }
}

/// A connection's far end. Cheap to clone; clones share all.
#[derive(Clone)]
pub struct Line {
    units: Arc<[Unit]>,
    fault: Arc<watch::Sender<LineFault>>,
}

impl Line {
    /// A line with these units.
    pub fn new(units: Vec<Unit>) -> Self {
        Self { units: units.into(), fault: Arc::new(watch::Sender::new(LineFault::Healthy)) }
    }

    /// Its units.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }

    /// The unit with an id.
    pub fn unit(&self, id: u8) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.id == id)
    }

    /// Switches the line's fault.
    pub fn set_fault(&self, fault: LineFault) {
        self.fault.send_replace(fault);
    }

    /// The line's fault, to look at and to wait on.
    pub(super) fn fault(&self) -> watch::Receiver<LineFault> {
        self.fault.subscribe()
    }
}
