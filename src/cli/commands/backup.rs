//! `vault backup`: the whole vault in one encrypted file.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::init::{absolute, given_or_typed};
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::counted;
use crate::ops::backup::{self, Proof, Summary};
use crate::unlock::backup::Sealing;
use crate::unlock::passphrase;
use crate::unlock::recipient::{self, Recipient};

/// Write the whole vault into one encrypted file
///
/// The file holds the vault key and every client and profile with its secrets, so whoever opens it has
/// everything. It is an age file: `vault restore` and plain `age -d` open it. Without a recipient it is
/// sealed with a passphrase, which is asked for twice, or comes from VAULT_PASSPHRASE_FILE or
/// VAULT_PASSPHRASE_COMMAND.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault backup ~/vault-2026-01.age
  vault backup /media/stick/vault.age --recipient age1...   a recovery key, in a safe")]
pub(super) struct Args {
    /// The file to make; one that exists is refused
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who can open it: age1..., a plugin's recipient, or an SSH key where that is built in; as often as you like
    #[arg(short, long = "recipient", value_name = "RECIPIENT")]
    recipients: Vec<String>,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    if args.file == Path::new("-") {
        return Err(Failure::usage("a backup goes into a file, so that it can be read again and proven")
            .hint("name a file, and copy it afterwards"));
    }
    let recipients = recipients(&args.recipients)?;
    let file = absolute(args.file)?;
    session.unlocked(|ctx, vault| {
        backup::check_place(&file)?;
        let to = match recipients.is_empty() {
            true => Sealing::Passphrase(new_passphrase(session)?),
            false => Sealing::Recipients(recipients),
        };
        let progress = session.output.progress("Reading");
        let summary = backup::backup(ctx, vault, &file, &to, &|done, total| progress.at(done, total))?;
        drop(progress);
        tell(session, &file, &summary)
    })
}

fn recipients(texts: &[String]) -> Result<Vec<Recipient>, Failure> {
    let parsed: Result<Vec<Recipient>, _> = texts.iter().map(|text| text.parse()).collect();
    Ok(parsed.map_err(|invalid| crate::ops::Error::from(recipient::Error::from(invalid)))?)
}

/// Checked before the vault is read, whoever gives it.
fn new_passphrase(session: &Session) -> Result<secrecy::SecretString, Failure> {
    let passphrase = given_or_typed(session, "New passphrase of the backup: ")?.ok_or_else(|| {
        Failure::new(Code::Locked, "there is nobody to ask for the passphrase of the backup")
            .hint("add `--recipient RECIPIENT`, or set VAULT_PASSPHRASE_FILE or VAULT_PASSPHRASE_COMMAND")
    })?;
    passphrase::check(&passphrase).map_err(crate::ops::Error::from)?;
    Ok(passphrase)
}

fn tell(session: &Session, file: &Path, summary: &Summary) -> Result<(), Failure> {
    if session.output.json {
        return session.output.json(
            "backup",
            json!({
                "file": file.display().to_string(),
                "vault": summary.vault,
                "kid": summary.kid,
                "clients": summary.clients,
                "profiles": summary.profiles,
                "bytes": summary.bytes,
                "opened": summary.proof == Proof::Opened,
            }),
        );
    }
    let proof = match summary.proof {
        Proof::Opened => "opened again and compared",
        Proof::ReadBack => {
            "read back and compared; that it opens was not proven, because no identity of its recipients is at hand"
        }
    };
    session.output.say(&format!(
        "Wrote {} and {} to {}; {proof}",
        counted(summary.profiles, "profile"),
        counted(summary.clients, "client"),
        file.display()
    ));
    Ok(())
}
