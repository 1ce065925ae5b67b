//! A server of somebody who has edited the files and hopes for a token.

use std::io;
use std::net::TcpListener;

/// Listens, and answers nobody.
pub(crate) struct EvilServer {
    listener: TcpListener,
}

impl EvilServer {
    /// Starts it on a free port.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it would like to get tokens sent.
    pub(crate) fn url(&self) -> io::Result<String> {
        Ok(format!("http://{}/token", self.listener.local_addr()?))
    }

    /// Whether anybody has called.
    pub(crate) fn was_called(&self) -> bool {
        self.listener.accept().is_ok()
    }
}
