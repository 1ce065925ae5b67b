//! `docs/providers.md` says what the files of the providers say.

use std::path::{Path, PathBuf};

use vault::domain::Provider;
use vault::domain::provider::{Life, Loopback, PkceSupport, RevocationStyle, Rotates};
use vault::oauth::provider;

/// What stands before the table.
const MARK: &str = "<!-- table: cargo test --test cli table_of_providers says what should stand here -->\n\n";

#[test]
fn the_table_of_providers_says_what_their_files_say() {
    let page = page();
    let table = table();

    let (_, rest) = page.split_once(MARK).unwrap();
    let written: String =
        rest.lines().take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    assert!(written == table, "docs/providers.md should hold this table:\n\n{table}");
}

#[test]
fn every_provider_has_a_section_that_says_how_a_client_is_made_there() {
    let page = page();
    for known in all() {
        let title = format!("\n## {}\n", known.title);
        let (_, section) = page.split_once(&title).unwrap_or_else(|| panic!("there is no section {title}"));
        let section = section.split("\n## ").next().unwrap();

        assert!(section.contains(&format!("--provider {}", known.id)), "{}: how to use it", known.id);
        if let Some(registered) = redirect(known) {
            let is_there = section.contains(&format!("`{registered}`"))
                || section.contains(&format!("`{}`", registered.trim_end_matches('/')));
            assert!(is_there || known.id == "google", "{}: {registered} is to be registered", known.id);
        }
        for (variable, _) in known.exports.default.iter().filter(|(name, _)| name != "OAUTH_ACCESS_TOKEN") {
            let is_told = section.contains(variable) || matches!(known.id.as_str(), "google" | "gitea");
            assert!(is_told, "{}: {variable}", known.id);
        }
    }
}

#[test]
fn every_command_on_the_page_of_providers_parses() {
    let page = page();
    let commands: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(|it| it.starts_with("vault ")).collect();

    assert!(commands.len() > 15, "only {commands:?}");
    for command in commands {
        let words = command.split_whitespace().map(|word| if word == "…" { "x" } else { word });
        if let Err(refused) = vault::cli::command().try_get_matches_from(words) {
            let is_help = refused.kind() == clap::error::ErrorKind::DisplayHelp;
            // The name of a command alone is no command to type.
            assert!(is_help || command.split_whitespace().count() <= 2, "{command}\n{refused}");
        }
    }
}

#[test]
fn the_readme_names_every_provider() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for known in all() {
        assert!(readme.contains(&format!("`{}`", known.id)), "{} is not in README.md", known.id);
    }
}

#[test]
fn every_file_names_the_pages_that_say_so_and_when_they_were_read() {
    for known in all() {
        assert!(!known.sources.is_empty(), "{}", known.id);
        assert!(known.sources.iter().all(|page| page.starts_with("https://")), "{}", known.id);
        assert!(known.checked.as_deref().is_some_and(|month| month.len() == "2026-11".len()), "{}", known.id);
        for error in &known.errors {
            assert!(error.hint.is_some(), "{}: {} has no hint", known.id, error.error);
            assert!(!error.means.ends_with('.'), "{}: {}", known.id, error.means);
        }
    }
}

/// All of them, in the order of their names.
fn all() -> Vec<&'static Provider> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("src/oauth/provider/data"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let ids = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap());
    ids.map(|id| provider::find(id).unwrap_or_else(|| panic!("{id} is not built in"))).collect()
}

fn table() -> String {
    let head =
        ["provider", "redirect URI", "secret", "PKCE", "device", "access token", "refresh token", "logout"];
    let mut lines = vec![line(&head.map(str::to_owned)), format!("|{}", "---|".repeat(head.len()))];
    lines.extend(all().into_iter().map(|known| line(&cells(known))));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn line(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn cells(known: &Provider) -> [String; 8] {
    let anchor = known.title.to_lowercase().replace(' ', "-");
    let device = match known.device.support {
        true if known.device.scopes.is_empty() => "yes",
        true => "some scopes",
        false => "no",
    };
    [
        format!("[{}](#{anchor}), `{}`", known.title, known.id),
        where_back(known),
        if known.client.public { "optional" } else { "needed" }.to_owned(),
        match known.pkce.support {
            PkceSupport::Required => "required",
            PkceSupport::Supported => "checked",
            PkceSupport::Ignored => "not known",
            PkceSupport::Refused => "refused",
        }
        .to_owned(),
        device.to_owned(),
        match known.refresh.access_lifetime {
            None => "as it says".to_owned(),
            Some(Life::Unlimited) => "no end, or as it says".to_owned(),
            Some(life) => span(life),
        },
        refresh_token(known),
        if known.revoke.style == RevocationStyle::None { "by hand" } else { "revokes" }.to_owned(),
    ]
}

fn where_back(known: &Provider) -> String {
    match redirect(known) {
        None => "https only".to_owned(),
        Some(uri) if known.redirect.loopback == Loopback::AnyPort => format!("`{uri}`, any port"),
        Some(uri) => format!("`{uri}`"),
    }
}

/// What is to be registered.
fn redirect(known: &Provider) -> Option<String> {
    match known.redirect.loopback {
        Loopback::AnyPort => Some(format!("http://{}/", known.redirect.host.as_str())),
        Loopback::FixedPort => known.redirect.registered(),
        Loopback::HttpsOnly => None,
    }
}

fn refresh_token(known: &Provider) -> String {
    let habits = &known.refresh;
    let rotates = habits.rotates.map(|rotates| match rotates {
        Rotates::Always => "new each time",
        Rotates::Never => "stays",
        Rotates::Sometimes => "may be replaced",
    });
    let parts = [
        rotates.map(str::to_owned),
        habits.idle.map(|life| format!("{} unused", span(life))),
        habits.lifetime.map(|life| format!("{} in all", span(life))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "not known".to_owned() } else { parts.join(", ") }
}

fn span(life: Life) -> String {
    let text = String::from(life);
    let (count, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "d" => "day",
        "h" => "hour",
        "m" => "minute",
        _ => "second",
    };
    if count == "1" { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/providers.md")).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
