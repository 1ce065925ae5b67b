//! A mail server that knows nobody but who brings a token: as much of SMTP and IMAP as its clients need.

use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::provider::{Authority, HOST, Provider, Site, Wire};

/// Whose mailbox it is.
pub const USER: &str = "me@example.com";

/// What the one mail in the mailbox says.
pub const MAIL: &str =
    "From: you@example.com\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n\r\nGood morning.\r\n";

/// What servers that take tokens answer a wrong one (Google's XOAUTH2, RFC 7628, 3.2.2).
const REFUSED: &str = r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#;

/// A server of SMTP and one of IMAP, both under TLS.
pub struct Mailbox {
    /// For mail that goes out.
    pub smtp: Site,
    /// For mail that has come in.
    pub imap: Site,
    /// Whom both are certified by.
    pub authority: Authority,
    accounts: Arc<Accounts>,
}

/// Who may come in, and what was said.
struct Accounts {
    provider: Provider,
    /// Mechanism and initial response of each login, in their order.
    logins: Mutex<Vec<(String, String)>>,
    /// The mails that were sent.
    sent: Mutex<Vec<String>>,
}

impl Mailbox {
    /// For tokens of `provider`.
    pub fn of(provider: Provider) -> Self {
        let authority = Authority::new();
        let accounts = Arc::new(Accounts { provider, logins: Mutex::default(), sent: Mutex::default() });
        let (for_smtp, for_imap) = (accounts.clone(), accounts.clone());
        Self {
            smtp: Site::of(Some(authority.certify(HOST)), move |wire| smtp(&mut Line::of(wire), &for_smtp)),
            imap: Site::of(Some(authority.certify(HOST)), move |wire| imap(&mut Line::of(wire), &for_imap)),
            authority,
            accounts,
        }
    }

    /// Mechanism and initial response (in base64) of each login so far, good or not.
    pub fn logins(&self) -> Vec<(String, String)> {
        self.accounts.logins.lock().unwrap().clone()
    }

    /// The mails that were sent so far.
    pub fn sent(&self) -> Vec<String> {
        self.accounts.sent.lock().unwrap().clone()
    }
}

impl Accounts {
    /// Whether the response is exactly one of the two known ones, and its token works.
    fn admit(&self, mechanism: &str, response: &str) -> bool {
        self.logins.lock().unwrap().push((mechanism.to_owned(), response.to_owned()));
        let Ok(bytes) = BASE64_STANDARD.decode(response) else { return false };
        let Ok(text) = String::from_utf8(bytes) else { return false };
        let Some((header, bearer)) = text.rsplit_once("auth=Bearer ") else { return false };
        let is_known = match mechanism {
            "XOAUTH2" => header == format!("user={USER}\u{1}"),
            "OAUTHBEARER" => header.starts_with(&format!("n,a={USER},\u{1}")),
            _ => false,
        };
        let token = bearer.strip_suffix("\u{1}\u{1}");
        is_known && token.is_some_and(|token| self.provider.is_live_access_token(token))
    }
}

/// A connection, line by line.
struct Line(BufReader<Wire>);

impl Line {
    fn of(wire: Wire) -> Self {
        Self(BufReader::new(wire))
    }

    fn say(&mut self, line: &str) -> io::Result<()> {
        let stream = self.0.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        stream.flush()
    }

    /// `None` at the end of the connection.
    fn hear(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }
}

fn smtp(line: &mut Line, accounts: &Accounts) -> io::Result<()> {
    line.say("220 localhost ESMTP")?;
    while let Some(said) = line.hear()? {
        let words: Vec<&str> = said.split(' ').collect();
        match words[0].to_ascii_uppercase().as_str() {
            "EHLO" => {
                line.say("250-localhost")?;
                line.say("250 AUTH XOAUTH2 OAUTHBEARER")?;
            }
            "AUTH" => {
                let response = match words.get(2) {
                    Some(response) => (*response).to_owned(),
                    None => {
                        line.say("334 ")?;
                        line.hear()?.unwrap_or_default()
                    }
                };
                if accounts.admit(&words[1].to_ascii_uppercase(), &response) {
                    line.say("235 2.7.0 Accepted")?;
                } else {
                    line.say(&format!("334 {}", BASE64_STANDARD.encode(REFUSED)))?;
                    let _ = line.hear()?;
                    line.say("535 5.7.8 Username and Password not accepted")?;
                }
            }
            "DATA" => {
                line.say("354 Go ahead")?;
                let mut mail = Vec::new();
                while let Some(text) = line.hear()?.filter(|text| text != ".") {
                    mail.push(text);
                }
                accounts.sent.lock().unwrap().push(mail.join("\n"));
                line.say("250 2.0.0 OK")?;
            }
            "QUIT" => return line.say("221 2.0.0 Bye"),
            _ => line.say("250 2.1.0 OK")?,
        }
    }
    Ok(())
}

const CAPABILITY: &str = "CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER";

fn imap(line: &mut Line, accounts: &Accounts) -> io::Result<()> {
    line.say(&format!("* OK [{CAPABILITY}] ready"))?;
    while let Some(said) = line.hear()? {
        let words: Vec<&str> = said.split(' ').collect();
        let command = words[1..].join(" ").to_ascii_uppercase();
        let is = |name: &str| command.starts_with(name);
        if is("CAPABILITY") {
            line.say(&format!("* {CAPABILITY}"))?;
        } else if is("AUTHENTICATE") {
            let response = match words.get(3) {
                Some(response) => (*response).to_owned(),
                None => {
                    line.say("+ ")?;
                    line.hear()?.unwrap_or_default()
                }
            };
            if !accounts.admit(&words[2].to_ascii_uppercase(), &response) {
                line.say(&format!("+ {}", BASE64_STANDARD.encode(REFUSED)))?;
                let _ = line.hear()?;
                line.say(&format!("{} NO [AUTHENTICATIONFAILED] Invalid credentials", words[0]))?;
                continue;
            }
        } else if is("LIST") {
            line.say("* LIST (\\HasNoChildren) \"/\" INBOX")?;
        } else if is("SELECT") {
            for fact in
                ["1 EXISTS", "0 RECENT", "FLAGS (\\Seen)", "OK [UIDVALIDITY 1] it", "OK [UIDNEXT 2] it"]
            {
                line.say(&format!("* {fact}"))?;
            }
        } else if is("UID FETCH") && command.contains("BODY.PEEK[]") {
            line.say(&format!("* 1 FETCH (UID 1 FLAGS () BODY[] {{{}}}\r\n{MAIL})", MAIL.len()))?;
        } else if is("UID FETCH") {
            line.say("* 1 FETCH (UID 1 FLAGS ())")?;
        } else if is("LOGOUT") {
            line.say("* BYE")?;
            return line.say(&format!("{} OK done", words[0]));
        }
        line.say(&format!("{} OK done", words[0]))?;
    }
    Ok(())
}
