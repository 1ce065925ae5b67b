//! Whether each provider can be reached, and agrees about the time. Nothing secret is sent.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::check::{Check, Remedy, Subject, Trouble};
use crate::oauth::{self, Method, Request, Response, TransportError};
use crate::ops::{Context, Error, Unlocked};

/// How long one provider may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// So many are asked at once.
const AT_ONCE: usize = 8;

/// Beyond this, dates of logins and of errors are misleading.
const CLOCK_IS_OFF: SignedDuration = SignedDuration::from_secs(60);

/// Beyond this, tokens are taken for fresh that are not, and providers refuse what is signed with a date.
const CLOCK_IS_WRONG: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn checks(ctx: Context<'_>, vault: &Unlocked, is_offline: bool) -> Vec<Check> {
    let providers = providers(ctx, vault);
    let skipped = |why: &str| ["provider", "clock"].map(|it| Check::skipped(it, Subject::None, why)).into();
    if is_offline {
        return skipped("`--offline` was said");
    }
    if providers.is_empty() {
        return skipped("there is no client that names a provider");
    }
    let providers: Vec<(String, Url)> = providers.into_iter().collect();
    providers.chunks(AT_ONCE).flat_map(|some| ask_all(ctx, some)).collect()
}

/// The token endpoints of verified clients, by host: nothing is sent to where a changed file says.
fn providers(ctx: Context<'_>, vault: &Unlocked) -> BTreeMap<String, Url> {
    let names = ctx.store.clients().unwrap_or_default();
    let clients = names.iter().filter_map(|name| vault.client_named(ctx, name).ok());
    clients.map(|client| bare(client.facts.endpoints.token)).collect()
}

/// What may be secret in an address stands in its query.
fn bare(mut url: Url) -> (String, Url) {
    url.set_query(None);
    let host = url.host_str().unwrap_or_default();
    let name = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    (name, url)
}

fn ask_all(ctx: Context<'_>, providers: &[(String, Url)]) -> Vec<Check> {
    let (http, clock) = (ctx.http, ctx.clock);
    let ask = |url: &Url| {
        let request =
            Request { method: Method::Get, url: url.clone(), authorization: None, timeout: TIMEOUT };
        let before = clock.now();
        let answer = http.send(&request);
        (answer, before, clock.now())
    };
    let ask = &ask;
    thread::scope(|scope| {
        let asked: Vec<_> =
            providers.iter().map(|(host, url)| (host, scope.spawn(move || ask(url)))).collect();
        let answered = asked.into_iter().filter_map(|(host, thread)| Some((host, thread.join().ok()?)));
        answered.flat_map(|(host, (answer, before, after))| of_answer(host, answer, before, after)).collect()
    })
}

/// Whatever it answers to a request that makes no sense to it: it was reached.
fn of_answer(
    host: &str,
    answer: Result<Response, TransportError>,
    before: Timestamp,
    after: Timestamp,
) -> Vec<Check> {
    let subject = Subject::Host(host.to_owned());
    match answer {
        Ok(answer) if answer.is_unavailable() => {
            let found = format!("says that it cannot answer now (HTTP status {})", answer.status);
            let check = Check::warning("provider", subject.clone(), found).remedy(Remedy::TryLater);
            vec![check, clock(subject, answer.date, before, after)]
        }
        Ok(answer) => {
            let check = Check::ok("provider", subject.clone(), "answers");
            vec![check, clock(subject, answer.date, before, after)]
        }
        Err(error) => {
            let error = Error::OAuth(oauth::Error::from(error));
            let check = Check::bad("provider", subject.clone(), Trouble::Later, "cannot be reached");
            vec![check.because(error), Check::skipped("clock", subject, "the provider did not say its time")]
        }
    }
}

/// Compares our time with the provider's, who answered between `before` and `after`.
fn clock(subject: Subject, date: Option<Timestamp>, before: Timestamp, after: Timestamp) -> Check {
    let Some(date) = date else {
        return Check::skipped("clock", subject, "the provider did not say its time");
    };
    // It says whole seconds.
    let second = SignedDuration::from_secs(1);
    let (ahead, behind) = (before.duration_since(date) - second, date.duration_since(after));
    let (off, way) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    if off <= SignedDuration::ZERO {
        return Check::ok("clock", subject, "agrees with the provider's");
    }
    let found = format!("is {} seconds {way} the provider's", off.as_secs().max(1));
    match () {
        () if off > CLOCK_IS_WRONG => {
            Check::bad("clock", subject, Trouble::Later, found).remedy(Remedy::SetClock)
        }
        () if off > CLOCK_IS_OFF => Check::warning("clock", subject, found).remedy(Remedy::SetClock),
        () => Check::ok("clock", subject, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn outcome(date: i64) -> Outcome {
        clock(Subject::None, Some(at(date)), at(1_000_000), at(1_000_002)).outcome
    }

    #[test]
    fn a_minute_warns_and_five_are_wrong_in_both_directions() {
        assert_eq!(outcome(1_000_001), Outcome::Ok);
        for (date, expected) in [
            (1_000_062, Outcome::Ok),
            (1_000_063, Outcome::Warning),
            (1_000_302, Outcome::Warning),
            (1_000_303, Outcome::Bad(Trouble::Later)),
            (999_939, Outcome::Ok),
            (999_938, Outcome::Warning),
            (999_699, Outcome::Warning),
            (999_698, Outcome::Bad(Trouble::Later)),
        ] {
            assert_eq!(outcome(date), expected, "{date}");
        }
    }

    #[test]
    fn an_address_is_asked_without_its_query() {
        let (host, url) = bare("https://as.example:8443/token?p=canary".parse().unwrap());

        assert_eq!((host.as_str(), url.as_str()), ("as.example:8443", "https://as.example:8443/token"));
    }
}
