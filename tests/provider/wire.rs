//! A connection as the server sees it: plain, or under TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

use super::tls::Tls;

/// Browsers open connections they may never use.
const IDLE: Duration = Duration::from_secs(20);

/// A connection that was accepted, and the count of the bytes that came through all of them.
pub struct Wire {
    stream: Stream,
    received: Arc<AtomicU64>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Gets ready to speak; a handshake comes with the first byte.
    pub(super) fn new(stream: TcpStream, tls: Option<&Tls>, received: Arc<AtomicU64>) -> Self {
        // A socket that refuses an option has lost its peer.
        let _ = stream.set_read_timeout(Some(IDLE));
        let _ = stream.set_nodelay(true);
        let stream = match tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let connection =
                    ServerConnection::new(tls.config.clone()).expect("the settings are complete");
                Stream::Tls(Box::new(StreamOwned::new(connection, stream)))
            }
        };
        Self { stream, received }
    }

    /// Says everything, and that this was all.
    pub fn finish(mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
        }
        self.flush()?;
        self.tcp().shutdown(Shutdown::Write)
    }

    /// Closes with a reset instead of an orderly end: a linger time of zero does that on Unix.
    pub(super) fn reset(self) -> io::Result<()> {
        #[cfg(unix)]
        rustix::net::sockopt::set_socket_linger(self.tcp(), Some(Duration::ZERO))?;
        drop(self);
        Ok(())
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.stream {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }?;
        self.received.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
