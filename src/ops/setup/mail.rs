//! Programs that send and fetch mail: where they ask for a token in place of a password.

use super::block::Block;
use super::places::Places;
use super::{Change, Edit, Plan, Tool, Wish};
use crate::domain::Host;
use crate::ops::Error;

/// Where Gmail's mail is fetched and sent (Google, "IMAP, POP, and SMTP").
const GMAIL: (&str, &str) = ("imap.gmail.com", "smtp.gmail.com");

/// IMAP over TLS (RFC 8314, 3.2).
const IMAPS: u16 = 993;

/// Submission, with STARTTLS (RFC 6409, 3.1).
const SUBMISSION: u16 = 587;

/// A mail server, and whom it knows.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// The user there, in place of the profile's account.
    pub user: Option<String>,
}

/// Where a tool connects to.
struct Server {
    name: String,
    port: u16,
}

pub(super) fn plan(wish: &Wish, places: &Places, is_undo: bool) -> Result<Plan, Error> {
    let file = match wish.tool {
        Tool::Msmtp => places.msmtp(),
        Tool::Mbsync => places.mbsync(),
        _ => places.neomutt(),
    };
    let lines = if is_undo { String::new() } else { lines(wish)? };
    let edit = Edit::Block(Block { name: wish.block_name(), lines });
    let advice = advice(wish);
    Ok(Plan { changes: vec![Change { file, edit }], hosts: Vec::new(), advice })
}

fn lines(wish: &Wish) -> Result<String, Error> {
    let user = user(wish)?;
    let command = format!("{} token {}", wish.vault, wish.profile);
    let profile = &wish.profile;
    Ok(match wish.tool {
        Tool::Msmtp => {
            let Server { name, port } = server(wish, GMAIL.1, SUBMISSION)?;
            format!(
                "account {profile}\nhost {name}\nport {port}\ntls on\nauth oauthbearer\nfrom {user}\nuser {user}\n\
                 passwordeval \"{command}\"\n"
            )
        }
        // Sections end with an empty line. `SSLType` is understood by every version, `TLSType` since 1.5.
        Tool::Mbsync => {
            let Server { name, port } = server(wish, GMAIL.0, IMAPS)?;
            format!(
                "\nIMAPAccount {profile}\nHost {name}\nPort {port}\nSSLType IMAPS\nUser {user}\nAuthMechs XOAUTH2\n\
                 PassCmd \"{command}\"\n\n"
            )
        }
        _ => {
            let Server { name, port } = server(wish, GMAIL.0, IMAPS)?;
            format!(
                "set imap_user = \"{user}\"\nset imap_authenticators = \"oauthbearer:xoauth2\"\n\
                 set imap_oauth_refresh_command = \"{command}\"\nset folder = \"imaps://{name}:{port}/\"\n\
                 set smtp_authenticators = \"oauthbearer:xoauth2\"\nset smtp_oauth_refresh_command = \"{command}\"\n"
            )
        }
    })
}

/// The server that was named, else Gmail's for an account of Google.
fn server(wish: &Wish, of_google: &str, port: u16) -> Result<Server, Error> {
    let is_google = wish.facts.as_ref().is_some_and(|facts| facts.provider == "google");
    match wish.hosts.first() {
        Some(host) => Ok(Server { name: host.name().to_owned(), port: named_port(host).unwrap_or(port) }),
        None if is_google => Ok(Server { name: of_google.to_owned(), port }),
        None => Err(Error::Usage("which server is it? Say so with `--host SERVER[:PORT]`".to_owned())),
    }
}

/// 443 is the port of a host that was named without one.
fn named_port(host: &Host) -> Option<u16> {
    host.to_string().rsplit_once(':').filter(|_| host.port() != 443).map(|_| host.port())
}

fn user(wish: &Wish) -> Result<&str, Error> {
    let user = wish.mail.user.as_deref().or(wish.email());
    let user =
        user.ok_or_else(|| Error::Usage("whose mail is it? Say so with `--user ADDRESS`".to_owned()))?;
    // It stands in a line of a configuration, between quotes at most.
    let is_plain = user.bytes().all(|b| b.is_ascii_graphic() && !b"\"'`$\\#;{}()<>|&".contains(&b));
    match is_plain && !user.is_empty() {
        true => Ok(user),
        false => Err(Error::Usage(format!("{user:?} cannot stand in a configuration; say `--user ADDRESS`"))),
    }
}

fn advice(wish: &Wish) -> Vec<String> {
    let profile = &wish.profile;
    match wish.tool {
        Tool::Msmtp => vec![format!(
            "send with `msmtp -a {profile} …`; `account default : {profile}` makes it the usual one"
        )],
        Tool::Mbsync => vec![
            format!("name it in a store with `Account {profile}`"),
            "SASL needs a plugin for XOAUTH2, such as Debian's libsasl2-modules-kdexoauth2".to_owned(),
        ],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(tool: Tool, host: Option<&str>, user: Option<&str>) -> Wish {
        Wish {
            tool,
            profile: "work".parse().unwrap(),
            facts: None,
            hosts: host.map(|it| it.parse().unwrap()).into_iter().collect(),
            shared: Default::default(),
            registry: None,
            mail: Mail { user: user.map(Into::into) },
            remote: None,
            envrc: None,
            file: None,
            vault: "vault".into(),
            options: Vec::new(),
        }
    }

    #[test]
    fn a_server_and_a_user_are_needed_where_the_profile_does_not_say_them() {
        assert!(lines(&wish(Tool::Msmtp, None, Some("me@x.example"))).is_err());
        assert!(lines(&wish(Tool::Msmtp, Some("mail.example"), None)).is_err());

        let lines = lines(&wish(Tool::Mbsync, Some("mail.example:1993"), Some("me@x.example"))).unwrap();
        assert!(
            lines.contains("Host mail.example\nPort 1993\n")
                && lines.contains("PassCmd \"vault token work\"")
        );
    }

    #[test]
    fn an_address_cannot_bring_lines_or_commands_of_its_own() {
        for user in ["", "a b", "a\nb", "\"a", "$(id)", "`id`", "a;b", "é@x.example"] {
            assert!(lines(&wish(Tool::Neomutt, Some("mail.example"), Some(user))).is_err(), "{user:?}");
        }
    }
}
