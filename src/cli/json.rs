//! The JSON that `--json` answers, in the documents' field names.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::provider_secrets;
use crate::domain::{Client, GrantType, KeySlot, Profile, SealedField, SlotKind};
use crate::ops::clients;
use crate::ops::registry::{Facts, Listed};
use crate::ops::status::{ProfileStatus, Status};

/// A profile in a list.
pub(super) fn listed(listed: &Listed) -> Value {
    match &listed.profile {
        Ok(facts) => facts_of(facts),
        Err(error) => json!({ "name": listed.name, "error": error.to_string() }),
    }
}

/// A profile with everything that needs no key.
pub(super) fn facts_of(facts: &Facts) -> Value {
    let mut value = profile(&facts.profile);
    value["id"] = json!(facts.id);
    value["client"] = json!(facts.client);
    value["has_api_key"] = json!(facts.holds(SealedField::ApiKey));
    value["has_previous_refresh_token"] = json!(facts.holds(SealedField::RefreshTokenPrevious));
    if !facts.profile.grant_type.needs_person() {
        value["source"] = json!(facts.source);
    }
    value["default"] = json!(facts.is_default);
    value
}

/// The facts of a profile that was just made or changed. Its client is its document there.
pub(super) fn profile(profile: &Profile) -> Value {
    serde_json::to_value(profile).unwrap_or(Value::Null)
}

/// How the tokens of a profile come about, in a few words.
pub(super) fn way(grant_type: &GrantType) -> String {
    match grant_type {
        GrantType::AuthorizationCode => "login".to_owned(),
        GrantType::ClientCredentials => "client credentials".to_owned(),
        GrantType::JwtBearer { subject: None } => "service account key".to_owned(),
        GrantType::JwtBearer { subject: Some(user) } => format!("service account key, on behalf of {user}"),
        GrantType::Impersonation { service_account, .. } => format!("impersonation of {service_account}"),
    }
}

/// A client in a list.
pub(super) fn listed_client(listed: &clients::Listed) -> Value {
    match &listed.client {
        Ok(facts) => {
            let holds = |field| facts.secrets.contains(&field);
            let mut value = client(&facts.client);
            value["id"] = json!(facts.id);
            value["has_secret"] = json!(holds(SealedField::ClientSecret));
            value["has_next_secret"] = json!(holds(SealedField::ClientSecretNext));
            value["has_previous_secret"] = json!(holds(SealedField::ClientSecretPrevious));
            value["profiles"] = json!(listed.profiles);
            value
        }
        Err(error) => json!({ "name": listed.name, "error": error.to_string() }),
    }
}

/// The facts of a client.
pub(super) fn client(client: &Client) -> Value {
    serde_json::to_value(client).unwrap_or(Value::Null)
}

/// A key slot, without what is sealed in it.
pub(super) fn slot(slot: &KeySlot) -> Value {
    let mut value = json!({ "id": slot.id, "type": slot.kind.as_str(), "created_at": slot.created_at });
    match &slot.kind {
        SlotKind::Keychain { entry } => value["entry"] = json!(entry),
        SlotKind::Recipient { recipient, .. } => value["recipient"] = json!(recipient),
        SlotKind::Passphrase { .. } => {}
    }
    value
}

/// How the vault is.
pub(super) fn status(status: &Status, held_until: Option<Timestamp>) -> Value {
    json!({
        "location": status.location,
        "vault": status.vault,
        "kid": status.kid,
        "accepted": status.pin.as_ref().is_some_and(|pin| pin.kids.contains(&status.kid)),
        "accepted_at": status.pin.as_ref().map(|pin| pin.since),
        "slots": status.slots,
        "held_until": held_until,
        "unfinished": status.unfinished.iter().map(provider_secrets::unfinished_json).collect::<Vec<_>>(),
    })
}

/// How a profile is.
pub(super) fn profile_status(status: &ProfileStatus) -> Value {
    let mut value = listed(&status.listed);
    value["token_expires_at"] = json!(status.token_expires_at);
    value["warnings"] = status.warnings.iter().map(|warning| json!(warning.to_string())).collect();
    value
}
