//! The machine as one process sees it: its disk, its clock, its network.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use vault::oauth::{Http, Obstacle, Request, Response, TransportError};
use vault::system::{Clock, Disk, Facts, OpenFile, Opening};

use crate::disk::{Number, SECTOR, USER};
use crate::fate::Act;
use crate::server::{BEGINNING, Deed, Server};
use crate::world::{Extent, State, World};

/// The log is written by the program when an operation has ended; here there are only operations.
const NO_LOG: &str = "no operation writes the audit log";

/// The machine as one process sees it.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
}

impl Machine {
    /// A request of which a part is nothing.
    fn step<R>(&self, act: Act<'_>, work: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        self.world.step(self.process, act, |state, extent| match extent {
            Extent::Whole => work(state),
            Extent::Part | Extent::Failed => Err(io::ErrorKind::Interrupted.into()),
        })
    }
}

impl Disk for Machine {
    fn user(&self) -> u32 {
        USER
    }

    fn look_at(&self, path: &Path) -> io::Result<Facts> {
        self.step(Act::Look(path), |state| state.disk.look_at(path))
    }

    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn OpenFile>> {
        let act = match how {
            Opening::New => Act::Create(path),
            Opening::Lock => Act::OpenLock(path),
            Opening::Append => unreachable!("{NO_LOG}"),
            Opening::Read | Opening::Sync => Act::Open(path),
        };
        let (number, opened) = self.step(act, |state| {
            let number = match how {
                Opening::New => state.disk.create(path),
                Opening::Lock => state.disk.open(path).or_else(|_| state.disk.create(path)),
                Opening::Read | Opening::Sync => state.disk.open(path),
                Opening::Append => unreachable!("{NO_LOG}"),
            };
            Ok((number?, state.next_opened()))
        })?;
        Ok(Box::new(Opened { machine: self.clone(), path: path.to_owned(), number, opened, position: 0 }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Act::Rename(to), |state| {
            state.check_succession(from, to);
            state.disk.rename(from, to)?;
            state.has_changed(to);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Act::Remove(path), |state| {
            state.disk.remove(path)?;
            state.has_changed(path);
            Ok(())
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Act::Remove(path), |state| state.disk.remove(path))
    }

    fn make_directories(&self, path: &Path) -> io::Result<()> {
        self.step(Act::MakeDirectories(path), |state| state.disk.make_directories(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step(Act::SyncDirectory(path), |state| state.disk.sync_directory(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.step(Act::List(path), |state| state.disk.list(path))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.step(Act::Look(path), |state| state.disk.canonical(path))
    }
}

/// A file that a process has opened.
struct Opened {
    machine: Machine,
    path: PathBuf,
    number: Number,
    opened: u64,
    position: usize,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl OpenFile for Opened {
    fn facts(&self) -> io::Result<Facts> {
        Ok(self.machine.world.state().disk.facts(self.number))
    }

    fn read(&mut self, _expected: u64, limit: u64) -> io::Result<Vec<u8>> {
        self.machine.step(Act::Read(&self.path), |state| {
            let rest = &state.disk.content(self.number)[self.position..];
            Ok(rest[..rest.len().min(limit as usize)].to_vec())
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (number, position) = (self.number, self.position);
        let length = self.machine.world.state().disk.facts(number).length as usize;
        let act = Act::Write(&self.path, position + bytes.len() > length);
        self.machine.world.step(self.machine.process, act, |state, extent| {
            let length = match extent {
                Extent::Whole => bytes.len(),
                // As much as it likes, in the unit of the disk.
                Extent::Part | Extent::Failed => {
                    (state.random.f32() * bytes.len() as f32) as usize / SECTOR * SECTOR
                }
            };
            state.disk.write(number, position, &bytes[..length]);
            Ok(())
        })?;
        self.position += bytes.len();
        Ok(())
    }

    fn append(&mut self, _bytes: &[u8]) -> io::Result<()> {
        unreachable!("{NO_LOG}")
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.position = 0;
        Ok(())
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.machine.step(Act::SetLength(&self.path), |state| {
            state.disk.set_length(self.number, length as usize);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.machine.world.step(self.machine.process, Act::Sync(&self.path), |state, extent| {
            match extent {
                Extent::Whole => state.disk.sync(self.number),
                Extent::Part => {}
                Extent::Failed => state.disk.fail_sync(self.number),
            }
            Ok(())
        })
    }

    fn try_lock(&mut self, alone: bool) -> io::Result<bool> {
        self.machine
            .step(Act::Lock(&self.path), |state| Ok(state.disk.try_lock(self.number, self.opened, alone)))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.machine.world.state().disk.unlock(self.number, self.opened);
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        let state = self.world.state();
        let seconds = BEGINNING + state.wall_offset;
        Timestamp::from_second(seconds).unwrap() + state.time
    }

    fn instant(&self) -> Instant {
        static BEGINNING: OnceLock<Instant> = OnceLock::new();
        *BEGINNING.get_or_init(Instant::now) + self.world.state().time
    }

    fn sleep(&self, time: Duration) {
        self.world.sleep(self.process, time);
    }
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fine,
    /// Nothing arrives, and that is known.
    Unreachable,
    /// Nothing arrives, and that is not known.
    RequestLost,
    /// The server has acted, and its answer does not come back.
    AnswerLost,
    /// The server has acted, and a proxy says something else.
    BadGateway,
    /// The server has acted, and its answer is of no use.
    Garbage,
    /// Only the refresh token of the answer is of use.
    HalfAnswer,
    /// The server says that it cannot, and does nothing.
    Unavailable,
    /// The server does not know the client for a moment.
    ClientUnknown,
    /// The answer takes longer than anybody waits.
    Slow,
}

impl Weather {
    const ODD: [Self; 9] = [
        Self::Unreachable,
        Self::RequestLost,
        Self::AnswerLost,
        Self::BadGateway,
        Self::Garbage,
        Self::HalfAnswer,
        Self::Unavailable,
        Self::ClientUnknown,
        Self::Slow,
    ];

    fn draw(state: &mut State) -> Self {
        let is_odd = state.random.f32() < state.trouble;
        if is_odd { *state.random.choice(&Self::ODD).unwrap() } else { Self::Fine }
    }

    fn reaches_the_server(self) -> bool {
        !matches!(self, Self::Unreachable | Self::RequestLost | Self::Unavailable | Self::ClientUnknown)
    }
}

fn lost() -> TransportError {
    TransportError::Lost { host: "as.example".to_owned(), cause: "connection reset".into() }
}

impl Http for Machine {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let (weather, sent) =
            self.step(Act::Send, |state| Ok(self.deliver(state, request))).map_err(|_| lost())?;
        let latency = self.world.state().random.u64(1..40);
        let takes = if weather == Weather::Slow { request.timeout } else { Duration::from_millis(latency) };
        self.world.sleep(self.process, takes);
        self.step(Act::Receive, |state| Ok(self.receive(state, weather, sent))).map_err(|_| lost())?
    }
}

impl Machine {
    fn deliver(&self, state: &mut State, request: &Request) -> (Weather, Option<Sent>) {
        let weather = Weather::draw(state);
        if !weather.reaches_the_server() {
            state.note(self.process, &format!("the network: {weather:?}"));
            return (weather, None);
        }
        let (deed, response) = state.server.act(request, state.time);
        state.note(self.process, &format!("the server: {deed:?}, the network: {weather:?}"));
        let arrives = match weather {
            Weather::Fine => true,
            // A login takes nothing but a whole answer.
            Weather::HalfAnswer => !Server::is_login(request),
            _ => false,
        };
        let (disk, server) = (&state.disk, &state.server);
        state.ledger.server_acted(self.process, &deed, arrives, server, disk);
        let refresh_token = match deed {
            Deed::Rotated(family) => Some(state.server.families[family].live().to_owned()),
            _ => None,
        };
        (weather, Some(Sent { deed, response, refresh_token, arrives }))
    }

    fn receive(
        &self,
        state: &mut State,
        weather: Weather,
        sent: Option<Sent>,
    ) -> Result<Response, TransportError> {
        let answer = |status, body: &str| Ok(state.server.respond(status, body.to_owned(), state.time));
        let sent = match (weather, sent) {
            (Weather::Unreachable, _) => {
                let host = "as.example".to_owned();
                return Err(TransportError::Unreachable { host, cause: Obstacle::Other("no route".into()) });
            }
            (Weather::Unavailable, _) => return answer(503, ""),
            (Weather::ClientUnknown, _) => return answer(401, r#"{"error":"invalid_client"}"#),
            (Weather::BadGateway, _) => return answer(502, "<html>"),
            (Weather::Garbage, _) => return answer(200, "<html>"),
            (Weather::Fine | Weather::HalfAnswer, Some(sent)) => sent,
            _ => return Err(lost()),
        };
        if sent.arrives
            && let Deed::Rotated(family) | Deed::Answered(family) = sent.deed
        {
            state.ledger.received(self.process, family, sent.refresh_token.clone(), state.time);
        }
        match sent.refresh_token {
            Some(token) if weather == Weather::HalfAnswer => {
                let half = format!(r#"{{"refresh_token":"{token}","token_type":"Bearer"}}"#);
                Ok(state.server.respond(200, half, state.time))
            }
            _ => Ok(sent.response),
        }
    }
}

/// What is on its way back.
struct Sent {
    deed: Deed,
    response: Response,
    refresh_token: Option<String>,
    /// Whether what it brings is of use to who asked.
    arrives: bool,
}
