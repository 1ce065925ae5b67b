//! What the browser shows. Nothing that was sent is repeated, and nothing else is loaded.

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

use super::Refusal;
use crate::oauth::printable;

/// How a login ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is saved.
    Success {
        /// Whose account it is, if the provider has said so.
        account: Option<String>,
        /// The profile that holds it.
        profile: String,
    },
    /// It is not.
    Failure {
        /// What did not work, in some words.
        title: String,
        /// Why, and what to do, in a sentence or two.
        detail: String,
    },
}

/// The page that ends a login.
pub(super) fn last(outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Success { account, profile } => success(account.as_deref(), profile),
        Outcome::Failure { title, detail } => {
            let page = Page { mark: Mark::Cross, title, text: &escaped(&sentence(detail)), hint: BACK };
            page.reply("400 Bad Request")
        }
    }
}

fn success(account: Option<&str>, profile: &str) -> Vec<u8> {
    let profile = escaped(profile);
    let text = match account {
        Some(account) => {
            format!("<b>{}</b> is now linked to the profile <b>{profile}</b>.", escaped(account))
        }
        None => format!("The login is saved in the profile <b>{profile}</b>."),
    };
    Page { mark: Mark::Tick, title: "You are signed in", text: &text, hint: CLOSE }.reply("200 OK")
}

/// The page for a browser that nobody has told how it ended.
pub(super) fn neutral() -> Vec<u8> {
    let text = "The answer has arrived. The terminal says how the login ended.";
    Page { mark: Mark::Dots, title: "Back to the terminal", text, hint: "You can close this page." }
        .reply("200 OK")
}

/// The page for a request that is not the answer, which goes on being waited for.
pub(super) fn refusal(refusal: Refusal, reason: &'static str) -> Vec<u8> {
    let text = format!("This is not the answer that the login waits for: {}.", escaped(reason));
    let hint =
        "The login goes on waiting. Go back to the page of your provider, or start again in the terminal.";
    Page { mark: Mark::Cross, title: "Not this one", text: &text, hint }.reply(refusal.status())
}

const CLOSE: &str = "You can close this page and go back to the terminal.";
const BACK: &str = "Go back to the terminal, which says more.";

enum Mark {
    Tick,
    Cross,
    Dots,
}

impl Mark {
    fn class(&self) -> &'static str {
        match self {
            Self::Tick => "good",
            Self::Cross => "bad",
            Self::Dots => "calm",
        }
    }

    fn path(&self) -> &'static str {
        match self {
            Self::Tick => "M15 25l6 6 12-14",
            Self::Cross => "M17 17l14 14M31 17L17 31",
            Self::Dots => "M15 24h.01M24 24h.01M33 24h.01",
        }
    }
}

struct Page<'a> {
    mark: Mark,
    /// Plain text.
    title: &'a str,
    /// HTML.
    text: &'a str,
    hint: &'static str,
}

impl Page<'_> {
    fn html(&self) -> String {
        let title = escaped(self.title);
        let (class, path, text, hint) = (self.mark.class(), self.mark.path(), self.text, self.hint);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title} · vault</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <main class=\"{class}\">\n\
             <svg viewBox=\"0 0 48 48\" aria-hidden=\"true\"><circle cx=\"24\" cy=\"24\" r=\"22\"/><path d=\"{path}\"/></svg>\n\
             <h1>{title}</h1>\n<p>{text}</p>\n<p class=\"hint\">{hint}</p>\n</main>\n\
             <footer>vault</footer>\n</body>\n</html>\n"
        )
    }

    /// The whole reply. The headers keep the page, and the address with the code in it, to itself.
    fn reply(&self, status: &str) -> Vec<u8> {
        let body = self.html();
        let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        let mut reply = String::new();
        let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
        write!(
            reply,
            "HTTP/1.1 {status}\r\n{allow}\
             Content-Type: text/html; charset=utf-8\r\n\
             Content-Length: {}\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'\r\n\
             Referrer-Policy: no-referrer\r\n\
             Cache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             X-Frame-Options: DENY\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
        .expect("a String takes any text");
        reply.into_bytes()
    }
}

/// An error message, which is a lower-case sentence without its full stop, as a page has it.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if message.ends_with(['.', '!', '?', '…']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// Foreign text as HTML text: printable, and without meaning.
fn escaped(text: &str) -> String {
    let mut html = String::new();
    for c in printable(text, 300).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

const STYLE: &str = "
:root{--page:#f4f5f7;--card:#fff;--text:#1c1e21;--soft:#63686f;--line:#e3e5e8;--good:#1a7f4b;--bad:#b3372f;--calm:#4f6bd8}
@media (prefers-color-scheme:dark){:root{--page:#121417;--card:#1c1f23;--text:#eceef0;--soft:#9aa1a9;--line:#2c3036;--good:#4cc38a;--bad:#f2837b;--calm:#8ea3ff}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;min-height:100dvh;padding:1.5rem;display:flex;flex-direction:column;align-items:center;justify-content:center;gap:1.25rem;background:var(--page);color:var(--text);font:1rem/1.6 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;-webkit-text-size-adjust:100%}
main{width:100%;max-width:27rem;padding:2.75rem 2rem 2.25rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;text-align:center;text-wrap:balance;overflow-wrap:anywhere;box-shadow:0 1px 2px rgba(0,0,0,.04),0 12px 32px rgba(0,0,0,.06)}
svg{width:3.5rem;height:3.5rem;fill:none;stroke:currentColor;stroke-width:2.5;stroke-linecap:round;stroke-linejoin:round}
circle{fill:currentColor;fill-opacity:.1;stroke:none}
.good svg{color:var(--good)}.bad svg{color:var(--bad)}.calm svg{color:var(--calm)}
h1{margin:1.1rem 0 .4rem;font-size:1.4rem;line-height:1.3;font-weight:650;letter-spacing:-.01em}
p{margin:0}
.hint{margin-top:1.1rem;color:var(--soft);font-size:.925rem}
footer{color:var(--soft);font-size:.8rem;letter-spacing:.08em}
";

#[cfg(test)]
mod tests;
