//! `vault token`: what it costs, and what it survives.

use crate::home::Home;
use crate::provider::{Config, Endpoint, Provider};

#[test]
fn a_fresh_token_costs_no_request() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let before = provider.count(Endpoint::Token);

    let token = home.run(&["token", "work"]).answer();

    assert!(provider.is_live_access_token(&token));
    assert_eq!(provider.count(Endpoint::Token), before);
}
