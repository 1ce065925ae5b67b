//! Which of the words is the profile, which the method, and which the URL.

use url::Url;

use crate::cli::error::Failure;
use crate::domain::ProfileName;
use crate::oauth::resource::Method;

/// The words of the command line, told apart.
#[derive(Debug, PartialEq)]
pub(super) struct Words {
    name: Option<ProfileName>,
    pub(super) method: Option<Method>,
    pub(super) url: Url,
}

impl Words {
    /// Tells the words apart: the URL is last, a method is in capitals, and the name of a profile is not.
    pub(super) fn read<'a>(words: impl IntoIterator<Item = &'a String>) -> Result<Self, Failure> {
        let words: Vec<&str> = words.into_iter().map(String::as_str).collect();
        let Some((last, before)) = words.split_last() else { return Err(no_url()) };
        if !last.contains("://") {
            return Err(no_url());
        }
        let url = url(last)?;
        match before {
            [] => Ok(Self { name: None, method: None, url }),
            [word] => match method(word) {
                Some(method) => Ok(Self { name: None, method: Some(method), url }),
                None => Ok(Self { name: Some(name(word)?), method: None, url }),
            },
            [first, second] => {
                let method = method(second).ok_or_else(|| no_method(second))?;
                Ok(Self { name: Some(name(first)?), method: Some(method), url })
            }
            _ => Err(no_url()),
        }
    }

    /// The profile that was typed, as a word or as an option.
    pub(super) fn profile(&self, option: Option<ProfileName>) -> Result<Option<ProfileName>, Failure> {
        match (&self.name, option) {
            (Some(_), Some(_)) => {
                Err(Failure::usage("the profile is named twice").hint("leave out NAME or `--profile`"))
            }
            (name, option) => Ok(name.clone().or(option)),
        }
    }
}

fn no_url() -> Failure {
    Failure::usage("no URL was named")
        .hint("write `vault api [NAME] [METHOD] URL`, where the URL begins with https://")
}

fn no_method(word: &str) -> Failure {
    let names = Method::ALL.map(Method::as_str).join(", ");
    let failure = Failure::usage(format!("`{word}` is no method"));
    match method(&word.to_ascii_uppercase()) {
        Some(meant) => failure.hint(format!("write it in capitals: {meant}")),
        None => failure.hint(format!("the methods are {names}")),
    }
}

fn method(word: &str) -> Option<Method> {
    Method::ALL.into_iter().find(|method| method.as_str() == word)
}

fn name(word: &str) -> Result<ProfileName, Failure> {
    let looks_like_a_method = !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase());
    match word.parse() {
        Ok(name) => Ok(name),
        Err(_) if looks_like_a_method => Err(no_method(word)),
        Err(error) => Err(Failure::usage(format!("`{word}` is neither a profile nor a method: {error}"))),
    }
}

/// What other programs would pass over in silence is a mistake, or somebody's trick.
fn url(word: &str) -> Result<Url, Failure> {
    let refused = |what: String| {
        Err(Failure::usage(what).hint("write it as https://host/path, and blanks in it as %20"))
    };
    if word.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return refused("the URL has blanks, backslashes or control characters in it".to_owned());
    }
    Url::parse(word).or_else(|error| refused(format!("the URL cannot be understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<(Option<String>, Option<Method>), String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let read = Words::read(&words).map_err(|failure| failure.messages.join(" "))?;
        assert_eq!(read.url.as_str(), "https://a.example/x");
        Ok((read.name.map(|name| name.to_string()), read.method))
    }

    #[test]
    fn words_are_told_apart_by_their_looks() {
        const URL: &str = "https://a.example/x";
        assert_eq!(read(&[URL]), Ok((None, None)));
        assert_eq!(read(&["work", URL]), Ok((Some("work".into()), None)));
        assert_eq!(read(&["POST", URL]), Ok((None, Some(Method::Post))));
        assert_eq!(read(&["get", URL]), Ok((Some("get".into()), None)));
        assert_eq!(read(&["work", "PUT", URL]), Ok((Some("work".into()), Some(Method::Put))));
        for wrong in [
            &[][..],
            &["work"],
            &["GET"],
            &[URL, "GET"],
            &["GET", "work", URL],
            &["work", "put", URL],
            &["work", "BREW", URL],
            &["BREW", URL],
            &["work", "a.example/x"],
            &["https://a.example/x y"],
            &["https://a.example/\nx"],
            &["https://a.example\\@b.example/x"],
            &["https://"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
