//! Unmodified programs and the libraries they were written with, asking `vault serve`: one server for all of them,
//! and what their users read when there is no token.

use serde_json::json;

use crate::audit;
use crate::google_clients::{GRANTED, logged_in_at};
use crate::home::Home;
use crate::libraries::{Door, Library, everyone};
use crate::provider::{Config, Provider};
use crate::serving::Serving;

/// A user whose token has too little life left to be given out.
fn expired() -> (Provider, Home) {
    logged_in_at(Config { expires_in: 30, ..Config::default() })
}

/// What each library says that asks `vault serve` in this home, and how often the vault was asked for it.
fn for_each(home: &Home, check: impl Fn(&Library, &str, usize)) {
    for (library, door) in everyone() {
        let serving = Serving::start(home, &["work", "--adc", door.name()]);
        let before = refusals(home);

        let said = library.run_with(home, &serving.variables(0), &[GRANTED]).error();

        check(&library, &said, refusals(home) - before);
    }
}

/// How often the vault has refused a token to `vault serve`.
fn refusals(home: &Home) -> usize {
    audit::lines(home).iter().filter(|line| line["what"] == "serve" && line["result"] != "ok").count()
}

/// Asserts that a library has not asked again and again before its user read anything. At the metadata server, facts
/// are asked for beside the token. The library for Node tries three times more where a server cannot help it, which
/// takes it two seconds.
#[track_caller]
fn assert_at_once(library: &Library, asked: usize) {
    assert!(asked <= 2 || library.name() == "node", "{library:?} asks {asked} times in vain");
}

#[test]
fn a_login_that_is_dead_is_said_at_once_with_what_to_type() {
    let (provider, home) = expired();
    provider.revoke_user_grant("desktop", "me@example.com");
    for_each(&home, |library, said, asked| {
        assert!(said.contains("vault login work"), "{library:?}: {said}");
        assert_at_once(library, asked);
    });
}

#[test]
fn a_locked_vault_is_said_at_once_with_what_to_type() {
    let (_provider, home) = logged_in_at(Config::default());
    let (here, away) = (home.path("identity.txt"), home.path("away.txt"));
    for (library, door) in everyone() {
        let serving = Serving::start(&home, &["work", "--adc", door.name()]);
        std::fs::rename(&here, &away).unwrap();
        let before = refusals(&home);
        let mut program = library.run_with(&home, &serving.variables(0), &[GRANTED]);

        let said = program.error();

        std::fs::rename(&away, &here).unwrap();
        assert!(said.contains("vault unlock") || said.contains("identity"), "{library:?}: {said}");
        assert_at_once(&library, refusals(&home) - before);
    }
}

#[test]
fn a_provider_that_cannot_be_reached_is_said_at_once() {
    let (provider, home) = expired();
    drop(provider);
    for_each(&home, |library, said, asked| {
        assert!(said.contains("127.0.0.1"), "{library:?}: {said}");
        assert_at_once(library, asked);
    });
}

#[test]
fn programs_in_several_languages_share_one_server_and_one_refresh() {
    let (provider, home) = expired();
    provider.configure(|config| config.expires_in = 3600);
    let serving = Serving::start(&home, &["work"]);
    provider.forget_requests();
    let libraries = everyone().filter(|(_, door)| *door == Door::Broker).map(|(library, _)| library);
    let mut programs: Vec<_> =
        libraries.map(|library| library.run_with(&home, &serving.variables(0), &[GRANTED])).collect();

    let tokens: Vec<String> = programs.iter_mut().map(|program| program.token()).collect();

    assert!(
        tokens.iter().all(|token| *token == tokens[0] && provider.is_live_access_token(token)),
        "{tokens:?}"
    );
    assert_eq!(crate::expiry::refreshes(&provider), usize::from(!tokens.is_empty()));
}

#[test]
fn a_login_file_that_names_the_token_url_serves_libraries_which_refuse_the_broker() {
    let (provider, home) = logged_in_at(Config::default());
    let serving = Serving::start(&home, &["work"]);
    let file = json!({
        "type": "authorized_user",
        "client_id": "vault",
        "client_secret": "vault",
        "refresh_token": "vault",
        "token_uri": serving.fact(0, "token_url"),
    });
    let file = home.write("login.json", file.to_string());
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS".to_owned(), file.to_str().unwrap().to_owned())];
    for library in [Library::go(), Library::rust()].into_iter().flatten() {
        let token = library.run_with(&home, &variables, &[GRANTED]).token();

        assert!(provider.is_live_access_token(&token), "{library:?}");
    }
}
