//! Whether a browser can open before the person's eyes, and if not, why, and what leads to one that can.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// Where a window would open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Screen {
    /// On the screen of this machine.
    Here,
    /// Nowhere that the person can see, for this reason.
    None(Why),
    /// It was not asked for.
    #[default]
    Unknown,
}

/// Why there is no screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The person sits before another machine.
    Ssh(Ssh),
    /// Linux on Windows, and the way to Windows is not open.
    Wsl,
    /// A container.
    Container,
    /// None is named.
    NoDisplay,
}

/// The way on which the person has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ssh {
    /// As whom.
    user: Option<String>,
    /// To which address and port: what this machine calls itself, which others may call otherwise.
    server: Option<(IpAddr, u16)>,
}

impl Screen {
    /// Finds it out from variables and files.
    pub(super) fn find(variable: impl Fn(&str) -> Option<OsString>, is_file: impl Fn(&str) -> bool) -> Self {
        let is_set = |name: &str| variable(name).is_some();
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        if is_set("SSH_CONNECTION") || is_set("SSH_TTY") {
            // A window would open on the wrong screen, if at all.
            let user = text("USER").or_else(|| text("LOGNAME")).filter(|name| is_plain(name));
            let server = text("SSH_CONNECTION").as_deref().and_then(server);
            return Self::None(Why::Ssh(Ssh { user, server }));
        }
        let has_display = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
        if cfg!(any(target_os = "macos", windows)) || has_display || is_set("WSL_INTEROP") {
            return Self::Here;
        }
        if is_set("WSL_DISTRO_NAME") {
            return Self::None(Why::Wsl);
        }
        let is_container = is_set("KUBERNETES_SERVICE_HOST")
            || is_set("container")
            || is_file("/.dockerenv")
            || is_file("/run/.containerenv");
        Self::None(if is_container { Why::Container } else { Why::NoDisplay })
    }

    /// The line that brings a browser on the person's own machine back to `redirect_uri`, where one is needed.
    pub(super) fn tunnel(&self, redirect_uri: &Url) -> Option<Tunnel<'_>> {
        let Self::None(Why::Ssh(ssh)) = self else { return None };
        let port = redirect_uri.port_or_known_default()?;
        let host = match redirect_uri.host()? {
            Host::Ipv6(ip) if ip.is_loopback() => "[::1]",
            Host::Ipv4(ip) if ip.is_loopback() => "127.0.0.1",
            Host::Domain("localhost") => "127.0.0.1",
            _ => return None,
        };
        Some(Tunnel { ssh, host, port })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssh(_) => "this is an SSH session",
            Self::Wsl => "this is WSL, and the way to the programs of Windows is not open (WSL_INTEROP)",
            Self::Container => "this is a container without a screen",
            Self::NoDisplay => "there is no screen (DISPLAY and WAYLAND_DISPLAY are not set)",
        })
    }
}

/// A way from the person's own machine to a port of this one.
pub(super) struct Tunnel<'a> {
    ssh: &'a Ssh,
    host: &'static str,
    port: u16,
}

impl Tunnel<'_> {
    /// What is typed on the person's own machine.
    pub(super) fn line(&self) -> String {
        let Self { ssh, host, port } = self;
        let (server, other_port) = match ssh.server {
            Some((ip, 22)) => (ip.to_string(), String::new()),
            Some((ip, port)) => (ip.to_string(), format!("-p {port} ")),
            None => ("HOST".to_owned(), String::new()),
        };
        let user = ssh.user.as_deref().unwrap_or("USER");
        format!("ssh -N -L {port}:{host}:{port} {other_port}{user}@{server}")
    }

    /// What of it is a guess.
    pub(super) fn advice(&self) -> String {
        match (&self.ssh.user, self.ssh.server) {
            (Some(_), Some((ip, _))) => {
                format!("If you log in to this machine otherwise than by {ip}, write that in its place.")
            }
            _ => "Write how you log in to this machine in place of what is in capitals.".to_owned(),
        }
    }
}

/// `SSH_CONNECTION` as sshd(8) sets it: the address and port of the client, then those of the server.
fn server(connection: &str) -> Option<(IpAddr, u16)> {
    let [_, _, ip, port] = connection.split_ascii_whitespace().collect::<Vec<_>>()[..] else { return None };
    Some((ip.parse().ok()?, port.parse().ok()?))
}

/// A name that means itself in every shell.
fn is_plain(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(variables: &[(&str, &str)], files: &[&str]) -> Screen {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Screen::find(value, |path| files.contains(&path))
    }

    fn line(variables: &[(&str, &str)], redirect_uri: &str) -> (String, String) {
        let screen = screen(variables, &[]);
        let tunnel = screen.tunnel(&Url::parse(redirect_uri).unwrap()).unwrap();
        (tunnel.line(), tunnel.advice())
    }

    const CONNECTION: (&str, &str) = ("SSH_CONNECTION", "198.51.100.7 50122 192.0.2.9 22");

    #[test]
    fn whoever_comes_by_ssh_is_told_the_line_with_what_is_known_of_it() {
        let me = ("USER", "me");
        let at = "http://127.0.0.1:40123/";

        assert_eq!(line(&[CONNECTION, me], at).0, "ssh -N -L 40123:127.0.0.1:40123 me@192.0.2.9");
        assert!(line(&[CONNECTION, me], at).1.contains("otherwise than by 192.0.2.9"));
        let other = ("SSH_CONNECTION", "2001:db8::1 50122 2001:db8::2 2222");
        assert_eq!(
            line(&[other, ("LOGNAME", "me")], "http://[::1]:8085/cb").0,
            "ssh -N -L 8085:[::1]:8085 -p 2222 me@2001:db8::2"
        );
        let (unknown, advice) = line(&[("SSH_TTY", "/dev/pts/1")], "http://localhost:8085/");
        assert_eq!(unknown, "ssh -N -L 8085:127.0.0.1:8085 USER@HOST");
        assert!(advice.contains("in capitals"), "{advice}");
    }

    #[test]
    fn nothing_of_the_environment_gets_into_the_line_that_a_shell_would_obey() {
        for connection in ["1 2 3", "a b $(reboot) 22", "::1 1 ::1 99999", "", "1.1.1.1 1 fe80::1%eth0;x 22"]
        {
            let (line, _) = line(
                &[("SSH_CONNECTION", connection), ("SSH_TTY", "x"), ("USER", "a;b")],
                "http://127.0.0.1:1/",
            );
            assert_eq!(line, "ssh -N -L 1:127.0.0.1:1 USER@HOST", "{connection}");
        }
        let (line, _) = line(&[CONNECTION, ("USER", "-oProxyCommand=x")], "http://127.0.0.1:1/");
        assert_eq!(line, "ssh -N -L 1:127.0.0.1:1 USER@192.0.2.9");
    }

    #[test]
    fn a_browser_elsewhere_needs_no_tunnel_to_an_address_elsewhere() {
        let screen = screen(&[CONNECTION], &[]);
        assert!(screen.tunnel(&Url::parse("https://me.example/callback").unwrap()).is_none());
        assert!(Screen::Here.tunnel(&Url::parse("http://127.0.0.1:1/").unwrap()).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn why_there_is_no_screen_is_found_out() {
        let display = ("DISPLAY", ":0");
        assert_eq!(screen(&[display], &["/.dockerenv"]), Screen::Here);
        assert_eq!(screen(&[("WSL_DISTRO_NAME", "Debian"), ("WSL_INTEROP", "/run/x")], &[]), Screen::Here);
        assert!(matches!(screen(&[display, CONNECTION], &[]), Screen::None(Why::Ssh(_))));
        assert_eq!(screen(&[("WSL_DISTRO_NAME", "Debian")], &[]), Screen::None(Why::Wsl));
        for (variables, files) in [
            (&[][..], &["/.dockerenv"][..]),
            (&[], &["/run/.containerenv"]),
            (&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], &[]),
            (&[("container", "podman")], &[]),
        ] {
            assert_eq!(screen(variables, files), Screen::None(Why::Container));
        }
        assert_eq!(screen(&[], &[]), Screen::None(Why::NoDisplay));
    }
}
