//! `vault api`: a request with the profile's token, sent only where that token may go.

mod answer;
mod content;
mod words;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

use crate::cli::args::{ProfileArg, duration};
use crate::cli::error::Failure;
use crate::cli::progress::Progress;
use crate::cli::session::Session;
use crate::domain::{Host, ProfileName};
use crate::oauth::resource::{Header, Limits, Method};
use crate::ops::api::{self, Asked, Need, Pass, exchange};
use crate::system::check_free;
use content::{Content, Field};
use words::Words;

/// Send a request with the profile's token
///
/// The token goes only to hosts of the provider's own APIs, and to those that were allowed with `--allow-host`;
/// it is in no argument list, and no redirect takes it to another host. The answer is written to standard output
/// as it comes, whatever its status; the exit code tells how it went.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
NAME, METHOD and URL are told apart by their looks: a method is in capitals, a
URL begins with https://. Without a method it is GET, or POST with a body.

Examples:
  vault api https://gmail.googleapis.com/gmail/v1/users/me/profile
  vault api work GET https://www.googleapis.com/drive/v3/files -f pageSize=5
  vault api https://tasks.googleapis.com/tasks/v1/users/@me/lists -f title=Home
  vault api PUT https://a.example.com/7 -d @7.jpg --allow-host a.example.com
  vault api \"https://www.googleapis.com/drive/v3/about?fields=*\" -o about.json

Exit codes:
  0  an answer of 2xx
  7  4xx; a redirect that was not followed; a host that may not have the token
  8  408, 429, 5xx; an answer that does not come, or is broken off")]
pub(super) struct Args {
    /// The profile [default: VAULT_PROFILE, else the default profile]
    #[arg(value_name = "NAME", add = crate::cli::complete::profiles())]
    first: Option<String>,
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS
    #[arg(value_name = "METHOD")]
    second: Option<String>,
    /// Where the request goes
    #[arg(value_name = "URL")]
    third: Option<String>,
    /// The same as NAME
    #[arg(short = 'p', long = "profile", value_name = "NAME", add = crate::cli::complete::profiles())]
    profile: Option<ProfileName>,

    /// The body: a text, or @FILE, or @- for standard input
    #[arg(short, long, value_name = "TEXT", conflicts_with = "input", allow_hyphen_values = true)]
    data: Option<String>,
    /// The body: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// A text in a JSON body; in the query, if the method is GET, HEAD, DELETE or OPTIONS or there is a body
    #[arg(short, long, value_name = "KEY=TEXT", value_parser = content::text_field)]
    field: Vec<Field>,
    /// The same with a value that is JSON: a number, true, null, a list
    #[arg(short = 'F', long, value_name = "KEY=JSON", value_parser = content::json_field)]
    json_field: Vec<Field>,
    /// A header of the request, such as 'Accept: text/csv'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Header>,

    /// Let the profile's token go to this host, the one of URL, from now on
    #[arg(long, value_name = "HOST")]
    allow_host: Option<Host>,
    /// Send the profile's API key too, to APIs of Google
    #[arg(long)]
    api_key: bool,
    /// Count the request for this Google Cloud project [default: that of the profile]
    #[arg(long, value_name = "PROJECT", value_parser = super::edit::project)]
    quota_project: Option<String>,
    /// Follow redirects of GET and HEAD; the token goes along only within the same host
    #[arg(short = 'L', long)]
    follow: bool,

    /// Show status and headers before the body
    #[arg(short, long)]
    include: bool,
    /// Write the body of a successful answer into this new file; - is standard output as it is
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Let that file take the place of another
    #[arg(long, requires = "output")]
    force: bool,
    /// How long all of it may take, such as 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_time: Option<SignedDuration>,
    /// How long the server may say nothing
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    idle_time: SignedDuration,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let begun = Instant::now();
    let words = Words::read([&args.first, &args.second, &args.third].into_iter().flatten())?;
    let profile = words.profile(args.profile.clone())?;
    let (url, fields) = content::split(&args, &words)?;
    let content = Content::of(&args, fields)?;
    let method = words.method.unwrap_or_else(|| content.usual_method());
    let need = need(&args, &url)?;
    if let Some(file) = args.file().filter(|_| !args.force) {
        check_free(file).map_err(crate::ops::Error::from)?;
    }
    let mut asked =
        Asked { method, url, headers: args.headers.clone(), follow: args.follow, limits: args.limits(begun) };
    let body = content.open()?;
    asked.headers.extend(body.as_ref().and_then(|body| body.kind_for(&args.headers)));
    let body = body.map(|body| body.shown_in(args.progress(session, "Sent")));

    let mut pass = session.unlocked(|ctx, vault| {
        let name = ProfileArg::of(profile).resolve(session, ctx, vault)?;
        Ok(api::pass(ctx, vault, &name, &need)?)
    })?;
    tell_allowed(session, &pass);
    let mut exchanged = exchange(session.http(), &pass, &asked, body)?;
    if exchanged.refuses_token() && pass.is_cached && content.is_repeatable() {
        log::info!("the server does not accept the cached token; asking for a new one");
        let body = content.open()?.map(|body| body.shown_in(args.progress(session, "Sent")));
        pass = session.unlocked(|ctx, vault| Ok(api::renewed_pass(ctx, vault, &pass, &need)?))?;
        exchanged = exchange(session.http(), &pass, &asked, body)?;
    }
    let is_head = method == Method::Head;
    answer::deliver(session, &args, is_head, exchanged, &pass)
}

fn need(args: &Args, url: &url::Url) -> Result<Need, Failure> {
    if let Some(allowed) = &args.allow_host {
        let host = api::host_of(url)?;
        if *allowed != host {
            return Err(Failure::usage(format!("`--allow-host` names {allowed}, and the URL is at {host}"))
                .hint("name the host of the URL, with its port if it has one, and no other"));
        }
    }
    Ok(Need {
        url: url.clone(),
        allow_host: args.allow_host.is_some(),
        api_key: args.api_key,
        project: args.quota_project.clone(),
    })
}

fn tell_allowed(session: &Session, pass: &Pass) {
    if let Some(host) = &pass.allowed {
        let name = &pass.profile;
        session.output.say(&format!(
            "The token of profile `{name}` may go to {host} from now on. To take that back: vault edit {name} \
             --unbind api={host}"
        ));
    }
}

impl Args {
    /// The file that the answer goes to, if it goes to one.
    fn file(&self) -> Option<&PathBuf> {
        self.output.as_ref().filter(|path| path.as_os_str() != "-")
    }

    /// A progress line, unless an answer is read on the same terminal: each would spoil the other.
    fn progress(&self, session: &Session, what: &'static str) -> Progress {
        let is_beside = self.file().is_some() || !io::stdout().is_terminal();
        if is_beside { session.output.progress(what) } else { Progress::new(what, false) }
    }

    fn limits(&self, begun: Instant) -> Limits {
        let deadline = self.max_time.and_then(|time| begun.checked_add(time.unsigned_abs()));
        Limits { idle: self.idle_time.unsigned_abs().max(Duration::from_millis(1)), deadline }
    }
}
