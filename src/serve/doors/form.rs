//! The parameters of a request for a token.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::domain::Scopes;
use crate::serve::reply::Reply;

/// Parameters in the format of forms.
pub(super) struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    pub(super) fn read(body: &'a [u8]) -> Self {
        Self(form_urlencoded::parse(body).collect())
    }

    /// The value of a parameter that may be given once (RFC 6749, 3.2). An empty one counts as none.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Reply> {
        let mut found = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_ref());
        match (found.next(), found.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            _ => Err(Reply::error("invalid_request", &format!("the parameter {name} is given twice"))),
        }
    }
}

/// The scopes of a parameter, in which `separator` stands between them; none if it is not given or empty.
pub(super) fn scopes(text: Option<&str>, separator: char) -> Result<Option<Scopes>, Reply> {
    let Some(text) = text else { return Ok(None) };
    let list = text.split([separator, ' ']).filter(|scope| !scope.is_empty());
    let scopes = Scopes::try_from(list.map(str::to_owned).collect::<Vec<_>>())
        .map_err(|error| Reply::error("invalid_scope", &error.to_string()))?;
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

/// Whether a body is in the format of forms.
pub(super) fn is_form(format: &str) -> bool {
    format.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
