//! The token endpoints of `vault serve` with a cached token, beside the least that a server does.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Deserializer, Value, json};
use url::Url;

use crate::Size;
use crate::builds::Build;
use crate::counts::mebibytes;
use crate::load::Load;
use crate::measure::percentile;
use crate::page::{Page, milliseconds};
use crate::server::Server;
use crate::world::{World, text};

/// The word that makes this program a server that says the same to everybody.
pub const BARE: &str = "--bare-server";

/// So many ask at the same time.
const ASKERS: usize = 8;

/// How many requests a contestant gets in one turn.
const TURN: usize = 500;

/// What is said to everybody: as long as the answer of a token endpoint.
const SAID: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 130\r\nConnection: close\r\n\r\n";

/// Requests per second and how long they take, then the memory after many.
pub fn compare(page: &Page, builds: &[Build], size: &Size, server: &Server) -> Result<(), String> {
    let bare = Running::start(Command::new(std::env::current_exe().map_err(text)?).arg(BARE))?;
    let mut worlds = Vec::new();
    for build in builds {
        let world = World::new(&build.file, server, &[])?;
        let running =
            Running::start(&mut world.command(&build.file, &["serve", "work", "--json", "--quiet"]))?;
        worlds.push((build, running, world));
    }
    let mut doors = vec![Door::new("a bare server".to_owned(), &bare, bare.metadata())];
    for (Build { name, .. }, vault, _) in &worlds {
        doors.push(Door::new(format!("token exchange, {name}"), vault, vault.exchange()));
        doors.push(Door::new(format!("metadata server, {name}"), vault, vault.metadata()));
    }
    take_turns(&mut doors, size)?;
    let unit = &doors[0].figures();
    let rows: Vec<_> = doors.iter().map(|door| door.row(unit)).collect();
    let heads = [
        "",
        "requests per second",
        "median, ms",
        "p99, ms",
        "CPU, ms",
        "ratio",
        "ratio of p99",
        "ratio of CPU",
    ];
    page.table(&format!("A cached token of `vault serve`, {ASKERS} at a time"), &heads, &rows);
    memory(page, size, &worlds)
}

/// A B C A B C, so that whatever else the machine does hits all alike. The first round only warms up.
fn take_turns(doors: &mut [Door<'_>], size: &Size) -> Result<(), String> {
    let rounds = size.rounds.div_ceil(20);
    for round in 0..=rounds {
        for door in &mut *doors {
            door.ask(TURN.min(size.served), round > 0)?;
        }
    }
    Ok(())
}

/// The resident set of each server, before and after many requests.
fn memory(page: &Page, size: &Size, worlds: &[(&Build, Running, World)]) -> Result<(), String> {
    let mut rows = Vec::new();
    for (build, vault, _) in worlds {
        let before = vault.memory("VmRSS:")?;
        Door::new(String::new(), vault, vault.exchange()).ask(size.served, false)?;
        let cells = [before, vault.memory("VmRSS:")?, vault.memory("VmHWM:")?].map(mebibytes);
        rows.push([vec![build.name.clone()], cells.to_vec()].concat());
    }
    let title = format!("Memory of `vault serve` after {} more requests, MiB", size.served);
    page.table(&title, &["", "before", "after", "peak"], &rows);
    Ok(())
}

/// One thing that is asked of a server, and what that took.
struct Door<'a> {
    name: String,
    server: &'a Running,
    request: String,
    took: Vec<Duration>,
    elapsed: Duration,
    processor: Duration,
}

/// What is compared, each in seconds.
struct Figures {
    whole: f64,
    median: Duration,
    slowest: Duration,
    processor: f64,
}

impl<'a> Door<'a> {
    fn new(name: String, server: &'a Running, request: String) -> Self {
        let (took, elapsed, processor) = Default::default();
        Self { name, server, request, took, elapsed, processor }
    }

    /// So many requests, which count or not.
    fn ask(&mut self, times: usize, counts: bool) -> Result<(), String> {
        let load = Load {
            server: self.server.address,
            request: self.request.as_bytes(),
            askers: ASKERS,
            pace: None,
        };
        let (begun, used) = (Instant::now(), self.server.processor()?);
        let took = load.run(times, time_of).map_err(text)?.into_iter().collect::<Result<Vec<_>, _>>()?;
        if counts {
            self.elapsed += begun.elapsed();
            self.processor += self.server.processor()?.saturating_sub(used);
            self.took.extend(took);
        }
        Ok(())
    }

    fn figures(&self) -> Figures {
        let each = |whole: Duration| whole.as_secs_f64() / self.took.len() as f64;
        Figures {
            whole: each(self.elapsed),
            median: percentile(&self.took, 50),
            slowest: percentile(&self.took, 99),
            processor: each(self.processor),
        }
    }

    fn row(&self, unit: &Figures) -> Vec<String> {
        let figures = self.figures();
        vec![
            self.name.clone(),
            format!("{:.0}", 1.0 / figures.whole),
            milliseconds(figures.median),
            milliseconds(figures.slowest),
            format!("{:.3}", figures.processor * 1000.0),
            format!("{:.2}", figures.whole / unit.whole),
            format!("{:.2}", figures.slowest.as_secs_f64() / unit.slowest.as_secs_f64()),
            format!("{:.2}", figures.processor / unit.processor),
        ]
    }
}

fn time_of(took: Duration, answer: Vec<u8>) -> Result<Duration, String> {
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(took)
    } else {
        Err(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// A server in a process of its own, which ends with this.
struct Running {
    process: Child,
    address: SocketAddr,
    secret: String,
}

impl Running {
    /// Starts one that says as `vault serve --json` where it is.
    fn start(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(text)?;
        let stdout = process.stdout.take().ok_or("its output is a pipe")?;
        let said = Value::deserialize(&mut Deserializer::from_reader(stdout)).map_err(text)?;
        let url = said["servers"][0]["token_url"].as_str().ok_or("it does not say where it is")?;
        let url: Url = url.parse().map_err(text)?;
        let port = url.port().ok_or("its address has a port")?;
        let secret = url.path_segments().and_then(|mut path| path.next()).unwrap_or_default().to_owned();
        Ok(Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), secret })
    }

    fn metadata(&self) -> String {
        format!(
            "GET /{}/computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\nHost: {}\r\nMetadata-Flavor: Google\r\n\r\n",
            self.secret, self.address
        )
    }

    fn exchange(&self) -> String {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&requested_token_type=urn:ietf:params:oauth:token-type:access_token&subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token={}",
            self.secret
        );
        format!(
            "POST /v1/token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        )
    }

    /// A size that the kernel knows of it, in KiB.
    fn memory(&self, name: &str) -> Result<u64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).map_err(text)?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("it has ended")?;
        line.trim().trim_end_matches(" kB").parse().map_err(text)
    }

    /// The processor time that it has used (proc_pid_stat(5), fields 14 and 15).
    fn processor(&self) -> Result<Duration, String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).map_err(text)?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u32 = fields.map(|ticks| ticks.parse::<u32>().unwrap_or_default()).sum();
        // A hundredth of a second on every machine of today.
        Ok(Duration::from_millis(10) * ticks)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server of the fewest lines: a thread for each connection, a head that is parsed, an answer of the usual length.
pub fn bare() -> ExitCode {
    let serve = || -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}/nothing/token", listener.local_addr()?);
        println!("{}", json!({ "servers": [{ "token_url": url }] }));
        loop {
            let (stream, _) = listener.accept()?;
            thread::spawn(move || answer(stream));
        }
    };
    serve().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (mut bytes, mut length) = ([0; 8192], 0);
    loop {
        length += stream.read(&mut bytes[length..])?;
        let mut fields = [httparse::EMPTY_HEADER; 16];
        if matches!(
            httparse::Request::new(&mut fields).parse(&bytes[..length]),
            Ok(httparse::Status::Complete(_))
        ) {
            stream.write_all(format!("{SAID}{:130}", "").as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            return stream.read(&mut bytes).map(|_| ());
        }
    }
}
