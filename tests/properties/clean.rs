//! What an error may say.

use std::error::Error;

/// Characters of one sentence of ours with one text of a server, which is cut at 300.
const MAX_SENTENCE: usize = 1000;

/// Neither it nor its causes have a control character or no end.
pub fn assert_error(error: &dyn Error) {
    for sentence in sentences(error) {
        assert!(!sentence.contains(|c: char| c.is_control()), "{sentence:?}");
        assert!(sentence.chars().count() < MAX_SENTENCE, "{sentence:?}");
    }
}

/// No form of it shows `secret`.
pub fn assert_does_not_show(error: &dyn Error, secret: &str) {
    let debug = format!("{error:?}");
    for sentence in sentences(error).chain([debug]) {
        assert!(!sentence.contains(secret), "{sentence:?}");
    }
}

fn sentences(error: &dyn Error) -> impl Iterator<Item = String> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let sentence = next?.to_string();
        next = next?.source();
        Some(sentence)
    })
}
