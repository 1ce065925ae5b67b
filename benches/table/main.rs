//! `cargo bench --bench table`: what vault costs, beside programs that everybody knows, as one page.
//!
//! Every number is of the same run; contestants take turns, so that whatever else the machine does hits
//! all alike. What matters is the ratios. Nothing here fails because it is slow. Options, after `--`:
//!
//! - `--also NAME=FILE`: another build of the program in the same tables, such as the one of yesterday
//! - `--default FILE`, `--static FILE`: a program that is there already, instead of building it
//! - `--only rotate`: only the rotations of the vault key
//! - `--only scan`: only `vault scan`, beside ripgrep; with `--cold`, which root can do, from the disk too
//! - `--only serve`: only the token endpoints of `vault serve`
//! - `--rounds N`: so many rounds for what takes a millisecond, and fewer for what takes longer
//!
//! `cargo test` runs it too, and only sees that everything works: each thing once, and nothing printed.
#![allow(clippy::disallowed_methods, reason = "the benchmark owns its home, its files and its environment")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the benchmark talks to a person")]
#![allow(unreachable_pub, reason = "the modules of a program have no outside")]

#[path = "../../tests/provider/mod.rs"]
mod provider;

#[path = "../../tests/cli/load.rs"]
mod load;

#[path = "../../tests/cli/scan_tree.rs"]
#[allow(dead_code, reason = "what the files hold is looked at by the tests alone")]
#[allow(clippy::unwrap_used, reason = "a tree that cannot be made says so by panicking")]
mod scan_tree;

mod builds;
mod counts;
mod machine;
mod measure;
mod page;
mod refresh;
mod rotate;
mod scan;
mod serve;
mod server;
mod syncs;
mod world;

use std::process::ExitCode;

use builds::Build;
use measure::{Contestant, take_turns};
use page::{Bar, Page};
use server::Server;
use world::{World, text};

/// So many profiles are many.
const MANY: usize = 10_000;

/// So many profiles are rotated.
const ROTATED: usize = 1000;

/// So many requests are served before the memory of a server is looked at.
const SERVED: usize = 100_000;

/// So many files are in a large home.
const FILES: usize = 200_000;

/// How much is done.
struct Size {
    many: usize,
    rotated: usize,
    served: usize,
    files: usize,
    rounds: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, rest @ ..] = &arguments[..]
        && word == counts::PEAK
    {
        return counts::peak_of(rest);
    }
    if let [word] = &arguments[..]
        && word == serve::BARE
    {
        return serve::bare();
    }
    // Only `cargo bench` says this.
    let measures = arguments.iter().any(|argument| argument == "--bench");
    let done = if measures { measure(&arguments) } else { try_everything() };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("the benchmark stopped: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let mut page = Page::new(true);
    let builds = builds::all(arguments, &mut page)?;
    let rounds = builds::value(arguments, "--rounds").map_or(Ok(400), |count| count.parse().map_err(text))?;
    let size = Size { many: MANY, rotated: ROTATED, served: SERVED, files: FILES, rounds };
    match builds::value(arguments, "--only").map(String::as_str) {
        Some("rotate") => {
            page.say(&machine::describe());
            rotate::compare(&mut page, &builds, &size, &Server::start(false)?)?;
        }
        Some("scan") => {
            page.say(&machine::describe());
            let is_cold = arguments.iter().any(|argument| argument == "--cold");
            scan::compare(&mut page, &builds, &size, is_cold)?;
        }
        Some("serve") => {
            page.say(&machine::describe());
            serve::compare(&page, &builds, &size, &Server::start(false)?)?;
        }
        _ => fill(&mut page, &builds, &size)?,
    }
    page.finish();
    Ok(())
}

/// Each thing once, with few profiles.
fn try_everything() -> Result<(), String> {
    fill(
        &mut Page::new(false),
        &[Build::ours()],
        &Size { many: 3, rotated: 3, served: 20, files: 100, rounds: 1 },
    )
}

fn fill(page: &mut Page, builds: &[Build], size: &Size) -> Result<(), String> {
    page.say(&machine::describe());
    let server = Server::start(false)?;
    let one = World::new(&builds[0].file, &server, &[])?;
    let many = World::new(&builds[0].file, &server, &[])?;
    many.crowd(size.many - 1)?;
    cached_token(page, builds, size, &one, &many)?;
    list(page, builds, size, &many)?;
    refresh::compare(page, builds, size)?;
    rotate::compare(page, builds, size, &server)?;
    serve::compare(page, builds, size, &server)?;
    scan::compare(page, builds, size, false)?;
    counts::peak_memory(page, builds, &one, &many)?;
    counts::system_calls(page, builds, &one, &many)?;
    // Fifty times as slow as the program itself: nothing to try in a test.
    if size.rounds > 1 { counts::instructions(page, builds, &one, &many) } else { Ok(()) }
}

/// A fresh token, from one profile and from many, beside the least that any program costs.
fn cached_token(
    page: &mut Page,
    builds: &[Build],
    size: &Size,
    one: &World,
    many: &World,
) -> Result<(), String> {
    let mut contestants =
        vec![Contestant::program("`/bin/true`", || many.command("/bin/true".as_ref(), &[]))];
    if let Some(age) = builds::installed("age") {
        let (item, key) = one.export_item()?;
        contestants.push(Contestant::program("`age -d` of one item", move || {
            let mut command = one.command(&age, &["-d", "-i"]);
            command.arg(&key).arg(&item);
            command
        }));
    } else {
        page.left_out("`age -d`, for want of age");
    }
    let mut bars = Vec::new();
    for Build { name, file, at_most } in builds {
        let mut add = |what: String, world, arguments: &'static [&str], has_bar: bool| {
            if let (true, Some(at_most)) = (has_bar, *at_most) {
                bars.push(Bar { row: what.clone(), at_most });
            }
            contestants.push(Contestant::program(what, move || World::command(world, file, arguments)));
        };
        add(format!("`vault --version`, {name}"), one, &["--version"], false);
        add(format!("`vault token work`, {name}"), one, &["token", "work"], true);
        add(format!("… of {} profiles, {name}", size.many), many, &["token", "work"], true);
        add(format!("… the default one of {}, {name}", size.many), many, &["token"], true);
    }
    let times = take_turns(size.rounds, contestants)?;
    page.ratios("A cached token", &times, 0, &bars);
    Ok(())
}

fn list(page: &mut Page, builds: &[Build], size: &Size, many: &World) -> Result<(), String> {
    let mut contestants = Vec::new();
    for Build { name, file, .. } in builds {
        for (what, arguments) in [("vault list", &["list"][..]), ("vault list --json", &["list", "--json"])] {
            contestants.push(Contestant::program(format!("`{what}`, {name}"), move || {
                many.command(file, arguments)
            }));
        }
    }
    let times = take_turns(size.rounds.div_ceil(20), contestants)?;
    page.limits(&format!("A list of {} profiles", size.many), &times, 0.3);
    Ok(())
}
