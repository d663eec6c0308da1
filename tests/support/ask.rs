//! The least HTTP client: one request, one connection.

#![allow(dead_code, reason = "each test uses its part")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// GET of a path.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")).await
}

/// A request as it stands. Panics when there is no whole answer within 30 s.
pub async fn send(address: SocketAddr, request: &str) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        stream.write_all(request.as_bytes()).await.expect("a request can be sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer can be read");
        String::from_utf8(answer).expect("an answer is UTF-8")
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), exchange).await.expect("an answer within 30 s");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no header in {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Text as part of a URL.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}
