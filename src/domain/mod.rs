//! What the product is about, in its own words: no clock, no files, no network.

pub mod agent_protocol;
mod client;
mod count;
mod field;
mod grant;
mod grant_type;
mod host;
mod id;
mod name;
mod profile;
pub mod provider;
mod purpose;
mod redirect_uri;
mod scopes;
mod secret;
mod slot;
mod token;
mod variable;

pub use client::{Binding, Client, ClientAuth, Endpoints, Pinned};
pub use count::counted;
pub use field::{Field, SealedField, UnknownField};
pub use grant::{Grant, GrantState, renewal_after};
pub use grant_type::GrantType;
pub use host::{Host, InvalidHost, Use};
pub use id::{DocumentId, InvalidId, KeyId, PurposeId, VaultId};
pub use name::{ClientName, InvalidName, ProfileName};
pub use profile::{Account, Profile, ScopeRecord};
pub use provider::Provider;
pub use purpose::{Purpose, TokenId};
pub use redirect_uri::RedirectUri;
pub use scopes::{InvalidScope, Scopes};
pub use secret::{InvalidSecret, secret_from_text};
pub use slot::{KeySlot, SlotKind};
pub use token::{AccessToken, CLOCK_TOLERANCE, FRESHNESS_MARGIN, IdToken};
pub use variable::{InvalidVariable, Variable, VariableName};
