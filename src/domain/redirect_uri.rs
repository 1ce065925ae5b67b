//! Where the browser comes back to.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// A redirect URI as it is registered.
///
/// Providers compare it as text (RFC 9700, 2.1), and a URL that was parsed and written again may have
/// gained a slash. So the text is kept beside the URL that it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri {
    text: String,
    url: Url,
}

impl RedirectUri {
    /// The text, exactly as it is registered.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The URL that it means.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl Deref for RedirectUri {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.url
    }
}

impl From<Url> for RedirectUri {
    fn from(url: Url) -> Self {
        Self { text: url.to_string(), url }
    }
}

impl FromStr for RedirectUri {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, url::ParseError> {
        Ok(Self { text: text.to_owned(), url: text.parse()? })
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = url::ParseError;

    fn try_from(text: String) -> Result<Self, url::ParseError> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.text
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registered_text_is_kept_to_the_letter() {
        let uri: RedirectUri = "http://localhost:8085".parse().unwrap();

        assert_eq!(uri.text(), "http://localhost:8085");
        assert_eq!(uri.path(), "/");
    }
}
