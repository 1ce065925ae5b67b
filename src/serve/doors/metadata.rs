//! `/computeMetadata/v1/`: what Google's metadata server tells a program on a machine of Compute Engine, as far
//! as the clients ask for it (<https://cloud.google.com/compute/docs/metadata/querying-metadata>). The account of
//! the profile stands in the place of the service account.

use percent_encoding::percent_decode_str;

use super::form::{Form, scopes};
use super::tree::Node;
use crate::domain::Profile;
use crate::serve::reply::Reply;
use crate::serve::teller::Teller;
use crate::serve::visit::Visit;
use crate::system::http::Refusal;

/// For whom gcloud asks an ID token by itself. It goes on without one if there is none at this path.
const GCLOUD: &str = "32555940559.apps.googleusercontent.com";

/// The number of the project where nobody knows it. gcloud takes only digits, and LUCI's server says this too.
const NO_NUMBER: u64 = 0;

/// Every domain of Google's own.
const UNIVERSE: &str = "googleapis.com";

/// The answer to whoever asks whether somebody is here.
pub(in crate::serve) fn ping(visit: &Visit<'_>) -> Reply {
    if !visit.query.is_empty() {
        return nothing();
    }
    flavored(Reply::of("200 OK", "application/text", b"computeMetadata/\n".to_vec()))
}

/// The answer for `key`, which is what stands behind `/computeMetadata` in the path.
pub(in crate::serve) fn answer(teller: &Teller<'_>, visit: &Visit<'_>, key: &str) -> Reply {
    flavored(tell(teller, visit, key).unwrap_or_else(|refusal| refusal))
}

fn flavored(reply: Reply) -> Reply {
    reply.field("Metadata-Flavor", "Google")
}

fn tell(teller: &Teller<'_>, visit: &Visit<'_>, key: &str) -> Result<Reply, Reply> {
    let query = Form::read(visit.query.as_bytes());
    let facts = teller.facts().map_err(|refusal| Reply::of_desk(&refusal))?;
    let tree = tree(&facts);
    let names: Vec<&str> = key.split('/').skip(1).collect();
    // `a/` has an empty name at its end.
    let (is_closed, names) = match names.split_last() {
        Some((&"", before)) => (true, before),
        _ => (false, &names[..]),
    };
    let mut node = &tree;
    for name in names {
        let name = percent_decode_str(name).decode_utf8().map_err(|_| nothing())?;
        node = node.place(&name).ok_or_else(nothing)?;
    }
    let is_folder = matches!(node, Node::Folder(_));
    match (node, names.last()) {
        (Node::Folder(_), _) if !is_closed => Ok(moved(visit)),
        _ if is_closed && !is_folder => Err(nothing()),
        (Node::Made, Some(&"token")) => token(teller, &query),
        (Node::Made, _) => identity(teller, &facts, &query),
        _ => show(node, &query, names.len()),
    }
}

/// What the clients ask for: nothing of a machine, because there is none.
fn tree(facts: &Profile) -> Node {
    let email = email(facts);
    let account = Node::folder([
        ("aliases", Node::Lines(vec!["default".to_owned()])),
        ("email", Node::Text(email.clone())),
        ("identity", Node::Made),
        ("scopes", Node::Lines(facts.scopes.granted.iter().map(str::to_owned).collect())),
        ("token", Node::Made),
    ]);
    let accounts = Node::folder([("default", account.clone()), (email.as_str(), account)]);
    let universe = || Node::Text(UNIVERSE.to_owned());
    let number = facts.project.as_deref().and_then(number).unwrap_or(NO_NUMBER);
    let mut project = vec![("numeric-project-id".to_owned(), Node::Number(number))];
    // Without one, libraries say that they do not know the project, which is so.
    project.extend(facts.project.iter().map(|id| ("project-id".to_owned(), Node::Text(id.clone()))));
    let v1 = Node::folder([
        ("instance", Node::folder([("service-accounts", accounts)])),
        ("project", Node::Folder(project)),
        // Some clients for Go spell it with a line below.
        ("universe", Node::folder([("universe-domain", universe()), ("universe_domain", universe())])),
    ]);
    Node::folder([("v1", v1)])
}

fn number(project: &str) -> Option<u64> {
    project.bytes().all(|b| b.is_ascii_digit()).then(|| project.parse().ok()).flatten()
}

/// The address of the account. Clients want one, and keep their tokens apart by it; so without one it is made
/// of the profile's name, below a domain that cannot exist (RFC 2606, 2).
fn email(facts: &Profile) -> String {
    let made_up = || format!("{}@vault.invalid", facts.name.as_str().replace('@', "."));
    facts.account.email.clone().filter(|email| !email.contains('/')).unwrap_or_else(made_up)
}

fn token(teller: &Teller<'_>, query: &Form<'_>) -> Result<Reply, Reply> {
    let scopes = scopes(query.one("scopes")?, ',')?;
    let token = teller.token(scopes).map_err(|refusal| Reply::of_desk(&refusal))?;
    Ok(Reply::token(teller, &token, None))
}

/// An ID token for the audience that the program names. A person has one for the client of the login alone, which
/// is never gcloud's.
fn identity(teller: &Teller<'_>, facts: &Profile, query: &Form<'_>) -> Result<Reply, Reply> {
    match query.one("audience")? {
        None => Err(Reply::text("400 Bad Request", "non-empty audience parameter required\n")),
        Some(GCLOUD) if facts.grant_type.needs_person() => Err(nothing()),
        Some(audience) => {
            let token = teller.identity(audience).map_err(|refusal| Reply::of_desk(&refusal))?;
            Ok(Reply::identity(&token))
        }
    }
}

fn show(node: &Node, query: &Form<'_>, depth: usize) -> Result<Reply, Reply> {
    if query.one("wait_for_change")?.is_some_and(|wait| wait == "true") {
        return Err(Reply::error("invalid_request", "nothing here ever changes; do not wait for it"));
    }
    let is_recursive = query.one("recursive")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    // All of it at once is for agents of a real machine.
    if is_recursive && depth < 2 {
        return Err(nothing());
    }
    let format = query.one("alt")?;
    let is_folder = matches!(node, Node::Folder(_));
    let is_json = format == Some("json") || (is_recursive && is_folder && format != Some("text"));
    if is_json {
        // The names alone, where the values were not asked for.
        let value = if is_folder && !is_recursive { None } else { node.json() };
        let value = value.unwrap_or_else(|| node.text().lines().collect());
        return Ok(Reply::of("200 OK", "application/json", value.to_string().into_bytes()));
    }
    let text = if is_recursive && is_folder { node.text_below() } else { node.text() };
    Ok(Reply::of("200 OK", "application/text", text.into_bytes()))
}

/// A folder is asked for with its slash. Where that is was said by the visitor itself: its path is one of ours
/// to the letter, and no host stands in it.
fn moved(visit: &Visit<'_>) -> Reply {
    let mut place = format!("{}/", visit.path);
    if !visit.query.is_empty() {
        place.push('?');
        place.push_str(visit.query);
    }
    Reply::of("301 Moved Permanently", "text/html", Vec::new()).field("Location", place)
}

fn nothing() -> Reply {
    Reply::refused(Refusal::NotFound, "there is nothing at this path")
}
