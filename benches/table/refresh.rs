//! A forced refresh, beside curl that posts the same form to the same server and the same syncs.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Size;
use crate::builds::{self, Build};
use crate::measure::{Contestant, take_turns};
use crate::page::{Bar, Page};
use crate::server::Server;
use crate::syncs;
use crate::world::{CLIENT, World, text};

/// The authorities that Debian trusts; curl and vault read them alike.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// With a refresh token that stays and one that is replaced; with one authority and with those of the
/// system.
pub fn compare(page: &mut Page, builds: &[Build], size: &Size) -> Result<(), String> {
    let Some(curl) = builds::installed("curl") else {
        page.left_out("a refresh beside curl, for want of curl");
        return Ok(());
    };
    let bundle = fs::read(BUNDLE).unwrap_or_default();
    if bundle.is_empty() {
        page.left_out("a refresh with the authorities of the system, for want of a bundle");
    }
    compare_with(page, builds, size, &curl, false, &[])?;
    compare_with(page, builds, size, &curl, true, &[])?;
    if bundle.is_empty() { Ok(()) } else { compare_with(page, builds, size, &curl, true, &bundle) }
}

fn compare_with(
    page: &mut Page,
    builds: &[Build],
    size: &Size,
    curl: &Path,
    rotates: bool,
    more: &[u8],
) -> Result<(), String> {
    let server = Server::start(rotates)?;
    let world = World::new(&builds[0].file, &server, more)?;
    let Some(syncs) = syncs::of(&world, &builds[0].file, &["token", "work", "--refresh"])? else {
        page.left_out("a refresh beside curl, for want of strace, which counts its syncs");
        return Ok(());
    };
    let token = RefCell::new(server.provider.grant(CLIENT.0, "me@example.com", &["mail"]));
    let place = world.path("syncs");
    let mut contestants = vec![
        Contestant::new("`curl`", || post(&world, &server, curl, &token)),
        Contestant::new("the same syncs alone", || syncs::repeat(&syncs, &place)),
    ];
    for Build { name, file, .. } in builds {
        contestants.push(Contestant::new(format!("`vault token --refresh`, {name}"), || {
            let (took, _) = answered(&mut world.command(file, &["token", "work", "--refresh"]))?;
            Ok(took)
        }));
    }
    let mut times = take_turns(size.rounds.div_ceil(5), contestants)?;
    times.insert(0, times[0].then(&times[1]));
    let bars: Vec<Bar> =
        times[3..].iter().map(|times| Bar { row: times.name.clone(), at_most: 1.0 }).collect();
    let token = if rotates { "replaced" } else { "kept" };
    let authorities = 1 + more.windows(10).filter(|text| text == b"-----BEGIN").count();
    let (files, directories) = (syncs.files(), syncs.directories());
    page.ratios(
        &format!(
            "A refresh, the refresh token {token}, authorities: {authorities} ({files} files and {directories} directories synced)"
        ),
        &times,
        0,
        &bars,
    );
    Ok(())
}

/// Posts what a refresh posts, and takes the new refresh token if there is one.
fn post(world: &World, server: &Server, curl: &Path, token: &RefCell<String>) -> Result<Duration, String> {
    let form = format!(
        "grant_type=refresh_token&refresh_token={}&client_id={}&client_secret={}",
        token.borrow(),
        CLIENT.0,
        CLIENT.1
    );
    let mut command = world.command(curl, &["-q", "-sS", "--fail", "--cacert"]);
    command.arg(world.authorities()).args(["--data", &form, &server.url("/token")]);
    let (took, answer) = answered(&mut command)?;
    let answer: Value = serde_json::from_str(&answer).map_err(text)?;
    if let Some(new) = answer["refresh_token"].as_str() {
        new.clone_into(&mut token.borrow_mut());
    }
    Ok(took)
}

/// Runs a program until its answer is there.
fn answered(command: &mut Command) -> Result<(Duration, String), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().map_err(text)?;
    let took = begun.elapsed();
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok((took, String::from_utf8(output.stdout).map_err(text)?))
}
