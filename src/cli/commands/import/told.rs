//! What is said of what would be, or was, taken in.

use serde_json::{Value, json};

use super::replace::{self, Fates};
use crate::cli::error::Failure;
use crate::cli::hints::typed;
use crate::cli::session::Session;
use crate::cli::table::{Cell, table};
use crate::domain::{Client, ClientAuth, Profile};
use crate::ops::import::{Already, Imported, Known, Plan, Step};

/// Logins that nothing could be made of, beside others.
pub(super) fn left_out(session: &Session, logins: &[String]) {
    for why in logins {
        session.output.warn(&format!("left out a login: {why}; name it with `--client NAME`"));
    }
}

/// What would be made.
pub(super) fn planned(session: &Session, plan: &Plan) -> Result<(), Failure> {
    left_out(session, &plan.left_out);
    if session.output.json {
        let steps = plan.steps.iter().map(|step| {
            thing(&step.source, step.kind, &step.client, step.client_is_new, step.profile.as_ref(), step.tool)
        });
        let already = plan.already.iter().map(in_vault);
        return session.output.json("imports", Value::Array(steps.chain(already).collect()));
    }
    session.output.answer(&preview_table(session, plan))?;
    tell_already(session, &plan.already);
    session.output.say("Nothing was made. Without `--dry-run` it will be.");
    Ok(())
}

/// The same before the question whether to go on.
pub(super) fn preview(session: &Session, plan: &Plan) {
    session.output.say(preview_table(session, plan).trim_end());
}

fn preview_table(session: &Session, plan: &Plan) -> String {
    let rows = plan.steps.iter().map(row).collect();
    table(&["PROFILE", "ACCOUNT", "CLIENT", "FROM", "FORM"], rows, session.output.look())
}

fn row(step: &Step) -> Vec<Cell> {
    let profile = step.profile.as_ref();
    let client = match step.client_is_new {
        true => format!("{} (new)", step.client.name),
        false => step.client.name.to_string(),
    };
    vec![
        Cell::optional(profile.map(|profile| profile.name.to_string())),
        Cell::optional(profile.and_then(|profile| profile.account.label()).map(str::to_owned)),
        client.into(),
        step.source.as_str().into(),
        step.kind.into(),
    ]
}

/// What was made, and what lies about all the same.
pub(super) fn made(
    session: &Session,
    made: &[Imported],
    already: &[Already],
    plain: &[String],
    fates: &Fates,
) -> Result<(), Failure> {
    for tool in tools(made) {
        session.output.warn(&format!(
            "the client is that of {tool}, shared by all its users: it may stop working for other programs at any time, \
             and `vault rotate client-secret` cannot renew it"
        ));
    }
    if session.output.json {
        let things = made.iter().map(|it| {
            let mut thing =
                thing(&it.source, it.kind, &it.client, it.client_is_new, it.profile.as_ref(), it.tool);
            thing["checked"] = json!(it.is_proven);
            thing
        });
        let mut things: Vec<Value> = things.chain(already.iter().map(in_vault)).collect();
        things.iter_mut().for_each(|thing| note_fate(thing, fates));
        session.output.json("imports", Value::Array(things))?;
        return replace::tell(session, fates);
    }
    made.iter().for_each(|imported| tell(session, imported));
    tell_already(session, already);
    if fates.is_empty() {
        plain.iter().for_each(|place| session.output.say(&still_there(place)));
    }
    replace::tell(session, fates)
}

/// What became of the file that a thing was in.
fn note_fate(thing: &mut Value, fates: &Fates) {
    let source = std::path::absolute(thing["source"].as_str().unwrap_or_default()).unwrap_or_default();
    if let Some((_, fate)) = fates.iter().find(|(path, _)| *path == source) {
        thing["file"] = json!(replace::word(fate));
    }
}

fn tools(made: &[Imported]) -> Vec<&'static str> {
    let mut tools: Vec<&str> = made.iter().filter_map(|imported| imported.tool).collect();
    tools.sort_unstable();
    tools.dedup();
    tools
}

fn tell(session: &Session, imported: &Imported) {
    let Some(profile) = &imported.profile else {
        let name = &imported.client.name;
        let (key, scope) = match imported.client.client_auth {
            ClientAuth::Assertion => (", the key of a service account,", " --scope cloud-platform"),
            _ => ("", ""),
        };
        session.output.say(&format!(
            "Client `{name}`{key} is stored. Use it with: vault add-profile NAME --client {name}{scope}"
        ));
        return;
    };
    let account = profile.account.label().map_or_else(String::new, |account| format!(" of {account}"));
    let proof = if imported.is_proven { "; the provider accepts its login" } else { "" };
    session.output.say(&format!(
        "Profile `{0}`{account} is stored, with client `{1}`{proof}. Try: vault token {0}",
        profile.name, imported.client.name
    ));
}

fn tell_already(session: &Session, already: &[Already]) {
    for one in already {
        let what = match &one.known {
            Known::Login(name) => format!("its login is in profile `{name}` already"),
            Known::OtherLogin(name) => format!("another login of its account is in profile `{name}` already"),
            Known::Client(name) => format!("its client is in the vault already, as `{name}`"),
        };
        session.output.say(&format!("Left out {}: {what}", one.file));
    }
}

fn still_there(place: &str) -> String {
    if place == "the environment" {
        return "The variables are still set: unset them, and take them out of the start files of your shell"
            .to_owned();
    }
    format!(
        "{place} still lies there in plain text. `vault import --replace {}` takes it away, once all of it is proven to \
         be in the vault",
        typed(place)
    )
}

fn thing(
    source: &str,
    kind: &str,
    client: &Client,
    client_is_new: bool,
    profile: Option<&Profile>,
    tool: Option<&str>,
) -> Value {
    let mut thing = json!({
        "source": source,
        "kind": kind,
        "client": client.name,
        "client_id": client.client_id,
        "client_is_new": client_is_new,
        "provider": client.provider,
    });
    if let Some(tool) = tool {
        thing["tool"] = json!(tool);
    }
    if let Some(profile) = profile {
        thing["profile"] = json!(profile.name);
        thing["account"] = json!(profile.account);
        thing["scopes"] = json!(profile.scopes.granted);
    }
    thing
}

fn in_vault(already: &Already) -> Value {
    let name = already.known.name();
    let what = if matches!(already.known, Known::Client(_)) { "client" } else { "profile" };
    json!({ "source": already.file, what: name, "is_in_vault": true })
}
