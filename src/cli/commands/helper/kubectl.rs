//! `vault helper kubectl`: the credential plugin of kubectl, and of whatever else reads a kubeconfig.

use crate::cli::args::ProfileArg;
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::ops::{self, Context, id_token, token};
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
        interactiveMode: IfAvailable

For a cluster that takes people in by OpenID Connect, the arguments are
  [helper, kubectl, --profile, work, --id-token]
and its --oidc-client-id is the client id of the login.")]
pub(super) struct Args {
    #[command(flatten)]
    profile: ProfileArg,
    /// Answer with an ID token, for clusters that take people in by OpenID Connect
    #[arg(long)]
    id_token: bool,
    /// For whom the ID token is to be: the client id that the cluster names. That of a person is for the client of
    /// the login
    #[arg(long, value_name = "AUDIENCE", requires = "id_token")]
    audience: Option<String>,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let question = question(session)?;
    let token = |ctx: Context<'_>| {
        let vault = ops::Vault::open(ctx)?.unlock(ctx)?;
        let name = args.profile.resolve_silently(session, ctx, &vault)?;
        if args.id_token {
            let request = id_token::Request { audience: args.audience.clone(), ..Default::default() };
            let token = id_token::id_token(ctx, &vault, &name, &request)?;
            return Ok((token.value, Some(token.expires_at)));
        }
        let token = token::token(ctx, &vault, &name, token::Request::default())?;
        Ok((token.value, token.expires_at))
    };
    let (token, expires_at) =
        if question.is_interactive { session.with(token) } else { session.aside("helper kubectl", token) }?;
    session.output.secret_line(&question.answer(&token, expires_at))
}

fn question(session: &Session) -> Result<Question, Failure> {
    let Some(info) = &session.environment.kubernetes_exec_info else { return Ok(Question::unsaid()) };
    let info = info.to_str().ok_or_else(|| Failure::usage("KUBERNETES_EXEC_INFO is not UTF-8 text"))?;
    Ok(Question::parse(info)?)
}
