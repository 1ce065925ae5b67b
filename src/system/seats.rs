//! Places for those who have connected and not spoken yet: bounded, and nobody can keep others out.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The connections on which nobody has said anything yet, oldest first.
pub struct Seats {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    streams: VecDeque<(u64, TcpStream)>,
}

/// A place among the open connections, for as long as it is held.
pub struct Seat<'a> {
    seats: &'a Seats,
    number: u64,
}

impl Seats {
    /// Places for this many.
    pub fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// Gives a connection a seat. If all are taken, the one that has been silent for longest is hung up on.
    pub fn admit(&self, stream: &TcpStream) -> Option<Seat<'_>> {
        let stream = stream.try_clone().ok()?;
        let mut taken = self.taken();
        if taken.streams.len() >= self.most
            && let Some((_, oldest)) = taken.streams.pop_front()
        {
            let _ = oldest.shutdown(Shutdown::Both);
        }
        let number = taken.next;
        taken.next += 1;
        taken.streams.push_back((number, stream));
        Some(Seat { seats: self, number })
    }

    /// Hangs up on everybody, which frees the threads that still wait for somebody to speak.
    pub fn close_all(&self) {
        for (_, stream) in self.taken().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.seats.taken().streams.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    /// Two ends of one connection.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, theirs)
    }

    fn is_hung_up_on(mut visitor: &TcpStream) -> bool {
        visitor.set_nonblocking(true).unwrap();
        matches!(visitor.read(&mut [0]), Ok(0))
    }

    #[test]
    fn whoever_comes_when_all_are_taken_pushes_out_the_first() {
        let seats = Seats::new(2);
        let connections: Vec<_> = (0..4).map(|_| connection()).collect();
        let [first, second, third, last] = &connections[..] else { unreachable!() };

        let _first = seats.admit(&first.0);
        let second_seat = seats.admit(&second.0);
        let _third = seats.admit(&third.0);
        assert!(is_hung_up_on(&first.1) && !is_hung_up_on(&second.1));
        drop(second_seat);
        let _last = seats.admit(&last.0);

        // The second has spoken, and is no longer among those who may be hung up on.
        assert!([second, third, last].iter().all(|visitor| !is_hung_up_on(&visitor.1)));
        seats.close_all();
        assert!(!is_hung_up_on(&second.1) && is_hung_up_on(&third.1) && is_hung_up_on(&last.1));
    }
}
