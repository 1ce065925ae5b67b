//! `vault setup`: tells another program to take its tokens from here.

mod arguments;
mod told;

use std::path::PathBuf;

use jiff::Timestamp;

use crate::cli::environment::tool_places;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::{Host, Profile, ProfileName, Use};
use crate::ops::setup::change::{FileChange, prospects};
use crate::ops::setup::places::{self, Places};
use crate::ops::setup::{self, Plan, Registry, Wish, links};
use crate::ops::{self, Context, Unlocked, hosts, registry};
pub(super) use arguments::Args;
use arguments::Request;
use told::Told;

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let request = args.tool.request();
    let places = tool_places(session.home().to_owned(), session.runtime_dir());
    session.with(|ctx| {
        let setup = Setup { session, ctx, request: &request, places: &places };
        match () {
            () if request.common.undo => setup.undo(),
            () if request.common.write => setup.write(),
            () => setup.print(),
        }
    })
}

/// One run of it.
struct Setup<'a> {
    session: &'a Session,
    ctx: Context<'a>,
    request: &'a Request,
    places: &'a Places,
}

/// What is to be done, and has not been done yet.
struct Work {
    profile: ProfileName,
    plan: Plan,
    files: Vec<FileChange>,
    /// Of the plan's hosts, those that are to be bound, or unbound.
    hosts: Vec<(Use, Host)>,
    /// The link that is to be made, or taken away.
    link: Option<PathBuf>,
}

impl Work {
    fn is_nothing(&self) -> bool {
        self.hosts.is_empty() && self.link.is_none() && !self.files.iter().any(FileChange::is_needed)
    }
}

impl Setup<'_> {
    /// Shows the lines, for facts that have not been verified. Changes nothing.
    fn print(&self) -> Result<(), Failure> {
        let name = self.request.common.profile.resolve_unverified(self.session, self.ctx)?;
        let facts = registry::show(self.ctx, &name)?.profile;
        let plan = self.plan(&name, Some(facts), false)?;
        Told { tool: self.request.tool, profile: &name, plan: &plan }.print(self.session)
    }

    /// Writes them, for facts that have been verified.
    fn write(&self) -> Result<(), Failure> {
        let vault = self.unlock()?;
        let name = self.request.common.profile.resolve(self.session, self.ctx, &vault)?;
        let facts = setup::verified(self.ctx, &vault, &name)?;
        let plan = self.plan(&name, Some(facts.clone()), false)?;
        let is_new = |(need, host): &&(Use, Host)| !facts.is_bound_to(*need, host);
        let work = Work {
            files: prospects(&plan, false).map_err(ops::Error::from)?,
            hosts: plan.hosts.iter().filter(is_new).cloned().collect(),
            link: self.missing_link()?,
            profile: name,
            plan,
        };
        self.consent(&work)?;
        // First what is refused where the vault is at fault: no tool then calls a helper that has no answer.
        if !work.hosts.is_empty() {
            hosts::bind(self.ctx, &vault, &work.profile, work.hosts.clone())?;
        }
        let written = self.make_link(&work).and_then(|()| self.apply(&work));
        let copies = written.inspect_err(|_| self.take_back(&vault, &work))?;
        told::done(self.session, self.request, &work, &copies)
    }

    fn make_link(&self, work: &Work) -> Result<(), Failure> {
        let Some(link) = &work.link else { return Ok(()) };
        Ok(links::make(self.places, link).map_err(ops::Error::from)?)
    }

    /// Where the tool could not be told, its host gets no token and it finds no helper.
    fn take_back(&self, vault: &Unlocked, work: &Work) {
        if !work.hosts.is_empty()
            && let Err(error) = hosts::unbind(self.ctx, vault, &work.profile, work.hosts.clone())
        {
            log::warn!("the token of `{}` may go to the hosts nevertheless: {error}", work.profile);
        }
        if let Some(link) = work.link.as_ref().filter(|link| self.places.is_ours(link))
            && let Err(error) = links::remove(link)
        {
            log::warn!("{error}");
        }
    }

    /// Takes away what was written. A profile that is gone has left its lines behind.
    fn undo(&self) -> Result<(), Failure> {
        let name = match self.request.common.profile.typed() {
            Some(name) => name.clone(),
            None => self.request.common.profile.resolve_unverified(self.session, self.ctx)?,
        };
        let seen = registry::show(self.ctx, &name).ok().map(|facts| facts.profile);
        let plan = self.plan(&name, seen.clone(), true)?;
        let files = prospects(&plan, true).map_err(ops::Error::from)?;
        let is_bound =
            |(need, host): &&(Use, Host)| seen.as_ref().is_some_and(|it| it.is_bound_to(*need, host));
        let hosts = plan.hosts.iter().filter(is_bound).cloned().collect();
        let work = Work { link: self.needless_link(&files), files, hosts, profile: name, plan };
        self.consent(&work)?;
        if !work.hosts.is_empty() {
            hosts::unbind(self.ctx, &self.unlock()?, &work.profile, work.hosts.clone())?;
        }
        let copies = self.apply(&work)?;
        if let Some(link) = &work.link {
            links::remove(link).map_err(ops::Error::from)?;
        }
        told::done(self.session, self.request, &work, &copies)
    }

    fn unlock(&self) -> Result<Unlocked, Failure> {
        Ok(ops::Vault::open(self.ctx)?.unlock(self.ctx)?)
    }

    fn plan(&self, name: &ProfileName, facts: Option<Profile>, is_undo: bool) -> Result<Plan, Failure> {
        let wish = self.wish(name, facts)?;
        // A profile that is gone may have been bound to anything; git and cargo name it in the file.
        let is_known = wish.facts.is_some() || wish.tool != setup::Tool::Docker;
        let needs_host = wish.tool.need().is_some() && !(is_undo && is_known);
        if needs_host && wish.meant_hosts().is_empty() {
            return Err(Failure::usage(format!("no host was named for {}", wish.tool.as_str()))
                .hint(hint_of_host(wish.tool)));
        }
        Ok(setup::plan(&wish, self.places, is_undo)?)
    }

    fn wish(&self, name: &ProfileName, facts: Option<Profile>) -> Result<Wish, Failure> {
        let request = self.request;
        let options = self.options()?;
        let program = self.places.command().map_err(ops::Error::from)?;
        let mut wish = Wish {
            tool: request.tool,
            profile: name.clone(),
            shared: self.shared_hosts(name),
            facts,
            hosts: request.hosts.clone(),
            registry: request.registry.clone(),
            mail: request.mail.clone(),
            remote: request.remote.clone(),
            envrc: request.envrc.clone(),
            file: request.common.file.clone(),
            vault: std::iter::once(program).chain(options.iter().cloned()).collect::<Vec<_>>().join(" "),
            options,
        };
        if let (Some(registry), true) = (&wish.registry, wish.hosts.is_empty()) {
            wish.hosts.extend(self.host_of(registry, &wish)?);
        }
        Ok(wish)
    }

    /// A vault that is not in the usual place is named wherever vault is.
    fn options(&self) -> Result<Vec<String>, Failure> {
        let Some(chosen) = self.session.chosen_vault_dir() else { return Ok(Vec::new()) };
        let plain = places::plain(&chosen).ok_or_else(|| {
            Failure::usage(format!("{} cannot be written into a configuration", chosen.display()))
                .hint("choose a directory without spaces and special characters for the vault")
        })?;
        Ok(vec!["--vault-dir".to_owned(), plain.to_owned()])
    }

    /// Hosts that others are bound to as well, as they are listed.
    fn shared_hosts(&self, name: &ProfileName) -> std::collections::BTreeSet<Host> {
        let others = registry::list(self.ctx).unwrap_or_default().into_iter().filter(|it| it.name != *name);
        let facts = others.filter_map(|it| Some(it.profile.ok()?.profile));
        let bound = |facts: Profile| facts.hosts.get(&self.request.tool.need()?).cloned();
        facts.filter_map(bound).flatten().collect()
    }

    /// The host of a registry's index, as it was typed, or as cargo's configuration has it.
    fn host_of(&self, registry: &Registry, wish: &Wish) -> Result<Option<Host>, Failure> {
        let index = match &registry.index {
            Some(index) => Some(index.clone()),
            None => setup::known_index(wish, self.places, registry).map_err(ops::Error::from)?,
        };
        let Some(index) = index else { return Ok(None) };
        let url = index.strip_prefix("sparse+").unwrap_or(&index).parse::<url::Url>().ok();
        url.as_ref().and_then(Host::of_url).map(Some).ok_or_else(|| {
            Failure::usage(format!("the index {index:?} is not at a host"))
                .hint("name the host with `--host`")
        })
    }

    fn missing_link(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(helper) = self.request.tool.helper() else { return Ok(None) };
        let missing = links::missing(self.places, helper, self.request.bin_dir.as_deref());
        Ok(missing.map_err(ops::Error::from)?)
    }

    fn needless_link(&self, files: &[FileChange]) -> Option<PathBuf> {
        let tool = self.request.tool;
        // No file was looked at where others need all that is in it; where one was named, the usual one counts too.
        let is_used = files.is_empty()
            || self.request.common.file.is_some() && links::is_used_by_itself(tool, self.places)
            || files.iter().any(|file| links::is_used(tool, file.after().unwrap_or_default()));
        let made = links::made(self.places, tool.helper()?, self.request.bin_dir.as_deref());
        made.filter(|_| !is_used)
    }

    /// Shows what is to be done, and asks a person at a terminal. Elsewhere `--write` and `--undo` say enough.
    fn consent(&self, work: &Work) -> Result<(), Failure> {
        told::show(self.session, work, self.request.common.undo);
        if work.is_nothing() || self.request.common.yes || !self.session.may_ask() {
            return Ok(());
        }
        match self.session.terminal().confirm_plainly("Do this?") {
            true => Ok(()),
            false => Err(Failure::new(Code::Cancelled, "nothing was changed")),
        }
    }

    /// Writes the files; where the copies of what was there are.
    fn apply(&self, work: &Work) -> Result<Vec<Option<PathBuf>>, Failure> {
        let now: Timestamp = self.ctx.clock.now();
        let needed = work.files.iter().filter(|file| file.is_needed());
        needed.map(|file| Ok(file.apply(now).map_err(ops::Error::from)?)).collect()
    }
}

fn hint_of_host(tool: setup::Tool) -> &'static str {
    match tool {
        setup::Tool::Cargo => {
            "say where the index of the registry is, as in `--index sparse+https://crates.example.com/index/`"
        }
        setup::Tool::Docker => {
            "name the registry that the token is for, as in `--host europe-docker.pkg.dev`"
        }
        _ => "name the host that the token is for, as in `--host git.example.com`",
    }
}
