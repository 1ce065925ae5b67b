//! What would mend a finding: the command to type, where there is one.

use std::path::Path;

use crate::cli::hints::typed;
use crate::cli::provider_secrets;
use crate::ops::doctor::Remedy;

/// The words for `remedy`.
pub(super) fn words(remedy: &Remedy) -> String {
    match remedy {
        Remedy::MakeVault => "vault add-profile NAME (makes a vault by itself), or vault init".to_owned(),
        Remedy::CloseToOthers(path) => format!("chmod go-rwx {}", quoted(path)),
        Remedy::TakeOwnership(path) => {
            format!("sudo chown -R \"$(id -un)\" {} (after a look at who made it)", quoted(path))
        }
        Remedy::RunAsOwner(path) => format!(
            "run vault as its owner, without sudo; only if it ought to be yours: sudo chown -R \"$(id -un)\" {}",
            quoted(path)
        ),
        Remedy::MoveVault => "move it to a local disk, and name that place in VAULT_DIR".to_owned(),
        Remedy::MakeRoom(path) => format!("make room, or allow writing: df -h {}", quoted(path)),
        Remedy::UnlockKeychain => {
            "unlock the keychain of your session, or have another way in: vault key add --passphrase"
                .to_owned()
        }
        Remedy::AddSlot => "vault key add --passphrase".to_owned(),
        Remedy::ReplaceSlot(id) => {
            format!("vault key add --passphrase (or --keychain), then vault key remove {id}")
        }
        Remedy::UnlockFirst => "vault unlock, then vault doctor again".to_owned(),
        Remedy::FirstUse => "vault verify (accepts its key, if the vault is yours)".to_owned(),
        Remedy::FinishRotation => "vault rotate key".to_owned(),
        Remedy::Verify => {
            "vault verify (names each), then put back copies that vault itself wrote".to_owned()
        }
        Remedy::Login(name) => format!("vault login {name}"),
        Remedy::FinishSecret(secret) => provider_secrets::command(secret),
        Remedy::Complete(name) => format!("vault token {name} --refresh > /dev/null"),
        Remedy::CompleteAny => "the next command that changes the vault completes it by itself".to_owned(),
        Remedy::LookAt(path) => format!("ls -l {} (remove it if the login works)", quoted(path)),
        Remedy::ImportRescue => "vault import-rescue < BLOCK".to_owned(),
        Remedy::SetClock => "timedatectl set-ntp true, or set the clock by hand".to_owned(),
        Remedy::TryLater => "vault doctor, in a minute".to_owned(),
        Remedy::Unset(name) => format!("unset {name}"),
        Remedy::TakeIn(path) => format!("vault scan {} (says what it is, and what to do)", quoted(path)),
        Remedy::CallByPath(path) => format!("call {}, or let its folder come first in PATH", quoted(path)),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    typed(&path.display().to_string())
}
