//! Whose a TCP connection is: not known here.

use std::io;
use std::net::TcpStream;

/// Always `None`: this system does not say whose the other end of a TCP connection is.
///
/// What could be asked, and was never built: on macOS `proc_pidfdinfo` with `PROC_PIDFDSOCKETINFO` over the
/// descriptors of all processes (libproc.h), which shows only those of the same user, and so tells "ours" from
/// "not ours"; on FreeBSD the list `net.inet.tcp.pcblist` and `kern.file` (`sockstat(1)`); on Windows
/// `GetExtendedTcpTable` (iphlpapi.h) for the process at the other end, then the user of its access token.
///
/// # Errors
///
/// None.
pub fn tcp_peer_uid(_: &TcpStream) -> io::Result<Option<u32>> {
    Ok(None)
}
