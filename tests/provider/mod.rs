//! An OAuth 2.0 and OpenID Connect authorization server in a thread, for the tests and the demo.
//!
//! It checks what a real one checks and remembers what it has issued; scripted faults spoil only
//! how a request reaches it and how its answer leaves. Plain http or https on 127.0.0.1, a port of
//! its own, one request per connection, one thread per connection. Include it with
//! `#[path = "../tests/provider/mod.rs"] mod provider;` (from `tests/*.rs`: `mod provider;`).
//!
//! ```ignore
//! let provider = Provider::start(Config::default());            // stops when dropped
//! provider.next_user("other@example.com");                      // who consents next
//! let page = browser::consent(&url_printed_by_the_program)?;    // plays the person
//! provider.script(Endpoint::Token, vec![Fault::CommitThenReset, Fault::revoked()]);
//! assert_eq!(provider.count(Endpoint::Token), 2);
//! assert!(provider.families_revoked().is_empty());
//! ```
//!
//! For https, an authority of the test's own certifies the server, and the program is told of it:
//!
//! ```ignore
//! let authority = Authority::new();
//! let provider = Provider::start_https(Config::default(), authority.certify(HOST));
//! home.set("SSL_CERT_FILE", home.write("ca.pem", authority.pem()).to_str().unwrap());
//! ```
//!
//! Every code and token is unique and listed by [`Provider::issued`], so that a test can look for
//! each of them in everything the program wrote. To wait without sleeping, script
//! [`Fault::CommitThenHold`], then use [`Provider::wait_until_holding`] and [`Provider::release`].
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code, of which each includer uses its part"
)]

mod authorize;
pub mod browser;
mod client_auth;
mod config;
mod consent_page;
mod device;
mod http;
mod id_token;
mod metadata;
mod refusal;
mod resource;
mod revoke;
mod script;
mod server;
mod service_account;
mod signing;
mod site;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod userinfo;
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

pub use config::{AuthMethod, Client, Config, Consent, Echo, Iss, Redirects, Rotation, ServiceAccount, User};
pub use device::Device;
pub use http::{Request, Response};
pub use id_token::IdTokens;
pub use script::{Endpoint, Fault};
pub use signing::SigningKey;
pub use site::Site;
pub use state::{Revoked, RevokedBecause};
pub use tls::{Authority, HOST, Tls};
pub use wire::Wire;

use server::Shared;

/// Who shares the state of a server that serves nobody: its [`Provider`], and the acceptor.
const HOLDERS: usize = 2;

/// A running authorization server; dropping it stops it and wakes every request it holds.
pub struct Provider {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

/// What a server remembered at some moment.
pub struct Memory(state::State);

impl Provider {
    /// Starts a server of plain http on 127.0.0.1 and a free port.
    pub fn start(config: Config) -> Self {
        Self::listen(config, None, Ipv4Addr::LOCALHOST.into())
    }

    /// Starts a server of https on 127.0.0.1 and a free port, which goes by the host of `tls`.
    pub fn start_https(config: Config, tls: Tls) -> Self {
        Self::listen(config, Some(tls), Ipv4Addr::LOCALHOST.into())
    }

    /// The same on ::1, where there is IPv6.
    pub fn start_https_on_ipv6(config: Config, tls: Tls) -> Self {
        Self::listen(config, Some(tls), Ipv6Addr::LOCALHOST.into())
    }

    fn listen(config: Config, tls: Option<Tls>, here: IpAddr) -> Self {
        let (shared, address, acceptor) =
            server::start(config, tls, here).expect("this machine has a free port");
        Self { shared, address, acceptor: Some(acceptor) }
    }

    /// Speaks under `tls` from now on, or plainly, at the same address.
    pub fn present(&self, tls: impl Into<Option<Tls>>) {
        self.shared.present(tls.into());
    }

    /// Where it listens, whatever it is called.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The issuer, as the metadata and the ID tokens name it.
    pub fn issuer(&self) -> String {
        self.shared.state().issuer()
    }

    /// The absolute URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        self.shared.state().url(path)
    }

    /// Changes the settings of the running server.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        change(&mut self.shared.state().config);
    }

    /// Merges `patch` (RFC 7396) into every further successful answer of `endpoint`.
    pub fn amend(&self, endpoint: Endpoint, patch: Value) {
        self.configure(|config| config.amendments.push((endpoint, patch)));
    }

    /// Lets each next request to `endpoint` meet one of `faults`, after those already waiting.
    pub fn script(&self, endpoint: Endpoint, faults: Vec<Fault>) {
        self.shared.state().script(endpoint, faults);
    }

    /// How many scripted faults no request has met yet.
    pub fn faults_left(&self, endpoint: Endpoint) -> usize {
        self.shared.state().faults_left(endpoint)
    }

    /// Scripts how the person answers at the next consent, after those already waiting.
    pub fn next_consent(&self, consent: Consent) {
        self.shared.state().plan_consent(consent);
    }

    /// Lets `user` (subject or e-mail address) consent next, whatever the login hint says.
    pub fn next_user(&self, user: &str) {
        self.next_consent(Consent::by(user));
    }

    /// The server's time in seconds since 1970.
    pub fn now(&self) -> u64 {
        self.shared.state().now()
    }

    /// Moves the server's clock forward.
    pub fn advance(&self, by: Duration) {
        self.shared.state().advance(by);
    }

    /// Opens a grant as if `user` had consented to `scopes`, and returns its refresh token.
    pub fn grant(&self, client_id: &str, user: &str, scopes: &[&str]) -> String {
        self.shared.state().seed(client_id, user, scopes)
    }

    /// Every request so far, in order of arrival, those that met a fault included.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The requests to one endpoint, in order of arrival.
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.endpoint == endpoint);
        requests
    }

    /// How many bytes of requests have come in, whole or not; a handshake is none.
    pub fn bytes_received(&self) -> u64 {
        self.shared.bytes_received()
    }

    /// How many requests `endpoint` has got, those that met a fault included.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.shared.state().count(endpoint)
    }

    /// Forgets the recorded requests, to count anew.
    pub fn forget_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// Waits until `endpoint` has got `count` requests; false if `timeout` was over before.
    pub fn wait_for(&self, endpoint: Endpoint, count: usize, timeout: Duration) -> bool {
        self.shared.wait_for(endpoint, count, timeout)
    }

    /// Waits until `count` requests are held by [`Fault::Hold`] or [`Fault::CommitThenHold`];
    /// false if `timeout` was over before.
    pub fn wait_until_holding(&self, count: usize, timeout: Duration) -> bool {
        self.shared.gate.wait_until_holding(count, timeout)
    }

    /// Lets go of every request that is held now.
    pub fn release(&self) {
        self.shared.gate.release();
    }

    /// The grants that were revoked, and why, in order.
    pub fn families_revoked(&self) -> Vec<Revoked> {
        self.shared.state().revoked.clone()
    }

    /// The refresh tokens that would work now, oldest first; a spent one in its grace is not one.
    pub fn live_refresh_tokens(&self) -> Vec<String> {
        self.shared.state().live_refresh_tokens()
    }

    /// Whether a protected resource would accept this access token now.
    pub fn is_live_access_token(&self, token: &str) -> bool {
        self.shared.state().live_access_token(token).is_some()
    }

    /// Removes the app's access in the user's account: every grant of this client ends.
    pub fn revoke_user_grant(&self, client_id: &str, user: &str) {
        self.shared.state().revoke_by_user(client_id, user);
    }

    /// Waits until every request that any client has sent by now is dealt with, also those of
    /// clients that were killed.
    pub fn settle(&self) {
        // Connections are accepted in their order: with this one, all before it are.
        let _ = browser::get(&self.url("/settle"), &[]);
        while Arc::strong_count(&self.shared) > HOLDERS {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// All that the server remembers now.
    pub fn memory(&self) -> Memory {
        Memory(self.shared.state().clone())
    }

    /// Forgets whatever has happened since.
    pub fn recall(&self, memory: &Memory) {
        *self.shared.state() = memory.0.clone();
    }

    /// Every code, access token, refresh token and ID token ever issued, to be searched for.
    pub fn issued(&self) -> Vec<String> {
        self.shared.state().issued.clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.shared.stop(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of the acceptor has been printed already; panicking here could abort.
            let _ = acceptor.join();
        }
    }
}
