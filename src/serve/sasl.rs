//! The initial responses by which mail programs hand a token to a server, in the base64 that IMAP, POP and
//! SMTP carry them in.

use base64::prelude::{BASE64_STANDARD, Engine};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// What ends a key and its value in both mechanisms.
const SEPARATOR: char = '\u{1}';

/// The server that a mail program is connected with, as far as it is to be named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server<'a> {
    /// Its name.
    pub host: Option<&'a str>,
    /// Its port.
    pub port: Option<u16>,
}

/// An address that would become something else in a response.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {0:?} has a control character in it")]
pub struct OddUser(String);

/// The response of XOAUTH2, as Google and Microsoft describe it for IMAP, POP and SMTP.
///
/// <https://developers.google.com/workspace/gmail/imap/xoauth2-protocol>
///
/// # Errors
///
/// If `user` has a control character, with which it could end its own field.
pub fn xoauth2(user: &str, token: &SecretString) -> Result<SecretString, OddUser> {
    let user = plain(user)?;
    Ok(encoded(format!("user={user}{SEPARATOR}"), token))
}

/// The response of OAUTHBEARER (RFC 7628, 3.1). Host and port are for servers that ask for them.
///
/// # Errors
///
/// If `user` has a control character, with which it could end its own field.
pub fn oauthbearer(user: &str, server: Server<'_>, token: &SecretString) -> Result<SecretString, OddUser> {
    let mut response = format!("n,a={},{SEPARATOR}", as_saslname(plain(user)?));
    if let Some(host) = server.host {
        response.push_str(&format!("host={host}{SEPARATOR}"));
    }
    if let Some(port) = server.port {
        response.push_str(&format!("port={port}{SEPARATOR}"));
    }
    Ok(encoded(response, token))
}

fn plain(user: &str) -> Result<&str, OddUser> {
    if user.chars().any(char::is_control) { Err(OddUser(user.to_owned())) } else { Ok(user) }
}

/// RFC 5801, 4: in a header of GS2, `=` and `,` are written as `=3D` and `=2C`.
fn as_saslname(user: &str) -> String {
    user.replace('=', "=3D").replace(',', "=2C")
}

fn encoded(before: String, token: &SecretString) -> SecretString {
    let token = token.expose_secret();
    let response = Zeroizing::new(format!("{before}auth=Bearer {token}{SEPARATOR}{SEPARATOR}"));
    BASE64_STANDARD.encode(response.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(response: Result<SecretString, OddUser>) -> String {
        let bytes = BASE64_STANDARD.decode(response.unwrap().expose_secret()).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn xoauth2_is_what_its_specification_shows() {
        let response =
            xoauth2("someuser@example.com", &"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg".into());

        let expected = "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";
        assert_eq!(response.unwrap().expose_secret(), expected);
    }

    /// The example of RFC 7628, 4.1.
    #[test]
    fn oauthbearer_is_what_its_specification_shows() {
        let server = Server { host: Some("server.example.com"), port: Some(143) };

        let response =
            oauthbearer("user@example.com", server, &"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==".into());

        let expected = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
        assert_eq!(response.unwrap().expose_secret(), expected);
    }

    #[test]
    fn a_server_that_is_not_named_is_left_out() {
        let response = decoded(oauthbearer("me@x.example", Server::default(), &"t0k".into()));

        assert_eq!(response, "n,a=me@x.example,\u{1}auth=Bearer t0k\u{1}\u{1}");
    }

    #[test]
    fn an_address_stays_one_field() {
        let odd = "a=b,c@x.example";

        assert!(
            decoded(oauthbearer(odd, Server::default(), &"t".into()))
                .starts_with("n,a=a=3Db=2Cc@x.example,\u{1}")
        );
        for user in ["me\u{1}auth=Bearer x", "me\n@x.example", "me\0"] {
            assert_eq!(xoauth2(user, &"t".into()).unwrap_err(), OddUser(user.into()));
            assert_eq!(oauthbearer(user, Server::default(), &"t".into()).unwrap_err(), OddUser(user.into()));
        }
    }
}
