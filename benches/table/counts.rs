//! What does not depend on the clock: memory, system calls, instructions.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{UsageWho, getrusage};

use crate::builds::{self, Build};
use crate::page::Page;
use crate::world::{World, text};

/// The word that makes this program measure the memory of one other.
pub const PEAK: &str = "--peak-of";

/// What is counted: how it is called, and whether with many profiles.
const RUNS: [(&str, &[&str], bool); 5] = [
    ("`vault --version`", &["--version"], false),
    ("`vault token work`", &["token", "work"], false),
    ("… of many profiles", &["token", "work"], true),
    ("… the default one of many", &["token"], true),
    ("`vault token work --refresh`", &["token", "work", "--refresh"], false),
];

/// Runs one program and prints its peak memory in KiB. In a process of its own, because the system tells
/// only of the largest child, and counts what a child has before it becomes another program.
pub fn peak_of(words: &[String]) -> ExitCode {
    let [program, arguments @ ..] = words else { return ExitCode::FAILURE };
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status();
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).map(|usage| usage.max_rss());
    match (status, peak) {
        (Ok(status), Ok(peak)) if status.success() => {
            println!("{peak}");
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// The largest resident set of each run, in MiB.
pub fn peak_memory(page: &mut Page, builds: &[Build], one: &World, many: &World) -> Result<(), String> {
    let list: (&str, &[&str], bool) = ("`vault list` of many", &["list"], true);
    let mut rows = vec![vec!["`/bin/true`".to_owned()]];
    rows[0].extend(vec![mebibytes(peak(one, "/bin/true".as_ref(), &[])?); builds.len()]);
    for (what, arguments, with_many) in RUNS.into_iter().chain([list]) {
        let world = if with_many { many } else { one };
        let mut row = vec![what.to_owned()];
        for build in builds {
            row.push(mebibytes(peak(world, &build.file, arguments)?));
        }
        rows.push(row);
    }
    page.table("Peak memory, MiB", &heads(builds), &rows);
    Ok(())
}

/// The largest resident set of one run, in KiB.
pub fn peak(world: &World, program: &Path, arguments: &[&str]) -> Result<u64, String> {
    let mut command = Command::new(std::env::current_exe().map_err(text)?);
    world.prepare(&mut command);
    let output = command.arg(PEAK).arg(program).args(arguments).output().map_err(text)?;
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(text)
}

/// A number of KiB in MiB, with a tenth.
pub fn mebibytes(kibibytes: u64) -> String {
    format!("{}.{}", kibibytes / 1024, kibibytes % 1024 * 10 / 1024)
}

/// How many system calls each run makes.
pub fn system_calls(page: &mut Page, builds: &[Build], one: &World, many: &World) -> Result<(), String> {
    let Some(strace) = builds::installed("strace") else {
        page.left_out("system calls, for want of strace");
        return Ok(());
    };
    count(page, "System calls", builds, (one, many), |world, program, arguments| {
        let log = world.path("calls.log");
        let mut command = world.command(&strace, &["-f", "-o"]);
        command.arg(&log).arg(program).args(arguments);
        run(&mut command)?;
        Ok(fs::read_to_string(&log).map_err(text)?.lines().filter(|line| line.contains('(')).count())
    })
}

/// How many instructions each run executes outside of the kernel.
pub fn instructions(page: &mut Page, builds: &[Build], one: &World, many: &World) -> Result<(), String> {
    let Some(valgrind) = builds::installed("valgrind") else {
        page.left_out("instructions, for want of valgrind");
        return Ok(());
    };
    count(page, "Instructions, thousands", builds, (one, many), |world, program, arguments| {
        let log = world.path("instructions.log");
        let mut command = world.command(&valgrind, &["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(format!("--log-file={}", log.display())).arg(program).args(arguments);
        run(&mut command)?;
        let log = fs::read_to_string(&log).map_err(text)?;
        let line = log.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count);
        let count: usize = line.ok_or("valgrind counts nothing")?.trim().parse().map_err(text)?;
        Ok(count / 1000)
    })
}

fn count(
    page: &mut Page,
    title: &str,
    builds: &[Build],
    (one, many): (&World, &World),
    counted: impl Fn(&World, &Path, &[&str]) -> Result<usize, String>,
) -> Result<(), String> {
    let mut rows = Vec::new();
    for (what, arguments, with_many) in RUNS {
        let mut row = vec![what.to_owned()];
        for build in builds {
            row.push(counted(if with_many { many } else { one }, &build.file, arguments)?.to_string());
        }
        rows.push(row);
    }
    page.table(title, &heads(builds), &rows);
    Ok(())
}

fn heads(builds: &[Build]) -> Vec<&str> {
    std::iter::once("").chain(builds.iter().map(|build| build.name.as_str())).collect()
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(text)?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}
