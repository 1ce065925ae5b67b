//! A rotation of the vault key, beside age that opens and seals as many messages.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::x25519::Identity;

use crate::builds::{self, Build};
use crate::counts;
use crate::measure::{Contestant, take_turns};
use crate::page::Page;
use crate::server::Server;
use crate::syncs;
use crate::world::{World, text};
use crate::{Size, measure::Times};

/// How many profiles there are in the vault whose memory is the measure.
const FEW: usize = 10;

/// Time and memory of rotations. Each one takes up where the one before has ended.
pub fn compare(page: &mut Page, builds: &[Build], size: &Size, server: &Server) -> Result<(), String> {
    let program = &builds[0].file;
    let (few, many) = (World::new(program, server, &[])?, World::new(program, server, &[])?);
    few.crowd(FEW.min(size.rotated) - 1)?;
    many.crowd(size.rotated - 1)?;
    time(page, builds, size, &many)?;
    memory(page, builds, size, &few, &many)
}

fn time(page: &mut Page, builds: &[Build], size: &Size, many: &World) -> Result<(), String> {
    let Some(age) = builds::installed("age") else {
        page.left_out("a rotation beside age, for want of age");
        return Ok(());
    };
    let Some(syncs) = syncs::of(many, &builds[0].file, &["rotate"])? else {
        page.left_out("a rotation beside age, for want of strace, which counts its syncs");
        return Ok(());
    };
    let messages = many.messages()?;
    let (key, place) = (many.key()?, many.path("syncs"));
    let files = Files::of(many, &messages, &key)?;
    let mut contestants = vec![
        Contestant::new("`age -d` and `age -a -r`, for each message", || files.reseal(&age)),
        Contestant::new("the age crate, each message opened and sealed in one process", || {
            reseal(&messages, &key)
        }),
        Contestant::new("the same syncs alone", || syncs::repeat(&syncs, &place)),
    ];
    for Build { name, file, .. } in builds {
        contestants.push(Contestant::program(format!("`vault rotate`, {name}"), move || {
            many.command(file, &["rotate"])
        }));
    }
    let times: Vec<Times> = take_turns(size.rounds.div_ceil(100), contestants)?;
    let title = format!(
        "A rotation of {} profiles, {} messages ({} files and {} directories synced)",
        size.rotated,
        messages.len(),
        syncs.files(),
        syncs.directories()
    );
    page.ratios(&title, &times, 0, &[]);
    Ok(())
}

/// The largest resident set of a rotation must not grow with the vault.
fn memory(page: &mut Page, builds: &[Build], size: &Size, few: &World, many: &World) -> Result<(), String> {
    let mut rows = Vec::new();
    for Build { name, file, .. } in builds {
        let (one, other) = (counts::peak(few, file, &["rotate"])?, counts::peak(many, file, &["rotate"])?);
        let ratio = format!("{:.2}", other as f64 / one as f64);
        rows.push(vec![name.clone(), counts::mebibytes(one), counts::mebibytes(other), ratio]);
    }
    let heads = ["", &format!("{FEW} profiles"), &format!("{} profiles", size.rotated), "ratio"];
    page.table("Peak memory of a rotation, MiB", &heads, &rows);
    Ok(())
}

/// Opens and seals every message by itself.
fn reseal(messages: &[String], key: &Identity) -> Result<Duration, String> {
    let begun = Instant::now();
    for message in messages {
        let mut plain = Vec::new();
        let decryptor = age::Decryptor::new(ArmoredReader::new(message.as_bytes())).map_err(text)?;
        let mut reader = decryptor.decrypt(std::iter::once(key as &dyn age::Identity)).map_err(text)?;
        reader.read_to_end(&mut plain).map_err(text)?;
        let recipient = key.to_public();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .map_err(text)?;
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).map_err(text)?;
        let mut writer = encryptor.wrap_output(armor).map_err(text)?;
        writer.write_all(&plain).map_err(text)?;
        writer.finish().and_then(ArmoredWriter::finish).map_err(text)?;
    }
    Ok(begun.elapsed())
}

/// The messages, each in a file of its own, and the key beside them.
struct Files {
    messages: Vec<PathBuf>,
    key: PathBuf,
    recipient: String,
}

impl Files {
    fn of(world: &World, messages: &[String], key: &Identity) -> Result<Self, String> {
        let (_, key_file) = world.export_item()?;
        let mut files = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            let file = world.path(format!("message-{number}.age"));
            std::fs::write(&file, message).map_err(text)?;
            files.push(file);
        }
        Ok(Self { messages: files, key: key_file, recipient: key.to_public().to_string() })
    }

    fn reseal(&self, age: &Path) -> Result<Duration, String> {
        let begun = Instant::now();
        for message in &self.messages {
            let mut open = Command::new(age);
            open.args(["-d", "-i"]).arg(&self.key).arg(message).stdout(Stdio::piped());
            let mut open = open.spawn().map_err(text)?;
            let plain = open.stdout.take().ok_or("its output is a pipe")?;
            let mut seal = Command::new(age);
            let seal = seal.args(["-a", "-r", &self.recipient]).stdin(plain).stdout(Stdio::null());
            let statuses = [seal.status().map_err(text)?, open.wait().map_err(text)?];
            if !statuses.iter().all(std::process::ExitStatus::success) {
                return Err(format!("age: {statuses:?}"));
            }
        }
        Ok(begun.elapsed())
    }
}
