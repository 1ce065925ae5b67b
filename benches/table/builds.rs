//! The builds of the program that are compared.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::page::Page;
use crate::world::text;

/// The target of the static build.
const STATIC: &str = "x86_64-unknown-linux-musl";

/// One build of the program.
pub struct Build {
    /// How it is called in the tables.
    pub name: String,
    /// The program.
    pub file: PathBuf,
    /// How many times `/bin/true` a cached token may take.
    pub at_most: Option<f64>,
}

impl Build {
    /// What cargo has built for this run: optimised in a benchmark, and not in a test.
    pub fn ours() -> Self {
        let file = PathBuf::from(env!("CARGO_BIN_EXE_vault"));
        Self { name: "default build".to_owned(), file, at_most: Some(3.0) }
    }
}

/// The default build, the static one where it can be built, and those that `--also` names.
pub fn all(arguments: &[String], page: &mut Page) -> Result<Vec<Build>, String> {
    let mut default = Build::ours();
    if let Some(file) = value(arguments, "--default") {
        default.file = absolute(file)?;
    }
    let mut builds = vec![default];
    match value(arguments, "--static").map_or_else(build_static, |file| absolute(file)) {
        Ok(file) => builds.push(Build { name: "static build".to_owned(), file, at_most: Some(1.6) }),
        Err(why) => page.left_out(&format!("the static build: {why}")),
    }
    let also = arguments.windows(2).filter(|pair| pair[0] == "--also").map(|pair| &pair[1]);
    for named in also {
        let (name, file) = named.split_once('=').ok_or("write it as --also NAME=FILE")?;
        builds.push(Build { name: name.to_owned(), file: absolute(file)?, at_most: None });
    }
    Ok(builds)
}

fn absolute(file: &str) -> Result<PathBuf, String> {
    std::path::absolute(file).map_err(text)
}

/// The value of an option.
pub fn value<'a>(arguments: &'a [String], option: &str) -> Option<&'a String> {
    arguments.windows(2).find(|pair| pair[0] == option).map(|pair| &pair[1])
}

/// The program called `name`, if it is installed.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn build_static() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("there is no target directory")?;
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", STATIC]).output();
    let libraries = String::from_utf8(libraries.map_err(text)?.stdout).map_err(text)?;
    if !Path::new(libraries.trim()).is_dir() {
        return Err(format!("`rustup target add {STATIC}` has not been run"));
    }
    eprintln!("building for {STATIC}…");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--bin",
            "vault",
            "--target",
            STATIC,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(root)
        .status()
        .map_err(text)?;
    let file = target.join(STATIC).join("release/vault");
    if built.success() { Ok(file) } else { Err(format!("cargo: {built} (it needs musl-gcc)")) }
}
