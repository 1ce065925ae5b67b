//! A program that asks for its tokens as Google's libraries do, and knows nothing of vault: it reads the file
//! of its Application Default Credentials, and exchanges what stands in another for an access token (RFC 8693).

use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::provider::browser;
use crate::world::Result;

/// The name under which the demo is such a program.
pub(crate) const NAME: &str = "report";

/// Whether we are to be that program.
pub(crate) fn is_called() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name().is_some_and(|name| name == NAME)
}

/// Works longer than one token lasts.
pub(crate) fn play() -> ExitCode {
    match work() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Result<String> {
    let (first, life) = ask()?;
    // It was told in whole seconds, of which the last may have just begun.
    thread::sleep(Duration::from_secs(life + 1));
    let (second, _) = ask()?;
    let outcome = if first == second { "got the same again" } else { "got another one" };
    Ok(format!("my token worked for {life} s; I asked again and {outcome}"))
}

/// A token, and how many seconds it works.
fn ask() -> Result<(String, u64)> {
    let path = std::env::var("GOOGLE_APPLICATION_CREDENTIALS")?;
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let text = |pointer: &str| file.pointer(pointer).and_then(Value::as_str).ok_or("the file is another one");
    let proof = std::fs::read_to_string(text("/credential_source/file")?)?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", proof.as_str()),
        ("subject_token_type", text("/subject_token_type")?),
        ("audience", text("/audience")?),
    ];
    let answer = browser::post(text("/token_url")?, &form, &[])?.json();
    let token = answer["access_token"].as_str().ok_or_else(|| answer.to_string())?;
    Ok((token.to_owned(), answer["expires_in"].as_u64().ok_or("the token has no end")?))
}
