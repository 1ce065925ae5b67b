//! Whose a TCP connection is. A port has no owner and no permissions: every user of the machine can connect
//! to it, so a server on loopback asks the kernel who has.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use procfs_core::net::TcpNetEntries;
use procfs_core::{ExplicitSystemInfo, FromBufReadSI};
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The user who made the socket at the other end of a connection within this machine; `None` if this system
/// does not say whose its sockets are, or the user has no number in our user namespace. Where the kernel has `inet_diag`, the answer takes the same time however
/// many connections there are; elsewhere the table of all of them is read.
///
/// What this does not tell: a socket stays with the user of the process that made it, so a program that was
/// handed one, and a proxy that others may use (`ssh -D`), count as the user who made it.
///
/// # Errors
///
/// [`ErrorKind::NotConnected`] if no process holds the other end: it was closed, or is on another machine. Else
/// what the operating system says. Whoever asked must refuse then: who closes early must not gain by it.
pub fn tcp_peer_uid(stream: &TcpStream) -> io::Result<Option<u32>> {
    let ends = Ends { theirs: plain(stream.peer_addr()?), ours: plain(stream.local_addr()?) };
    // The table has the last word also on a connection that the kernel does not find: it says the same if
    // `inet_diag` is missing.
    let holder = match ask_kernel(&ends).or_else(|_| read_tables(&ends)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        holder => holder?.ok_or(ErrorKind::NotConnected)?,
    };
    let is_named = holder != NAMELESS || names_everybody(&fs::read_to_string("/proc/self/uid_map")?);
    Ok(is_named.then_some(holder))
}

/// Both ends of a connection, seen from the other one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    theirs: SocketAddr,
    ours: SocketAddr,
}

/// IPv4 as IPv4, also where it passes through a socket that speaks both.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The user, unless no process holds the socket any more: it has no inode then, and the user that is told, root,
/// is nobody's.
fn holder(uid: u32, inode: u64) -> Option<u32> {
    (inode != 0).then_some(uid)
}

/// Asks for this one connection (sock_diag(7)).
fn ask_kernel(ends: &Ends) -> io::Result<Option<u32>> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    // From now on nobody but the kernel can send to it.
    rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    rustix::net::send(&socket, &question(ends), SendFlags::empty())?;
    let mut answer = [0; ANSWER];
    // It was answered while it was sent.
    let (length, _) = rustix::net::recv(&socket, &mut answer, RecvFlags::DONTWAIT)?;
    read_answer(&answer[..length], ends)
}

/// An answer has 124 bytes (Linux 6.18); there is room for more attributes than were asked for.
const ANSWER: usize = 4096;

fn question(ends: &Ends) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let request = InetRequest {
        family: if ends.theirs.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_address: ends.theirs.ip(),
            source_port: ends.theirs.port(),
            destination_address: ends.ours.ip(),
            destination_port: ends.ours.port(),
            interface_id: 0,
            cookie: [0xff; 8],
        },
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn read_answer(bytes: &[u8], ends: &Ends) -> io::Result<Option<u32>> {
    let message = NetlinkMessage::<SockDiagMessage>::deserialize(bytes);
    match message.map_err(io::Error::other)?.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
            let found = response.header;
            let id = found.socket_id;
            let its = Ends {
                theirs: plain((id.source_address, id.source_port).into()),
                ours: plain((id.destination_address, id.destination_port).into()),
            };
            // Where no connection is, the kernel answers with whoever listens at its address.
            Ok(if its == *ends { holder(found.uid, found.inode.into()) } else { None })
        }
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

/// Looks for the connection in the table of all (proc_net(5)), where an IPv4 connection of a socket that speaks
/// both stands among those of IPv6.
fn read_tables(ends: &Ends) -> io::Result<Option<u32>> {
    let found = find(&fs::read("/proc/net/tcp")?, ends)?;
    match (found, fs::read("/proc/net/tcp6")) {
        (None, Ok(table)) => find(&table, ends),
        // A kernel without IPv6 has no such table.
        (found, _) => Ok(found),
    }
}

fn find(table: &[u8], ends: &Ends) -> io::Result<Option<u32>> {
    let table = TcpNetEntries::from_buf_read(table, &MACHINE).map_err(io::Error::other)?;
    let mut rows = table.0.into_iter();
    let row =
        rows.find(|row| Ends { theirs: plain(row.local_address), ours: plain(row.remote_address) } == *ends);
    Ok(row.and_then(|row| holder(row.uid, row.inode)))
}

/// Of which only the order of bytes matters here.
const MACHINE: ExplicitSystemInfo = ExplicitSystemInfo {
    boot_time_secs: 0,
    ticks_per_second: 100,
    page_size: 4096,
    is_little_endian: cfg!(target_endian = "little"),
};

/// As whom the kernel shows every user that this user namespace has no number for (user_namespaces(7)).
const NAMELESS: u32 = 65534;

/// Whether every user of the machine has a number of his own in this user namespace, so that 65534 is somebody.
fn names_everybody(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::system::own_uid;

    /// Somebody who connects to `listener`, and our end.
    fn visit(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let visitor = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (visitor, listener.accept().unwrap().0)
    }

    fn ends(stream: &TcpStream) -> Ends {
        Ends { theirs: plain(stream.peer_addr().unwrap()), ours: plain(stream.local_addr().unwrap()) }
    }

    #[track_caller]
    fn expect_holder(stream: &TcpStream, expected: Option<u32>) {
        let asked = ask_kernel(&ends(stream)).unwrap_or_else(|error| {
            assert_eq!(error.raw_os_error(), Some(2), "only what is not there is not found");
            None
        });
        assert_eq!(asked, expected, "the kernel");
        assert_eq!(read_tables(&ends(stream)).unwrap(), expected, "the tables");
        assert_eq!(tcp_peer_uid(stream).ok().flatten(), expected);
    }

    #[test]
    fn a_visitor_of_ours_is_known_to_be_ours() {
        for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let (_visitor, ours) = visit(&listener);
            expect_holder(&ours, Some(own_uid()));
        }
    }

    #[test]
    fn a_socket_that_speaks_both_protocols_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
        let _visitor = TcpStream::connect((mapped, listener.local_addr().unwrap().port())).unwrap();

        expect_holder(&listener.accept().unwrap().0, Some(own_uid()));
    }

    #[test]
    fn a_visitor_who_has_said_all_he_had_to_say_is_still_known() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (visitor, ours) = visit(&listener);

        visitor.shutdown(std::net::Shutdown::Write).unwrap();

        expect_holder(&ours, Some(own_uid()));
    }

    #[test]
    fn a_visitor_who_has_left_is_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (visitor, ours) = visit(&listener);

        drop(visitor);

        expect_holder(&ours, None);
        assert_eq!(tcp_peer_uid(&ours).unwrap_err().kind(), ErrorKind::NotConnected);
    }

    #[test]
    fn who_listens_at_the_address_of_a_visitor_is_not_the_visitor() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = Ends { theirs: listener.local_addr().unwrap(), ours: "127.0.0.1:9".parse().unwrap() };

        assert_eq!(ask_kernel(&nobody).unwrap(), None);
        assert_eq!(read_tables(&nobody).unwrap(), None);
    }

    #[test]
    fn a_visitor_is_found_among_many() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let crowd: Vec<_> = (0..200).map(|_| visit(&listener)).collect();

        for (_, ours) in &crowd {
            assert_eq!(tcp_peer_uid(ours).unwrap(), Some(own_uid()));
        }
        expect_holder(&crowd[100].1, Some(own_uid()));
    }

    #[test]
    fn a_visitor_of_another_user_is_known_to_be_his() {
        const STRANGER: u32 = 65534;
        if own_uid() != 0 {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut stranger = Command::new("setpriv")
            .args([&format!("--reuid={STRANGER}"), "--clear-groups", "bash", "-c"])
            .arg(format!("exec 3<>/dev/tcp/127.0.0.1/{port}; read -u 3"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();

        let (ours, _) = listener.accept().unwrap();

        expect_holder(&ours, Some(STRANGER));
        drop(ours);
        stranger.wait().unwrap();
    }

    #[test]
    fn nobody_is_a_user_only_where_everybody_has_a_number() {
        assert!(names_everybody("         0          0 4294967295\n"));
        assert!(!names_everybody("         0       1000          1\n"));
        assert!(!names_everybody("0 1000 1\n1 100000 65536\n"));
        assert!(!names_everybody(""));
    }

    #[test]
    fn the_tables_are_read_as_the_kernel_writes_them() {
        // Two rows of proc_net(5) as a little-endian machine writes them; the second is a closed one.
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 20 4 30 10 -1\n\
            \x20  1: 0100007F:C351 0100007F:1F90 06 00000000:00000000 03:000016C8 00000000     0        0 0 3 0\n";
        let ends =
            |theirs: &str, ours: &str| Ends { theirs: theirs.parse().unwrap(), ours: ours.parse().unwrap() };
        let expected = [
            (ends("127.0.0.1:50000", "127.0.0.1:8080"), Some(1000)),
            (ends("127.0.0.1:50001", "127.0.0.1:8080"), None),
            (ends("127.0.0.1:8080", "127.0.0.1:50000"), None),
            (ends("127.0.0.2:50000", "127.0.0.1:8080"), None),
        ];
        if cfg!(target_endian = "little") {
            for (connection, holder) in expected {
                assert_eq!(find(table.as_bytes(), &connection).unwrap(), holder);
            }
        }
        assert!(find(b"\nnonsense\n", &expected[0].0).is_err());
    }
}
