//! What it was measured on.

use std::fs;
use std::process::Command;

/// The machine, in one paragraph.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let temporary = std::env::temp_dir();
    let file_system = said("findmnt", &["-n", "-o", "FSTYPE", "-T", &temporary.to_string_lossy()]);
    format!(
        "{}, {cores} cores{}; Linux {}; {file_system} below {}; {}; {}.",
        line_of("/proc/cpuinfo", "model name"),
        if is_virtual() { ", a virtual machine" } else { "" },
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        temporary.display(),
        said("rustc", &["--version"]),
        line_of("/etc/os-release", "PRETTY_NAME").trim_matches('"'),
    )
}

fn is_virtual() -> bool {
    fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains(" hypervisor"))
}

/// What stands behind `name` and `:` or `=`.
fn line_of(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or("unknown").trim_start_matches([':', '=', ' ', '\t']).to_owned()
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| "unknown".to_owned())
}
