//! Many who ask the same at the same time, each on a connection of its own, and how long each waited.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// What is asked of a server on this machine.
pub struct Load<'a> {
    /// Where it listens.
    pub server: SocketAddr,
    /// The whole request.
    pub request: &'a [u8],
    /// So many ask at the same time, each one time after the other.
    pub askers: usize,
    /// How long each asker waits from the beginning of one request to that of the next; none: not at all.
    pub pace: Option<Duration>,
}

impl Load<'_> {
    /// Asks `times` in all, and gives `look` each answer with the time from before connecting to its last byte.
    ///
    /// # Errors
    ///
    /// The first of a connection that was refused or cut off.
    pub fn run<T: Send>(
        &self,
        times: usize,
        look: impl Fn(Duration, Vec<u8>) -> T + Sync,
    ) -> io::Result<Vec<T>> {
        let asker = |number: usize| {
            let mine = times / self.askers + usize::from(number < times % self.askers);
            let begun = Instant::now();
            (0..mine)
                .map(|turn| self.wait_and_ask(begun, turn).map(|(took, answer)| look(took, answer)))
                .collect::<io::Result<Vec<T>>>()
        };
        thread::scope(|scope| {
            let askers: Vec<_> = (0..self.askers).map(|number| scope.spawn(move || asker(number))).collect();
            let answers = askers.into_iter().map(|asker| asker.join().expect("an asker does not panic"));
            Ok(answers.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    fn wait_and_ask(&self, begun: Instant, turn: usize) -> io::Result<(Duration, Vec<u8>)> {
        if let Some(pace) = self.pace {
            let due = begun + pace * u32::try_from(turn).expect("nobody asks that often");
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.ask()
    }

    /// The server closes first, so that it and not the asker keeps the port for a while (RFC 9293, 3.6.1).
    fn ask(&self) -> io::Result<(Duration, Vec<u8>)> {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(self.server)?;
        stream.write_all(self.request)?;
        let mut bytes = Vec::with_capacity(1024);
        stream.read_to_end(&mut bytes)?;
        Ok((begun.elapsed(), bytes))
    }
}
