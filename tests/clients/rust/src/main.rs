//! Asks google-cloud-auth for a token, once for each line of standard input.

use std::error::Error;

use google_cloud_auth::credentials::{AccessTokenCredentials, Builder};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    rustls::crypto::ring::default_provider().install_default().expect("nobody else installs one");
    let mut credentials = None;
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        match ask(&mut credentials).await {
            Ok(token) => println!("token {token}"),
            Err(error) => println!("error {}", in_one_line(&*error)),
        }
    }
    Ok(())
}

async fn ask(credentials: &mut Option<AccessTokenCredentials>) -> Result<String, Box<dyn Error>> {
    if credentials.is_none() {
        let scopes: Vec<String> = std::env::args().skip(1).collect();
        let builder =
            if scopes.is_empty() { Builder::default() } else { Builder::default().with_scopes(scopes) };
        *credentials = Some(builder.build_access_token_credentials()?);
    }
    let credentials = credentials.as_ref().expect("they were just made");
    Ok(credentials.access_token().await?.token)
}

/// The error with its causes.
fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let said: Vec<String> = causes.map(ToString::to_string).collect();
    said.join(": ").split_whitespace().collect::<Vec<_>>().join(" ")
}
