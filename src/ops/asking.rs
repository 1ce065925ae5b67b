//! One question to a provider, and once more if its answer was lost.

use std::time::{Duration, Instant};

use super::{Context, Notice};
use crate::oauth;

/// How long the request and its one retry may take together.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// How long the first try may take, so that time is left for the second.
const FIRST_TRY_LIMIT: Duration = Duration::from_secs(20);

/// What a request gets even if what came before it has taken all the time.
const LEAST_LIMIT: Duration = Duration::from_secs(5);

/// Sends a request, and once more at once if its answer was lost.
///
/// That is safe because we hold the lock and have just read the token: nobody else here can know a
/// newer one. If the provider had acted on the first, it either answers the second as well, or the
/// new token was lost with the first answer anyway.
pub(super) fn ask_twice<T>(
    ctx: Context<'_>,
    send: impl Fn(Duration) -> Result<T, oauth::Error>,
) -> Result<T, oauth::Error> {
    ask_twice_since(ctx, ctx.clock.instant(), send)
}

/// The same for what began at `begun`: with all that came before, it takes no longer.
pub(super) fn ask_twice_since<T>(
    ctx: Context<'_>,
    begun: Instant,
    send: impl Fn(Duration) -> Result<T, oauth::Error>,
) -> Result<T, oauth::Error> {
    let spent = ctx.clock.instant().duration_since(begun);
    let first = send(REQUEST_LIMIT.saturating_sub(spent).clamp(LEAST_LIMIT, FIRST_TRY_LIMIT));
    let Err(oauth::Error::Lost { .. }) = first else { return first };
    let left = REQUEST_LIMIT.saturating_sub(ctx.clock.instant().duration_since(begun));
    if left.is_zero() {
        return first;
    }
    ctx.notices.notice(&Notice::AskingAgain);
    match send(left) {
        // The first request may still have been acted upon.
        Err(oauth::Error::Unreachable { .. }) => first,
        second => second,
    }
}
