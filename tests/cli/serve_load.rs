//! A crowd at the port of `vault serve`.

use std::time::Duration;

use crate::load::Load;
use crate::outside;
use crate::provider::Endpoint;
use crate::served::{Served, expect_status, token};

#[test]
fn a_thousand_requests_cost_one_refresh_and_no_error() {
    let served = Served::new();
    let server = served.host.parse().unwrap();
    // Nine askers with this pace ask a thousand times in a second.
    let (times, pace) =
        if outside::is_exhaustive() { (10_000, Some(Duration::from_millis(9))) } else { (1_000, None) };

    let tokens: Vec<String> = std::thread::scope(|scope| {
        let crowds: Vec<_> = served
            .doors()
            .into_iter()
            .map(|(door, request)| {
                let look = move |_, answer| {
                    let reply = String::from_utf8(answer).unwrap();
                    expect_status(&reply, &["200"], door);
                    token(&reply)
                };
                scope.spawn(move || {
                    let load = Load { server, request: request.as_bytes(), askers: 3, pace };
                    load.run(times / 3, look).unwrap()
                })
            })
            .collect();
        crowds.into_iter().flat_map(|crowd| crowd.join().unwrap()).collect()
    });

    assert!(served.provider.is_live_access_token(&tokens[0]));
    assert!(tokens.iter().all(|token| *token == tokens[0]), "they were given different tokens");
    assert_eq!(served.provider.count(Endpoint::Token), 1);
    served.end();
}
