//! How `vault setup` is called, for each tool.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::args::ProfileArg;
use crate::domain::Host;
use crate::ops::setup::{Mail, Registry, Remote, Tool};

/// Tell another program to take its tokens from here
///
/// Prints the few lines that the program needs, and where they go. With `--write` they are written there, after
/// showing the change and, on a terminal, asking; a copy of the file is kept beside it. `--undo` takes away again
/// what was written, and nothing else.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault setup git work --host git.example.com            see what would be written
  vault setup git work --host git.example.com --write    write it
  vault setup git work --undo                            take it away again")]
pub(in crate::cli::commands) struct Args {
    #[command(subcommand)]
    pub(super) tool: ToolArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ToolArgs {
    /// git: clone, fetch and push over https
    Git(HostArgs),
    /// docker and others that read its configuration: podman, skopeo, crane, helm
    Docker(HostArgs),
    /// kubectl and others that read a kubeconfig: helm, k9s
    Kubectl(LinkedArgs),
    /// cargo: read from a registry and publish there
    Cargo(CargoArgs),
    /// gcloud: a named configuration for use with `vault exec`
    Gcloud(Common),
    /// msmtp: send mail
    Msmtp(MailArgs),
    /// mbsync: fetch mail
    Mbsync(MailArgs),
    /// neomutt and mutt: read and send mail
    Neomutt(MailArgs),
    /// rclone: a remote that has no secret
    Rclone(RcloneArgs),
    /// direnv: variables in a directory
    Direnv(DirenvArgs),
    /// systemd: `vault serve` as a service of this user
    Systemd(Common),
}

/// What every tool takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub profile: ProfileArg,
    /// Write it, after showing the change; without a terminal nobody is asked
    #[arg(long, conflicts_with = "undo")]
    pub write: bool,
    /// Take away again what `--write` has written
    #[arg(long)]
    pub undo: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// Another file than the one that the tool itself would use
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// For tools that look for a helper by its name.
#[derive(Debug, clap::Args)]
pub(super) struct LinkedArgs {
    #[command(flatten)]
    common: Common,
    /// Where the link goes by which the tool finds vault [default: ~/.local/bin]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    bin_dir: Option<PathBuf>,
}

/// For tools that send the token to hosts.
#[derive(Debug, clap::Args)]
pub(super) struct HostArgs {
    #[command(flatten)]
    linked: LinkedArgs,
    /// A host that gets the token, exactly; as often as you like [default: those that the profile has]
    #[arg(long = "host", value_name = "HOST[:PORT]")]
    hosts: Vec<Host>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CargoArgs {
    #[command(flatten)]
    inner: HostArgs,
    /// The name of the registry, as in `cargo publish --registry NAME`
    #[arg(long, value_name = "NAME", required_unless_present = "undo", value_parser = registry_name)]
    registry: Option<String>,
    /// Where its index is, if cargo does not know it yet: `sparse+https://HOST/PATH`
    #[arg(long, value_name = "URL", requires = "registry")]
    index: Option<String>,
}

fn registry_name(typed: &str) -> Result<String, &'static str> {
    let why = "a registry is named with letters, digits, `-` and `_`";
    Registry::is_name(typed).then(|| typed.to_owned()).ok_or(why)
}

#[derive(Debug, clap::Args)]
pub(super) struct MailArgs {
    #[command(flatten)]
    common: Common,
    /// The mail server [default: Gmail's for a profile of google]
    #[arg(long, value_name = "HOST[:PORT]")]
    host: Option<Host>,
    /// The user there [default: the profile's account]
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct RcloneArgs {
    #[command(flatten)]
    common: Common,
    /// What the remote is called [default: the name of the profile]
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Its kind
    #[arg(long = "type", value_name = "KIND", default_value = "drive",
          value_parser = ["drive", "google cloud storage", "google photos", "onedrive", "dropbox", "box", "pcloud"])]
    kind: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct DirenvArgs {
    #[command(flatten)]
    common: Common,
    /// Write the line into this file as well
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    envrc: Option<PathBuf>,
}

/// What was asked for.
pub(super) struct Request {
    pub tool: Tool,
    pub common: Common,
    pub hosts: Vec<Host>,
    pub bin_dir: Option<PathBuf>,
    pub registry: Option<Registry>,
    pub mail: Mail,
    pub remote: Option<Remote>,
    pub envrc: Option<PathBuf>,
}

impl Request {
    fn of(tool: Tool, common: Common) -> Self {
        Self {
            tool,
            common,
            hosts: Vec::new(),
            bin_dir: None,
            registry: None,
            mail: Mail::default(),
            remote: None,
            envrc: None,
        }
    }

    fn linked(tool: Tool, args: LinkedArgs) -> Self {
        Self { bin_dir: args.bin_dir, ..Self::of(tool, args.common) }
    }

    fn hosts(tool: Tool, args: HostArgs) -> Self {
        Self { hosts: args.hosts, ..Self::linked(tool, args.linked) }
    }

    fn mail(tool: Tool, args: MailArgs) -> Self {
        let mail = Mail { user: args.user };
        Self { mail, hosts: args.host.into_iter().collect(), ..Self::of(tool, args.common) }
    }
}

impl ToolArgs {
    /// The same for every tool.
    pub(super) fn request(self) -> Request {
        match self {
            Self::Git(args) => Request::hosts(Tool::Git, args),
            Self::Docker(args) => Request::hosts(Tool::Docker, args),
            Self::Kubectl(args) => Request::linked(Tool::Kubectl, args),
            Self::Cargo(CargoArgs { inner, registry, index }) => Request {
                registry: registry.map(|name| Registry::new(name, index)),
                ..Request::hosts(Tool::Cargo, inner)
            },
            Self::Gcloud(common) => Request::of(Tool::Gcloud, common),
            Self::Msmtp(args) => Request::mail(Tool::Msmtp, args),
            Self::Mbsync(args) => Request::mail(Tool::Mbsync, args),
            Self::Neomutt(args) => Request::mail(Tool::Neomutt, args),
            Self::Rclone(RcloneArgs { common, remote: name, kind }) => {
                Request { remote: Some(Remote { name, kind }), ..Request::of(Tool::Rclone, common) }
            }
            Self::Direnv(DirenvArgs { common, envrc }) => {
                Request { envrc, ..Request::of(Tool::Direnv, common) }
            }
            Self::Systemd(common) => Request::of(Tool::Systemd, common),
        }
    }
}
