//! `vault scan` of a large home, beside ripgrep looking for the same patterns; and what it finds where nothing is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::Size;
use crate::builds::{Build, installed};
use crate::measure::{Contestant, take_turns};
use crate::page::Page;
use crate::scan_tree::{Canaries, decoys, planted, write};
use crate::world::text;

/// What `vault scan` looks for, as far as ripgrep can: the same beginnings, names and lengths.
const PATTERNS: &str = r#"1//0[\w-]{20,}|GOCSPX-[\w-]{20,}|AIza[\w-]{35}|ya29\.[\w.-]{20,}|gh[opusr]_\w{36,}|github_pat_\w{60,}|glpat-[\w-]{20,}|gloas-[\w-]{20,}|xox[abeprs][-.][\w-]{24,}|(refresh_token|REFRESH_TOKEN|refreshToken|refresh-token|client_secret|CLIENT_SECRET|clientSecret|client-secret|access_token|ACCESS_TOKEN|accessToken|oauth_token|identitytoken|_authToken)["'\\`]{0,4}\s{0,32}[:=>]{1,2}\s{0,64}["'\\`]{0,4}[\w.~+/=%|-]{16,}|service_account|ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCIs"#;

/// Files in a folder.
const IN_FOLDER: usize = 25;

/// Of so many files, one is no text.
const BINARY: usize = 8;

/// How long each takes, warm, and cold where `--cold` asks for it; and the figures of what is found.
pub fn compare(page: &mut Page, builds: &[Build], size: &Size, is_cold: bool) -> Result<(), String> {
    let home = tempfile::tempdir().map_err(text)?;
    let bytes = fill(home.path(), size.files)?;
    figures(page, &builds[0], home.path(), size)?;
    let rounds = if size.rounds > 1 { 7 } else { 1 };
    let title = format!("A scan of {} files, {} MiB", size.files, bytes >> 20);
    measure(page, builds, home.path(), rounds, &format!("{title}, in memory already"), false)?;
    if is_cold {
        measure(page, builds, home.path(), 3, &format!("{title}, from the disk"), true)?;
    }
    Ok(())
}

fn measure(
    page: &mut Page,
    builds: &[Build],
    home: &Path,
    rounds: usize,
    title: &str,
    is_cold: bool,
) -> Result<(), String> {
    let mut contestants = Vec::new();
    match installed("rg") {
        // Both go into hidden folders and obey no ignore files; ripgrep too leaves binary files at the first zero.
        Some(rg) => contestants.push(act("`rg -uu` with the same patterns".to_owned(), is_cold, move || {
            let mut command = Command::new(&rg);
            command.args(["-uu", "--no-messages", "--no-config", "-l", "-e", PATTERNS]).arg(home);
            command
        })),
        None => page.left_out("ripgrep, for want of it (Debian's package ripgrep)"),
    }
    for Build { name, file, .. } in builds {
        contestants.push(act(format!("`vault scan`, {name}"), is_cold, move || scan(file, home)));
    }
    let times = take_turns(rounds, contestants)?;
    page.ratios(title, &times, 0, &[]);
    Ok(())
}

fn act<'a>(name: String, is_cold: bool, command: impl Fn() -> Command + 'a) -> Contestant<'a> {
    Contestant::new(name, move || {
        if is_cold {
            // proc_sys_vm(5): pages, entries of folders, and inodes.
            fs::write("/proc/sys/vm/drop_caches", "3").map_err(text)?;
        }
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let status = command.status().map_err(text)?;
        let took = begun.elapsed();
        // 15: found. 0 is success of ripgrep, which finds them too.
        if matches!(status.code(), Some(0 | 15)) { Ok(took) } else { Err(format!("{command:?}: {status}")) }
    })
}

fn scan(vault: &Path, home: &Path) -> Command {
    let mut command = Command::new(vault);
    command.env("HOME", home).args(["scan", "--json"]).arg(home);
    command
}

/// How many of the secrets were found, and how many of the files without one were taken for such.
fn figures(page: &Page, build: &Build, home: &Path, size: &Size) -> Result<(), String> {
    let mut canaries = Canaries::new();
    let planted = planted(&mut canaries);
    planted.iter().for_each(|file| write(home, &file.path, &file.content));
    let found = found(&scan(&build.file, home).output().map_err(text)?.stdout)?;
    let is_planted = |path: &PathBuf| planted.iter().any(|file| home.join(&file.path) == *path);
    let right = found.iter().filter(|path| is_planted(path)).count();

    let others = tempfile::tempdir().map_err(text)?;
    let decoys = decoys();
    decoys.iter().for_each(|(path, content)| write(others.path(), path, content.as_bytes()));
    let taken = self::found(&scan(&build.file, others.path()).output().map_err(text)?.stdout)?;
    page.say(&format!(
        "Found {right} of {} planted files. Taken for secrets: {} of {} random files, {} of {} decoys.",
        planted.len(),
        found.len() - right,
        size.files,
        taken.len(),
        decoys.len()
    ));
    published(page, build)
}

/// What others have published and everybody has on the disk: whatever is found there is no secret.
fn published(page: &Page, build: &Build) -> Result<(), String> {
    let registry = builds_registry();
    let Some(registry) = registry.filter(|_| page.prints()) else { return Ok(()) };
    let output = scan(&build.file, &registry).arg("--packages").output().map_err(text)?;
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(text)?;
    let count = found(&output.stdout)?.len();
    page.say(&format!(
        "In the sources of published crates on this machine: {count} of {} files taken for secrets.",
        answer["counts"]["files"]
    ));
    Ok(())
}

/// Where cargo keeps what it has downloaded.
fn builds_registry() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("registry/src")).filter(|path| path.is_dir())
}

fn found(answer: &[u8]) -> Result<Vec<PathBuf>, String> {
    let answer: Value = serde_json::from_slice(answer).map_err(text)?;
    let findings = answer["findings"].as_array().ok_or("no findings")?;
    Ok(findings.iter().filter_map(|finding| Some(PathBuf::from(finding["path"].as_str()?))).collect())
}

/// Fills a home with so many files: sources and notes of two kilobytes in the middle, some far longer, some no text.
/// Returns how many bytes there are.
fn fill(home: &Path, files: usize) -> Result<u64, String> {
    let mut random = fastrand::Rng::with_seed(6);
    let words: Vec<&str> = include_str!("../../docs/architecture.md").split_whitespace().collect();
    let texts: Vec<Vec<u8>> = (0..400).map(|_| some_text(&mut random, &words)).collect();
    let binaries: Vec<Vec<u8>> = (0..60).map(|_| some_bytes(&mut random)).collect();
    let mut sum = 0;
    for at in 0..files {
        let folder = at / IN_FOLDER;
        let folder = home.join(format!("d{}/e{}/f{folder}", folder % 20, folder % 400));
        if at % IN_FOLDER == 0 {
            fs::create_dir_all(&folder).map_err(text)?;
        }
        let kind = if random.usize(..BINARY) == 0 { &binaries } else { &texts };
        let content = &kind[random.usize(..kind.len())];
        fs::write(folder.join(format!("{at}.txt")), content).map_err(text)?;
        sum += content.len() as u64;
    }
    Ok(sum)
}

/// Lengths as in a home: half below two kilobytes, and one of a hundred above a hundred.
fn length(random: &mut fastrand::Rng) -> usize {
    let doublings = 6.0 + 3.5 * (random.f64() + random.f64() + random.f64());
    doublings.exp2() as usize
}

fn some_text(random: &mut fastrand::Rng, words: &[&str]) -> Vec<u8> {
    let length = length(random);
    let mut text = Vec::with_capacity(length + 100);
    while text.len() < length {
        text.extend_from_slice(words[random.usize(..words.len())].as_bytes());
        text.push(if random.usize(..10) == 0 { b'\n' } else { b' ' });
    }
    text
}

fn some_bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = length(random) * 4;
    (0..length).map(|_| random.u8(..)).collect()
}
