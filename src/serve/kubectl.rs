//! kubectl's credential plugins, as every client of Kubernetes runs them: a question in a variable, an
//! answer on standard output.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// What a client wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The version that it speaks, and expects in the answer.
    pub version: Version,
    /// Whether the person may be asked something.
    pub is_interactive: bool,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Version {
    /// Since Kubernetes 1.22.
    #[default]
    #[serde(rename = "client.authentication.k8s.io/v1")]
    V1,
    /// Before, and still spoken.
    #[serde(rename = "client.authentication.k8s.io/v1beta1")]
    V1Beta1,
}

impl Version {
    fn named(name: &str) -> Option<Self> {
        match name {
            "client.authentication.k8s.io/v1" => Some(Self::V1),
            "client.authentication.k8s.io/v1beta1" => Some(Self::V1Beta1),
            _ => None,
        }
    }
}

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not the JSON object that the protocol describes.
    #[error("KUBERNETES_EXEC_INFO cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It asks for something else.
    #[error("KUBERNETES_EXEC_INFO asks for a {0:?}, not for an ExecCredential")]
    OtherKind(String),
    /// Its version is none of those that we speak.
    #[error("{0:?} is not spoken here, only client.authentication.k8s.io/v1 and /v1beta1")]
    OtherVersion(String),
}

/// `ExecCredential` as it comes in. What it says of the cluster is no matter of ours: nothing of it decides
/// which token is answered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    api_version: String,
    kind: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    interactive: bool,
}

impl Question {
    /// The question of a client that sets no variable: some ask that way, and take the newest version.
    /// Nobody is asked anything for it.
    pub fn unsaid() -> Self {
        Self { version: Version::default(), is_interactive: false }
    }

    /// Reads the value of `KUBERNETES_EXEC_INFO`.
    ///
    /// # Errors
    ///
    /// If it is no `ExecCredential`, or one of a version that is not spoken here.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let input: Input = serde_json::from_str(text)?;
        if input.kind != "ExecCredential" {
            return Err(Error::OtherKind(input.kind));
        }
        let version = Version::named(&input.api_version).ok_or(Error::OtherVersion(input.api_version))?;
        Ok(Self { version, is_interactive: input.spec.interactive })
    }

    /// The answer that hands over an access token or an ID token: one object, on one line.
    pub fn answer(&self, token: &SecretString, expires_at: Option<Timestamp>) -> SecretString {
        let output = Output {
            api_version: self.version,
            kind: "ExecCredential",
            status: Status {
                token: token.expose_secret(),
                expiration_timestamp: expires_at.map(in_whole_seconds),
            },
        };
        serde_json::to_string(&output).expect("an answer is plain text").into()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    api_version: Version,
    kind: &'static str,
    status: Status<'a>,
}

/// Without a time, the client keeps the token until a server refuses it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<Timestamp>,
}

/// RFC 3339 without a fraction, as Kubernetes writes its own times.
fn in_whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn question(version: &str, spec: &Value) -> Result<Question, Error> {
        let api_version = format!("client.authentication.k8s.io/{version}");
        Question::parse(
            &json!({"kind": "ExecCredential", "apiVersion": api_version, "spec": spec}).to_string(),
        )
    }

    fn answered(question: &Question, expires_at: Option<&str>) -> Value {
        let answer = question.answer(&"ya29.canary".into(), expires_at.map(|time| time.parse().unwrap()));
        serde_json::from_str(answer.expose_secret()).unwrap()
    }

    #[test]
    fn the_answer_speaks_the_version_of_the_question() {
        for version in ["v1", "v1beta1"] {
            let question = question(version, &json!({"interactive": false})).unwrap();

            let answer = answered(&question, Some("2026-11-22T15:00:00.75Z"));

            let expected = json!({
                "apiVersion": format!("client.authentication.k8s.io/{version}"),
                "kind": "ExecCredential",
                "status": {"token": "ya29.canary", "expirationTimestamp": "2026-11-22T15:00:00Z"},
            });
            assert_eq!(answer, expected);
        }
    }

    #[test]
    fn a_life_that_nobody_knows_is_not_made_up() {
        let answer = answered(&Question::unsaid(), None);

        assert_eq!(answer["status"], json!({"token": "ya29.canary"}));
        assert_eq!(answer["apiVersion"], "client.authentication.k8s.io/v1");
    }

    #[test]
    fn a_person_is_asked_only_where_the_question_allows_it() {
        let is_interactive = |spec| question("v1", &spec).unwrap().is_interactive;

        assert!(is_interactive(json!({"interactive": true})));
        assert!(!is_interactive(json!({"interactive": false})));
        assert!(!is_interactive(json!({"cluster": {"server": "https://k8s.example", "config": null}})));
        assert!(!Question::unsaid().is_interactive);
    }

    #[test]
    fn other_versions_and_whatever_is_no_question_are_refused() {
        assert!(matches!(question("v1alpha1", &json!({})), Err(Error::OtherVersion(_))));
        assert!(matches!(question("v2", &json!({})), Err(Error::OtherVersion(_))));
        let kind = r#"{"kind":"Config","apiVersion":"client.authentication.k8s.io/v1"}"#;
        assert!(matches!(Question::parse(kind), Err(Error::OtherKind(_))));
        let twice =
            r#"{"kind":"ExecCredential","kind":"Config","apiVersion":"client.authentication.k8s.io/v1"}"#;
        let interactive = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":"yes"}}"#;
        for text in ["", "{}", "[]", "null", "token", "{\"kind\":\"ExecCredential\"}", twice, interactive] {
            assert!(matches!(Question::parse(text), Err(Error::Malformed(_))), "{text}");
        }
    }
}
