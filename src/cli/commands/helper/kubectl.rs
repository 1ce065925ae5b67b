//! `vault helper kubectl`: the credential plugin of kubectl, and of whatever else reads a kubeconfig.

use crate::cli::args::ProfileArg;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops::{self, Context, token};
use crate::serve::kubectl::Question;

/// Answer kubectl, helm, k9s and whatever else reads a kubeconfig
#[derive(Debug, clap::Args)]
#[command(after_help = "\
They run it for a user whose `exec` entry names it, and say in the variable
KUBERNETES_EXEC_INFO what they want. The answer is an ExecCredential, v1 or
v1beta1. A passphrase is asked for only where `interactiveMode` allows it.

Set it up:
  vault setup kubectl work --write

What that does, in the kubeconfig:
  users:
  - name: work
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1
        command: vault
        args: [helper, kubectl, --profile, work]
        interactiveMode: IfAvailable")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let question = question(session)?;
    let token = |ctx: Context<'_>| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve_silently(session, ctx, &vault)?;
        Ok(token::token(ctx, &vault, &name, token::Request::default())?)
    };
    let token =
        if question.is_interactive { session.with(token) } else { session.aside("helper kubectl", token) }?;
    session.output.secret_line(&question.answer(&token))
}

fn question(session: &Session) -> Result<Question, Failure> {
    let Some(info) = &session.environment.kubernetes_exec_info else { return Ok(Question::unsaid()) };
    let info = info.to_str().ok_or_else(|| Failure::usage("KUBERNETES_EXEC_INFO is not UTF-8 text"))?;
    Ok(Question::parse(info)?)
}
