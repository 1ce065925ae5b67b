//! Unmodified programs and the libraries they were written with, under `vault exec`.

use std::cell::RefCell;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::holder::wait_until;
use crate::home::Home;
use crate::libraries::{Door, Library, everyone};
use crate::provider::{Config, Provider};

/// What every profile here was granted.
pub const GRANTED: &str = "openid";

/// What none was.
const NOT_GRANTED: &str = "https://www.googleapis.com/auth/drive.readonly";

/// The life of a token that is not to last, in seconds.
pub const SHORT: u64 = 1;

/// A user with a profile `work`, and with a project: without one, the library for Node starts gcloud to learn it.
pub fn logged_in_at(config: Config) -> (Provider, Home) {
    let provider = Provider::start(config);
    let home = Home::logged_in(&provider);
    home.run(&["edit", "work", "--project", "my-project"]).expect_code(0);
    (provider, home)
}

#[test]
fn a_python_program_goes_on_with_a_renewed_token() {
    for door in [Door::Broker, Door::Metadata] {
        goes_on_past_the_expiry(Library::python(), door);
    }
}

#[test]
fn a_node_program_goes_on_with_a_renewed_token() {
    for door in [Door::Broker, Door::Metadata] {
        goes_on_past_the_expiry(Library::node(), door);
    }
}

#[test]
fn a_go_program_goes_on_with_a_renewed_token() {
    goes_on_past_the_expiry(Library::go(), Door::Metadata);
}

#[test]
fn a_java_program_goes_on_with_a_renewed_token() {
    goes_on_past_the_expiry(Library::java(), Door::Metadata);
}

#[test]
fn a_rust_program_goes_on_with_a_renewed_token() {
    // The library looks at a short-lived token every ten seconds, which are better waited for once.
    thread::scope(|scope| {
        for door in [Door::Broker, Door::Metadata] {
            scope.spawn(move || goes_on_past_the_expiry(Library::rust(), door));
        }
    });
}

/// The same program, before and after its token has died: what it gets then works, and cost one refresh.
fn goes_on_past_the_expiry(library: Option<Library>, door: Door) {
    let Some(library) = library else { return };
    let (provider, home) = logged_in_at(Config { expires_in: SHORT, ..Config::default() });
    let program = RefCell::new(library.run_by_exec(&home, "work", door, &[GRANTED]));
    let first = program.borrow_mut().token();
    assert!(provider.issued().contains(&first));

    provider.configure(|config| config.expires_in = 3600);
    provider.advance(Duration::from_secs(SHORT));
    wait_until("a token that works", || provider.is_live_access_token(&program.borrow_mut().token()));

    let second = program.borrow_mut().token();
    let neighbour = library.run_by_exec(&home, "work", door, &[GRANTED]).token();
    let live: Vec<_> = provider.issued().into_iter().filter(|it| provider.is_live_access_token(it)).collect();
    assert_eq!((&neighbour, live), (&second, vec![second.clone()]), "{library:?} cost more than one refresh");
}

#[test]
fn whoever_asks_for_more_than_was_granted_is_told_what_and_what_to_type() {
    let (_provider, home) = logged_in_at(Config::default());
    // That for Java, of the age that Debian has it, does not tell a metadata server what it needs.
    for (library, door) in everyone().filter(|(library, _)| library.name() != "java") {
        let said = library.run_by_exec(&home, "work", door, &[GRANTED, NOT_GRANTED]).error();

        assert!(said.contains(NOT_GRANTED) && said.contains("vault login work"), "{library:?}: {said}");
    }
}

#[test]
fn a_proxy_is_not_asked_for_what_is_on_this_machine() {
    let (provider, mut home) = logged_in_at(Config::default());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        // Nobody is there.
        home.set(name, "http://127.0.0.1:1");
    }
    home.set("no_proxy", "intranet.example");
    for (library, door) in everyone() {
        let token = library.run_by_exec(&home, "work", door, &[GRANTED]).token();

        assert!(provider.is_live_access_token(&token), "{library:?}");
    }
}

#[test]
fn the_login_of_gcloud_that_a_user_has_already_is_put_aside() {
    let (provider, home) = logged_in_at(Config::default());
    write_login_of_gcloud(&home);
    for (library, door) in everyone() {
        // Those look nowhere else, and the user is told.
        let looks_at_home = door == Door::Metadata && ["go", "rust"].contains(&library.name());
        let mut program = library.run_by_exec(&home, "work", door, &[GRANTED]);
        if looks_at_home {
            let _ = program.error();
            assert!(program.said().contains("application_default_credentials.json"), "{}", program.said());
        } else {
            assert!(provider.is_live_access_token(&program.token()), "{library:?}");
        }
    }
}

/// As `gcloud auth application-default login` leaves it, for an account that nobody has.
fn write_login_of_gcloud(home: &Home) {
    fs::create_dir_all(home.path(".config/gcloud")).unwrap();
    let login = json!({
        "type": "authorized_user",
        "client_id": "x.apps.googleusercontent.com",
        "client_secret": "x",
        "refresh_token": "1//x",
        "token_uri": "http://127.0.0.1:1/",
    });
    home.write(".config/gcloud/application_default_credentials.json", login.to_string());
}

#[test]
fn programs_of_two_profiles_side_by_side_get_each_their_own_token() {
    let (provider, home) = logged_in_at(Config::default());
    provider.next_user("other@example.com");
    home.add_profile(&provider, "other").expect_code(0);
    let tokens = ["work", "other"].map(|name| home.run(&["token", name]).answer());
    assert_ne!(tokens[0], tokens[1]);
    for (library, door) in everyone().filter(|(library, _)| library.name() == "python") {
        let mut programs =
            ["work", "other"].map(|profile| library.run_by_exec(&home, profile, door, &[GRANTED]));

        for _ in 0..2 {
            assert_eq!(programs.each_mut().map(|program| program.token()), tokens, "{library:?}");
        }
    }
}
