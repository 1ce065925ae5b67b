//! `vault add-profile` and `vault login`.

use crate::home::Home;
use crate::provider::{Config, Provider};

#[test]
fn a_new_profile_is_logged_in_and_linked_to_the_account_that_consented() {
    let provider = Provider::start(Config::default());
    let home = Home::new();

    home.add_profile(&provider, "work").expect_code(0).expect_said("logged in as me@example.com");

    let shown = home.run(&["show", "work", "--json"]).answer();
    assert!(shown.contains("\"subject\": \"1001\""), "{shown}");
}
