//! One connection: one request, one reply, and the end.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::head::{self, Refusal};
use super::{Callback, Responder, page};
use crate::oauth::authorization::{Answer, Flow};

/// How long a browser may take to say what it wants.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it may take to read our reply, and to hang up.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// Largest head that is read, in bytes. A redirect has some hundreds, and some cookies.
const MAX_HEAD: usize = 8 * 1024;

/// Reads one request. Only the answer to `flow` comes back; everything else gets its page here.
pub(super) fn serve(mut stream: TcpStream, flow: &Flow) -> Option<Callback> {
    match hear(&mut stream, flow) {
        Ok(Answer::Ours(answer)) => Some(Callback { answer, responder: Responder::new(stream) }),
        Ok(Answer::NotOurs(reason)) => {
            reply(stream, &page::refusal(Refusal::BadRequest, reason));
            None
        }
        Err(Some(refusal)) => {
            reply(stream, &page::refusal(refusal, refusal.reason()));
            None
        }
        Err(None) => None,
    }
}

fn hear(stream: &mut TcpStream, flow: &Flow) -> Result<Answer, Option<Refusal>> {
    // Some systems hand on the listener's mode to its connections.
    stream.set_nonblocking(false).map_err(|_| None)?;
    let head = read_head(stream)?;
    Ok(head::judge(&head, flow)?)
}

/// Reads up to the empty line that ends a head. `Err(None)` if there is nobody to answer to.
fn read_head(stream: &mut TcpStream) -> Result<Zeroizing<Vec<u8>>, Option<Refusal>> {
    let deadline = Instant::now() + HEAD_TIMEOUT;
    // All of it at once, so that no copy is left behind by growing.
    let mut head = Zeroizing::new(vec![0; MAX_HEAD]);
    let mut length = 0;
    loop {
        if length == MAX_HEAD {
            return Err(Some(Refusal::too_large(&head)));
        }
        length += match read_until(stream, deadline, &mut head[length..]) {
            Ok(0) => return Err(None),
            Ok(count) => count,
            Err(e) if is_timeout(&e) => return Err(Some(Refusal::Timeout)),
            Err(_) => return Err(None),
        };
        if head::is_complete(&head[..length]) {
            head.truncate(length);
            return Ok(head);
        }
    }
}

fn read_until(stream: &mut TcpStream, deadline: Instant, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Sends `bytes` and hangs up. What the other side still has to say is read for a moment: closing on
/// unread bytes would tear down the reply as well.
pub(super) fn reply(mut stream: TcpStream, bytes: &[u8]) {
    let deadline = Instant::now() + REPLY_TIMEOUT;
    let _ = stream.set_write_timeout(Some(REPLY_TIMEOUT));
    if stream.write_all(bytes).is_err() || stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut rest = [0; 4096];
    while matches!(read_until(&mut stream, deadline, &mut rest), Ok(1..)) {}
}
