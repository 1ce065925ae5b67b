//! One request with its answer, through redirects that carry no secret elsewhere.

use serde_json::Value;
use url::Url;

use super::{Error, Obstacle, Pass, destination};
use crate::domain::Scopes;
use crate::oauth::resource::{Answer, Body, Header, Limits, Method, Request, Resources};

/// Most redirects that are followed for one request.
const MOST_REDIRECTS: usize = 10;

/// The fields that another host gets to see, of those that the user has typed: what says which answer is wanted.
/// Any other may be a secret.
const HARMLESS: [&str; 4] = ["accept", "accept-encoding", "accept-language", "range"];

/// What is asked of a server.
#[derive(Debug)]
pub struct Asked {
    /// What is done.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// What the user says besides.
    pub headers: Vec<Header>,
    /// Whether redirects are followed.
    pub follow: bool,
    /// How long it may take.
    pub limits: Limits,
}

/// An answer, and why it is the last one.
pub struct Exchanged {
    /// The answer.
    pub answer: Answer,
    /// Whether the token went along with the request that it answers.
    had_token: bool,
    /// Whether the server has done what was asked, and has led from there to this answer.
    is_done: bool,
    /// Why a redirect was not followed although that was wanted.
    not_followed: Option<&'static str>,
}

/// Sends what is asked, with what `pass` allows, and follows redirects if that is wanted: by GET and HEAD only,
/// over TLS only, and without token, API key, project and the user's own fields as soon as it leads to another
/// scheme, host or port. It stays without them when it leads back.
///
/// # Errors
///
/// [`Error::Exchange`] if no answer came.
pub fn exchange(
    resources: &dyn Resources,
    pass: &Pass,
    asked: &Asked,
    body: Option<Body>,
) -> Result<Exchanged, Error> {
    let mut at = Place { method: asked.method, url: asked.url.clone(), is_home: true };
    let mut answer = send(resources, pass, asked, &at, body)?;
    for _ in 0..MOST_REDIRECTS {
        let target = answer.redirect().filter(|_| asked.follow);
        let Some(target) = target else { return Ok(at.end(asked, answer, None)) };
        match at.next(answer.status, target) {
            Ok(next) => at = next,
            Err(why) => return Ok(at.end(asked, answer, Some(why))),
        }
        answer = send(resources, pass, asked, &at, None)?;
    }
    let not_followed = answer.redirect().map(|_| "there were ten before it");
    Ok(at.end(asked, answer, not_followed))
}

/// Where a request has been led to.
struct Place {
    method: Method,
    url: Url,
    /// Whether no redirect has led to another origin.
    is_home: bool,
}

impl Place {
    fn next(&self, status: u16, target: Option<Url>) -> Result<Self, &'static str> {
        let mut url = target.ok_or("that is no address")?;
        url.set_fragment(None);
        let method = match (self.method, status) {
            // RFC 9110, 15.4.4: the answer lies there, to be read.
            (Method::Head, _) => Method::Head,
            (Method::Get, _) | (_, 303) => Method::Get,
            _ => return Err("only GET and HEAD are sent to another place"),
        };
        let is_same = destination::is_same_origin(&self.url, &url);
        if !is_same && url.scheme() != "https" {
            return Err("it leads away from https:");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address holds a user name");
        }
        Ok(Self { method, url, is_home: self.is_home && is_same })
    }

    /// The last answer to what was asked, which came from here.
    fn end(&self, asked: &Asked, answer: Answer, not_followed: Option<&'static str>) -> Exchanged {
        Exchanged { answer, had_token: self.is_home, is_done: self.method != asked.method, not_followed }
    }
}

fn send(
    resources: &dyn Resources,
    pass: &Pass,
    asked: &Asked,
    at: &Place,
    body: Option<Body>,
) -> Result<Answer, Error> {
    let headers = asked.headers.iter().filter(|header| at.is_home || HARMLESS.contains(&header.name()));
    let request = Request {
        method: at.method,
        url: at.url.clone(),
        headers: headers.cloned().collect(),
        secret_headers: if at.is_home { pass.headers.clone() } else { Vec::new() },
        bearer: pass.token.clone().filter(|_| at.is_home),
        body,
        limits: asked.limits,
    };
    let answer = resources.exchange(request).map_err(|error| Error::Exchange(error.into()))?;
    log::info!("{} {}: {}", at.method, shown(&at.url), answer.status_line);
    Ok(answer)
}

/// A URL less what could be a secret in it.
pub(super) fn shown(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{origin}{}{query}", url.path())
}

impl Exchanged {
    /// Whether the server has seen the token and refuses it, and nothing is done: with another token, the same
    /// can be asked again.
    pub fn refuses_token(&self) -> bool {
        self.answer.status == 401 && self.had_token && !self.is_done
    }

    /// Whether the answer is what was asked for. Of an error, `begun` is the beginning of the body.
    ///
    /// # Errors
    ///
    /// [`Error::Redirected`], [`Error::Refused`] or [`Error::Unavailable`] if it is not.
    pub fn verdict(&self, pass: &Pass, begun: &[u8]) -> Result<(), Error> {
        let Self { answer, not_followed, .. } = self;
        let status = answer.status;
        if let Some(target) = answer.redirect() {
            let to = target.map_or_else(|| "what is no address".to_owned(), |url| shown(&url));
            return Err(Error::Redirected { status, to, why: *not_followed });
        }
        match status {
            _ if answer.is_unavailable() => {
                Err(Error::Unavailable { status, retry_after: answer.retry_after() })
            }
            400.. => Err(Error::Refused {
                status,
                profile: pass.profile.clone(),
                obstacle: obstacle(answer, begun).filter(|_| self.had_token),
            }),
            _ => Ok(()),
        }
    }
}

/// What stands in the way, as servers say by RFC 6750, and Google in the body besides.
fn obstacle(answer: &Answer, begun: &[u8]) -> Option<Obstacle> {
    let challenge = answer.challenge().unwrap_or_default();
    let reasons = google_reasons(begun);
    let is_said = |known: &[&str]| reasons.iter().any(|reason| known.contains(&reason.as_str()));
    match answer.status {
        401 => Some(Obstacle::Token),
        403 if challenge.error.as_deref() == Some("insufficient_scope")
            || is_said(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"]) =>
        {
            let scopes = Scopes::try_from(challenge.scopes).unwrap_or_default();
            Some(Obstacle::Scopes(scopes))
        }
        403 if is_said(&["SERVICE_DISABLED", "accessNotConfigured"]) => Some(Obstacle::ServiceDisabled),
        403 if is_said(&["USER_PROJECT_DENIED"]) => Some(Obstacle::Project),
        _ => None,
    }
}

/// The reasons in an error of a Google API, in its new form (`details`) and its old one (`errors`).
///
/// <https://cloud.google.com/apis/design/errors>
fn google_reasons(body: &[u8]) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let listed =
        ["details", "errors"].map(|name| body["error"][name].as_array().cloned().unwrap_or_default());
    let reason = |it: Value| it["reason"].as_str().map(str::to_owned);
    listed.into_iter().flatten().filter_map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(method: Method) -> Place {
        Place { method, url: "https://a.example/x?q".parse().unwrap(), is_home: true }
    }

    fn led(method: Method, status: u16, to: &str) -> Result<(String, Method, bool), &'static str> {
        let target = place(method).url.join(to).ok();
        place(method).next(status, target).map(|next| (next.url.into(), next.method, next.is_home))
    }

    #[test]
    fn within_one_origin_everything_goes_along_and_elsewhere_nothing() {
        assert_eq!(led(Method::Get, 302, "/y#z"), Ok(("https://a.example/y".into(), Method::Get, true)));
        assert_eq!(led(Method::Head, 307, "https://A.example:443/"), {
            Ok(("https://a.example/".into(), Method::Head, true))
        });
        for elsewhere in
            ["https://b.example/", "https://a.example:444/", "//b.a.example/", "https://a.example./"]
        {
            assert!(!led(Method::Get, 302, elsewhere).unwrap().2, "{elsewhere}");
        }
        let away = Place { is_home: false, ..place(Method::Get) };
        assert!(!away.next(302, "https://a.example/".parse().ok()).unwrap().is_home);
    }

    #[test]
    fn nothing_but_reading_is_done_elsewhere_and_nothing_at_all_without_tls() {
        for status in [301, 302, 307, 308] {
            for method in [Method::Post, Method::Put, Method::Patch, Method::Delete, Method::Options] {
                assert!(led(method, status, "/y").is_err(), "{method} {status}");
            }
        }
        assert_eq!(led(Method::Post, 303, "/y").unwrap().1, Method::Get);
        for refused in
            ["http://a.example/", "ftp://a.example/", "https://u@a.example/", "javascript:x", "file:///x"]
        {
            assert!(led(Method::Get, 302, refused).is_err(), "{refused}");
        }
        assert!(place(Method::Get).next(302, None).is_err());
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_query() {
        assert_eq!(
            shown(&"https://a.example:8443/b?token=c#d".parse().unwrap()),
            "https://a.example:8443/b?…"
        );
    }

    #[test]
    fn the_reasons_of_google_are_found_in_either_form() {
        let body = br#"{"error": {"code": 403, "errors": [{"reason": "insufficientPermissions"}],
            "details": [{"@type": "x"}, {"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}"#;

        assert_eq!(google_reasons(body), ["ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"]);
        for other in [&b"{"[..], b"[]", b"{\"error\": \"access_denied\"}", b"<html>"] {
            assert_eq!(google_reasons(other), Vec::<String>::new());
        }
    }
}
