//! One connection: one request, one reply, and the end.

use std::net::TcpStream;

use super::head;
use super::{Callback, Refusal, Responder, page};
use crate::oauth::authorization::{Answer, Flow};
use crate::system::http;

/// Reads one request. Only the answer to `flow` comes back; everything else gets its page here.
pub(super) fn serve(mut stream: TcpStream, flow: &Flow) -> Option<Callback> {
    match hear(&mut stream, flow) {
        Ok(Answer::Ours(answer)) => Some(Callback { answer, responder: Responder::new(stream) }),
        Ok(Answer::NotOurs(reason)) => {
            http::reply(stream, &page::refusal(Refusal::BadRequest, reason));
            None
        }
        Err(Some(refusal)) => {
            http::reply(stream, &page::refusal(refusal, head::reason(refusal)));
            None
        }
        Err(None) => None,
    }
}

fn hear(stream: &mut TcpStream, flow: &Flow) -> Result<Answer, Option<Refusal>> {
    let received = http::read_head(stream)?;
    // Nothing comes after the head: one request per connection, and GET has no body.
    Ok(head::judge(received.all(), flow)?)
}
