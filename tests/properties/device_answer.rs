//! The answer that begins a login by a device code: what comes out of it can be shown and waited for, and an error
//! repeats nothing of it.

use std::time::Duration;

use secrecy::ExposeSecret;
use vault::oauth::device::read;

/// What is no code of eight letters, but could still be typed.
const MAX_USER_CODE: usize = 64;

/// Holds whatever `answer` is. Says whether there is a code in it.
pub fn holds(answer: &[u8]) -> bool {
    let begun = match read(answer, false) {
        Ok(begun) => begun,
        Err(error) => {
            crate::clean::assert_error(&error);
            return false;
        }
    };
    assert!(crate::keys::stand_once(answer), "readers differ on which of two counts");
    let code = &begun.user_code;
    assert!(!code.is_empty() && code.chars().count() <= MAX_USER_CODE, "{code:?}");
    assert!(!code.chars().any(char::is_control) && code.trim() == code, "{code:?}");
    assert!(begun.device_code.expose_secret().bytes().all(|b| matches!(b, 0x20..=0x7e)));
    for url in [Some(&begun.verification_uri), begun.verification_uri_complete.as_ref()].into_iter().flatten()
    {
        assert_eq!((url.scheme(), url.origin()), ("https", begun.verification_uri.origin()), "{url}");
        assert!(url.username().is_empty() && url.as_str().bytes().all(|b| b.is_ascii_graphic()), "{url}");
    }
    assert!((Duration::from_secs(1)..=Duration::from_secs(60)).contains(&begun.interval));
    assert!(begun.expires_in <= Duration::from_secs(24 * 60 * 60));
    true
}
