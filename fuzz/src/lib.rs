//! The properties of `tests/properties`, for the fuzz targets.
#![allow(clippy::unwrap_used, reason = "a property that does not hold says so by panicking")]

#[path = "../../tests/properties/backup.rs"]
pub mod backup;
#[path = "../../tests/properties/callback.rs"]
pub mod callback;
#[path = "../../tests/properties/clean.rs"]
pub mod clean;
#[path = "../../tests/properties/client_file.rs"]
pub mod client_file;
#[path = "../../tests/properties/device_answer.rs"]
pub mod device_answer;
#[path = "../../tests/properties/document.rs"]
pub mod document;
#[path = "../../tests/properties/helper_request.rs"]
pub mod helper_request;
#[path = "../../tests/properties/import.rs"]
pub mod import;
#[path = "../../tests/properties/key_set.rs"]
pub mod key_set;
#[path = "../../tests/properties/keys.rs"]
pub mod keys;
#[path = "../../tests/properties/plaintext.rs"]
pub mod plaintext;
#[path = "../../tests/properties/scan.rs"]
pub mod scan;
#[path = "../../tests/properties/token_answer.rs"]
pub mod token_answer;
#[path = "../../tests/properties/vault_of_vectors.rs"]
pub mod vault_of_vectors;
