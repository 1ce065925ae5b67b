//! A finding in words, and as JSON.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::hints::typed;
use crate::cli::table::{Look, Tone, printable, toned};
use crate::ops::scan::{Exposure, Finding, Import, Kind, Readers, Report, Secret};

/// Everything that was found, for a person.
pub(super) fn text(report: &Report, now: Timestamp, look: Look) -> String {
    report.findings.iter().map(|finding| finding_in_words(finding, now, look)).collect()
}

/// Everything that was found, for a program.
pub(super) fn json(report: &Report, now: Timestamp) -> String {
    let findings: Vec<Value> = report.findings.iter().map(|finding| finding_as_json(finding, now)).collect();
    let counts = &report.counts;
    let object = json!({
        "version": 1,
        "findings": findings,
        "counts": {
            "files": counts.files,
            "too_long": counts.too_long,
            "unreadable": counts.unreadable,
            "left_out": counts.left_out,
            "untold": counts.untold,
        },
        "complete": !report.is_interrupted,
    });
    format!("{object:#}\n")
}

fn finding_in_words(finding: &Finding, now: Timestamp, look: Look) -> String {
    let line = finding.secrets.iter().filter_map(|secret| secret.line).min();
    let line = line.map(|line| format!(":{line}")).unwrap_or_default();
    let path = format!("{}{line}", printable(&finding.path.display().to_string()));
    let tone = if finding.is_lasting() { Tone::Bad } else { Tone::Warning };
    let mut text = format!("{}\n  {}\n", toned(&path, tone, look), what(finding, now));
    let who = whose(finding);
    if !who.is_empty() {
        text.push_str(&format!("  of {}\n", printable(&who)));
    }
    let open = exposed(&finding.exposure);
    if !open.is_empty() {
        text.push_str(&format!("  {}\n", toned(&open.join(", "), Tone::Warning, look)));
    }
    text.push_str(&format!("  → {}\n\n", printable(&next(finding))));
    text
}

/// `a refresh token and a client secret, kept by gcloud`.
fn what(finding: &Finding, now: Timestamp) -> String {
    let secrets: Vec<String> = finding.secrets.iter().map(secret).collect();
    let mut text = match &secrets[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => secrets.concat(),
    };
    if let Some(tool) = finding.tool {
        text.push_str(&format!(" ({tool})"));
    }
    if finding.is_expired(now) {
        text.push_str(", expired");
    }
    text
}

fn secret(secret: &Secret) -> String {
    let issuer = secret.issuer.map(|issuer| format!("{issuer} ")).unwrap_or_default();
    let (one, many) = match secret.kind {
        Kind::RefreshToken => ("refresh token", "refresh tokens"),
        Kind::PrivateKey => ("service account key", "service account keys"),
        Kind::Token => ("token without an end", "tokens without an end"),
        Kind::Password => ("password", "passwords"),
        Kind::ClientSecret => ("client secret", "client secrets"),
        Kind::ApiKey => ("API key", "API keys"),
        Kind::AccessToken => ("access token", "access tokens"),
    };
    match secret.count {
        1 => format!("{issuer}{one}"),
        count => format!("{count} {issuer}{many}"),
    }
}

fn whose(finding: &Finding) -> String {
    let whose = &finding.whose;
    let mut parts = some(&whose.accounts);
    parts.extend(some(&whose.clients).into_iter().map(|client| format!("client {client}")));
    parts.extend(some(&whose.projects).into_iter().map(|project| format!("project {project}")));
    parts.join(", ")
}

/// The first few.
fn some(names: &[String]) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = names.iter().take(SHOWN).cloned().collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown
}

fn exposed(exposure: &Exposure) -> Vec<String> {
    let mode = exposure.mode.map(|mode| format!(" (mode {mode:03o})")).unwrap_or_default();
    let readers = match exposure.readable_by {
        Readers::Everyone => Some(format!("every user of this machine can read it{mode}")),
        Readers::Group => Some(format!("its group can read it{mode}")),
        Readers::Owner => None,
    };
    let tracked = (exposure.is_tracked == Some(true)).then(|| "git tracks it".to_owned());
    let synced = exposure.synced_by.map(|program| format!("{program} copies it to other machines"));
    [readers, tracked, synced].into_iter().flatten().collect()
}

/// What to type next.
pub(in crate::cli::commands) fn next(finding: &Finding) -> String {
    let path = typed(&finding.path.display().to_string());
    match finding.import {
        Import::Whole => return format!("vault import {path}"),
        Import::NeedsClient => return format!("vault import {path} --client NAME"),
        Import::Nothing => {}
    }
    match (finding.tool, finding.kind) {
        (Some("git"), _) => "vault setup git, then remove the line".to_owned(),
        (Some("docker"), _) => "vault setup docker, then docker logout".to_owned(),
        (Some("kubectl"), _) => "vault setup kubectl".to_owned(),
        (Some("cargo"), _) => "vault setup cargo, then cargo logout".to_owned(),
        (Some("gh"), _) => "gh auth logout, then gh auth login with a keychain at hand".to_owned(),
        (Some("gcloud's log"), _) => {
            format!("gcloud config set core/disable_file_logging true, then rm {path}")
        }
        (_, Kind::ApiKey) => "vault edit NAME --api-key-file FILE, then remove it from here".to_owned(),
        (_, Kind::RefreshToken | Kind::ClientSecret) => {
            format!("vault add-profile NAME, then revoke what stands in {path} and remove it")
        }
        (_, Kind::AccessToken) => format!("remove it from {path}; it ends by itself"),
        _ => format!("renew it where it came from, and remove it from {path}"),
    }
}

fn finding_as_json(finding: &Finding, now: Timestamp) -> Value {
    let secrets = finding.secrets.iter().map(|secret| {
        json!({ "kind": secret.kind.as_str(), "issuer": secret.issuer, "line": secret.line, "count": secret.count })
    });
    let Exposure { mode, readable_by, is_tracked, synced_by } = finding.exposure;
    json!({
        "path": text_of(&finding.path),
        "kind": finding.kind.as_str(),
        "lasting": finding.is_lasting(),
        "expired": finding.is_expired(now),
        "expires_at": finding.expires_at,
        "secrets": secrets.collect::<Vec<_>>(),
        "format": finding.format.as_str(),
        "tool": finding.tool,
        "accounts": finding.whose.accounts,
        "clients": finding.whose.clients,
        "projects": finding.whose.projects,
        "mode": mode.map(|mode| format!("{mode:03o}")),
        "readable_by": readable_by.as_str(),
        "tracked_by_git": is_tracked,
        "synced_by": synced_by,
        "importable": finding.is_importable(),
        "next": next(finding),
    })
}

/// A path in JSON, which is text: bytes that are none are replaced.
fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
