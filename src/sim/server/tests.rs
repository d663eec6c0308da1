use std::sync::Mutex;

use tokio::io::DuplexStream;

use super::*;
use crate::sim::bank::{Registers, Table};
use crate::sim::fault::Fault;
use crate::sim::line::Unit;

fn line() -> Line {
    let registers = Registers::default().with(Table::Holding, 0, &[7, 8]).with(Table::Input, 0, &[1, 2]);
    Line::new(vec![Unit::new(5, Arc::new(Mutex::new(registers)))])
}

fn served(framing: Framing) -> (Line, DuplexStream) {
    let line = line();
    let (near, far) = tokio::io::duplex(512);
    let server = line.clone();
    tokio::spawn(async move {
        match framing {
            Framing::Tcp => serve_tcp(far, &server).await,
            Framing::Rtu => serve_rtu(far, &server).await,
        }
    });
    (line, near)
}

/// What comes back within a (simulated) second.
async fn talk(stream: &mut DuplexStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut reply = vec![0; 300];
    match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut reply)).await {
        Ok(read) => reply.truncate(read.unwrap()),
        Err(_) => reply.clear(),
    }
    reply
}

const READ: [u8; 12] = [0xab, 0xcd, 0, 0, 0, 6, 5, 3, 0, 0, 0, 2];
const ANSWER: [u8; 13] = [0xab, 0xcd, 0, 0, 0, 7, 5, 3, 4, 0, 7, 0, 8];
const NOTHING: [u8; 0] = [];
const READ_RTU: [u8; 8] = [5, 3, 0, 0, 0, 2, 0xc5, 0x8f];

#[test]
fn the_crc_is_that_of_the_standard() {
    assert_eq!(crc(&[2, 7]), 0x1241);
    assert_eq!(crc(&READ_RTU), 0);
}

#[tokio::test(start_paused = true)]
async fn tcp_answers_and_says_which_unit_is_away() {
    let (_, mut stream) = served(Framing::Tcp);
    assert_eq!(talk(&mut stream, &READ).await, ANSWER);
    let mut other = READ;
    other[6] = 9;
    assert_eq!(talk(&mut stream, &other).await, [0xab, 0xcd, 0, 0, 0, 3, 9, 0x83, 11]);
}

#[tokio::test(start_paused = true)]
async fn rtu_answers_frames_that_come_in_pieces_and_no_others() {
    let (_, mut stream) = served(Framing::Rtu);
    stream.write_all(&READ_RTU[..3]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let answer = talk(&mut stream, &READ_RTU[3..]).await;
    assert_eq!(answer[..7], [5, 3, 4, 0, 7, 0, 8]);
    assert_eq!(crc(&answer), 0);
    let mut noise = READ_RTU;
    noise[3] = 1;
    assert_eq!(talk(&mut stream, &noise).await, NOTHING, "a wrong CRC is no request");
    let mut other = vec![6, 3, 0, 0, 0, 2];
    other.extend(crc(&other).to_le_bytes());
    assert_eq!(talk(&mut stream, &other).await, NOTHING, "a unit that is not there is silent");
    assert_eq!(talk(&mut stream, &READ_RTU).await.len(), 9);
}

#[tokio::test(start_paused = true)]
async fn faults_switch_on_and_off_while_it_runs() {
    let (line, mut stream) = served(Framing::Tcp);
    let unit = line.unit(5).unwrap();
    unit.set_fault(Fault::Silent);
    assert_eq!(talk(&mut stream, &READ).await, NOTHING);
    unit.set_fault(Fault::Late(Duration::from_millis(1500)));
    assert_eq!(talk(&mut stream, &READ).await, NOTHING);
    let mut late = [0; 13];
    stream.read_exact(&mut late).await.unwrap();
    assert_eq!(late, ANSWER, "it comes, late");
    unit.set_fault(Fault::Garbled);
    for _ in 0..8 {
        assert_ne!(talk(&mut stream, &READ).await, ANSWER);
    }
    unit.set_fault(Fault::Healthy);
    assert_eq!(talk(&mut stream, &READ).await, ANSWER);
    assert_eq!(unit.traffic().requests, 11);
}

#[tokio::test(start_paused = true)]
async fn frozen_values_refused_and_ignored_writes_are_told_apart() {
    let (line, mut stream) = served(Framing::Tcp);
    let unit = line.unit(5).unwrap();
    let write = [0, 1, 0, 0, 0, 6, 5, 6, 0, 0, 0, 9];
    unit.set_fault(Fault::IgnoreWrites);
    assert_eq!(talk(&mut stream, &write).await, write);
    assert_eq!(talk(&mut stream, &READ).await, ANSWER);
    unit.set_fault(Fault::RefuseWrites(Exception::Failure));
    assert_eq!(talk(&mut stream, &write).await[7..], [0x86, 4]);
    assert_eq!(talk(&mut stream, &READ).await, ANSWER);
    unit.set_fault(Fault::Frozen);
    assert_eq!(talk(&mut stream, &READ).await, ANSWER);
    assert_eq!(talk(&mut stream, &write).await, write);
    assert_eq!(talk(&mut stream, &READ).await, ANSWER, "written, but the readings stand still");
    assert_eq!(unit.peek(Table::Holding, 0, 1), Ok(vec![9]));
    assert_eq!(unit.traffic().writes.len(), 3);
}

#[tokio::test]
async fn a_closed_line_closes_and_one_connection_means_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let line = line();
    let server = tokio::spawn(listen(listener, Framing::Tcp, line.clone()));
    line.set_fault(LineFault::OneConnection);
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut answer = [0; 13];
    first.write_all(&READ).await.unwrap();
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(second.read(&mut answer).await.unwrap_or(0), 0, "the second is closed");
    line.set_fault(LineFault::Closed);
    assert_eq!(first.read(&mut answer).await.unwrap_or(0), 0, "the first is closed, too");
    line.set_fault(LineFault::Healthy);
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(&READ).await.unwrap();
    third.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, ANSWER);
    server.abort();
}
