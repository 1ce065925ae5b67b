//! The steps, in order. Each shows one promise and checks it.

use std::collections::HashSet;
use std::path::Path;

use crate::evil::EvilServer;
use crate::library;
use crate::world::{Result, World, outcome};

/// How many processes ask for the same expired token.
const CROWD: usize = 20;

/// Tells the whole story.
pub(crate) fn tell(world: &World) -> Result<()> {
    println!("An authorization server runs at {}, and a home of its own", world.provider.issuer());
    println!("is in {}. No account, nothing beyond this machine.", world.path("").display());
    make_a_vault(world)?;
    link_two_accounts(world)?;
    take_in_what_lies_open(world)?;
    find_no_secret_in_the_files(world)?;
    answer_from_the_cache(world)?;
    refresh(world)?;
    ask_all_at_once(world)?;
    export(world)?;
    run_a_program(world)?;
    run_a_program_of_google(world)?;
    send_a_request(world)?;
    refuse_another_account(world)?;
    refuse_an_edited_file(world)?;
    look_at_it(world)?;
    rotate_the_vault_key(world)?;
    back_up_and_restore(world)?;
    log_out(world)?;
    say_goodbye();
    Ok(())
}

fn make_a_vault(world: &World) -> Result<()> {
    world.telling.step("Make a vault that an age identity unlocks (or the keychain, or a passphrase)");
    world.types("vault init --unlock identity --identity key.txt", 0)?;
    Ok(())
}

fn link_two_accounts(world: &World) -> Result<()> {
    world.telling.step("Link an account and a client under a name, and log in with the browser");
    let issuer = world.provider.issuer();
    let first = format!(
        "vault add-profile work --client-file client_secret.json --account me@example.com \
         --issuer {issuer} --insecure-loopback"
    );
    check(world.types(&first, 0)?.talk.contains("logged in as me@example.com"), "the login is said")?;
    std::fs::remove_file(world.path("client_secret.json"))?;
    world.telling.shown("the client is sealed in the vault; its file is no longer needed");

    world.telling.step("Link a second account; the client is there already");
    let second = world.types("vault add-profile private --account other@example.com", 0)?;
    check(second.talk.contains("logged in as other@example.com"), "the second login is said")
}

fn take_in_what_lies_open(world: &World) -> Result<()> {
    world.telling.step("Find the token that a script has left in plain text, and take it in");
    const FILE: &str = "Google.OAuth2.Token.desktop.json";
    let left = world.provider.grant("desktop", "me@example.com", &["openid", "email"]);
    let answer = serde_json::json!({ "token_type": "Bearer", "refresh_token": left });
    world.write(FILE, &answer.to_string())?;
    let found = world.types("vault scan", 15)?;
    check(found.answer.contains(FILE) && !found.answer.contains(&left), "it is found and not shown")?;
    world.types(&format!("vault import {FILE} --profile script --replace"), 0)?;
    check(!world.path(FILE).exists(), "the file is gone")?;
    let token = world.types("vault token script", 0)?.answer;
    check(world.provider.is_live_access_token(&token), "its token works")?;
    world.telling.shown("the client was known; the file went when the vault was proven to have all of it");
    Ok(())
}

fn find_no_secret_in_the_files(world: &World) -> Result<()> {
    world.telling.step("Look for every code, token and client secret so far in every file");
    let (files, secrets) = (world.files()?, world.secrets());
    for file in &files {
        let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
        let found = secrets.iter().any(|secret| text.contains(secret.as_str()));
        check(!found, &format!("{} holds no secret", file.display()))?;
    }
    world.telling.shown(&format!("{} files, {} secrets, none found", files.len(), secrets.len()));
    Ok(())
}

fn answer_from_the_cache(world: &World) -> Result<()> {
    world.telling.step("A token that works now");
    let (run, requests) = world.requests(|| world.types("vault token work", 0))?;
    check(world.provider.is_live_access_token(&run.answer), "the server accepts the token")?;
    check(requests == 0, "a fresh token costs no request")?;
    world.telling.shown("from the sealed cache: 0 requests");
    Ok(())
}

fn refresh(world: &World) -> Result<()> {
    world.telling.step("A new one, from a server that replaces the refresh token each time");
    let before = world.provider.live_refresh_tokens();
    let (run, requests) = world.requests(|| world.types("vault token work --refresh", 0))?;
    let after = world.provider.live_refresh_tokens();
    check(world.provider.is_live_access_token(&run.answer), "the server accepts the new token")?;
    check(requests == 1, "a refresh is one request")?;
    check(before != after, "the refresh token was replaced")?;
    world.telling.shown("1 request; the new refresh token was on the disk before the answer came out");
    Ok(())
}

fn ask_all_at_once(world: &World) -> Result<()> {
    world.telling.step(&format!("{CROWD} processes ask at once, just when the token has expired"));
    expire(world)?;
    world.telling.command(&format!("for i in $(seq {CROWD}); do vault token work & done; wait"));
    let (tokens, requests) = world.requests(|| {
        let crowd = (0..CROWD).map(|_| world.starts("vault token work")).collect::<Result<Vec<_>>>()?;
        crowd.into_iter().map(outcome).collect::<Result<Vec<_>>>()
    })?;
    check(tokens.iter().all(|(done, _)| *done), "every process gets a token")?;
    let different: HashSet<_> = tokens.iter().map(|(_, token)| token).collect();
    check(different.len() == 1 && requests == 1, "one request and one token serve all of them")?;
    check(world.provider.families_revoked().is_empty(), "no refresh token was used twice")?;
    world.telling.shown(&format!("{CROWD} answers, 1 request, no daemon"));
    Ok(())
}

/// Replaces the cached token by one that is hardly alive.
fn expire(world: &World) -> Result<()> {
    world.provider.configure(|config| config.expires_in = 5);
    let run = world.runs("vault token work --refresh --quiet")?;
    world.provider.configure(|config| config.expires_in = 3599);
    check(run.code == Some(0), "a short-lived token is an answer too")
}

fn export(world: &World) -> Result<()> {
    world.telling.step("Variables for the shell that you are in, with: eval \"$(vault env work)\"");
    let run = world.types("vault env work", 0)?;
    check(run.answer.contains("OAUTH_ACCESS_TOKEN="), "the token is exported")?;
    let refresh_tokens = world.provider.live_refresh_tokens();
    check(!refresh_tokens.iter().any(|token| run.answer.contains(token)), "no refresh token goes out")
}

fn run_a_program(world: &World) -> Result<()> {
    world.telling.step("Variables for one program only, which takes the place of vault");
    let script = "echo \"I am $VAULT_PROFILE, my token has ${#OAUTH_ACCESS_TOKEN} letters\"; exit 42";
    let run = world.types(&format!("vault exec work -- sh -c '{script}'"), 42)?;
    check(run.answer.starts_with("I am work"), "the program has the variables")?;
    world.telling.shown("the program ended with 42, and so did vault");
    Ok(())
}

fn run_a_program_of_google(world: &World) -> Result<()> {
    world.telling.step("A program that asks as Google's libraries do, and works longer than its token");
    world.provider.configure(|config| config.expires_in = 3);
    check(
        world.runs("vault token work --refresh --quiet")?.code == Some(0),
        "a short-lived token is an answer",
    )?;
    world.link(library::NAME)?;
    let run = world.types(&format!("vault exec work --adc broker -- ./{}", library::NAME), 0)?;
    world.provider.configure(|config| config.expires_in = 3599);
    check(run.answer.contains("got another one"), "the token was renewed while the program ran")?;
    world
        .telling
        .shown("renewed on a port of this machine, which is closed again; the program needed no change");
    Ok(())
}

fn send_a_request(world: &World) -> Result<()> {
    world.telling.step("A request with the token, and one to a host that has no business with it");
    let run = world.types(&format!("vault api work {}", world.provider.url("/userinfo")), 0)?;
    check(run.answer.contains("me@example.com"), "the provider knows whose token it is")?;
    let evil = EvilServer::start()?;
    world.types(&format!("vault api work {}", evil.url()?), 7)?;
    check(!evil.was_called(), "nothing is sent to another host")?;
    world.telling.shown("refused (exit code 7); the other server got 0 requests");
    Ok(())
}

fn refuse_another_account(world: &World) -> Result<()> {
    world.telling.step("Somebody else is signed in in the browser");
    world.provider.next_user("other@example.com");
    world.types("vault login work", 7)?;
    check(world.runs("vault token work")?.code == Some(0), "the old login still works")?;
    world.telling.shown("refused (exit code 7); the profile is as it was");
    Ok(())
}

fn refuse_an_edited_file(world: &World) -> Result<()> {
    world.telling.step("Somebody edits the files, so that tokens go to another server");
    let evil = EvilServer::start()?;
    let file = client_document(world)?;
    let original = std::fs::read_to_string(&file)?;
    let url = world.provider.url("/token");
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    world.telling.command(&format!("sed -i s={url}={}=g clients/{name}", evil.url()?));
    std::fs::write(&file, original.replace(&url, &evil.url()?))?;
    let (_, requests) = world.requests(|| world.types("vault token work --refresh", 6))?;
    check(requests == 0 && !evil.was_called(), "nothing is sent anywhere")?;
    std::fs::write(&file, original)?;
    check(world.runs("vault token work --refresh")?.code == Some(0), "the real file works again")?;
    world.telling.shown("refused (exit code 6); the other server got 0 requests");
    Ok(())
}

fn client_document(world: &World) -> Result<std::path::PathBuf> {
    let is_client = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("clients"));
    let mut files = world.files()?.into_iter();
    Ok(files.find(|path| is_client(path)).ok_or("there is no client document")?)
}

fn look_at_it(world: &World) -> Result<()> {
    world.telling.step("What there is; neither of these opens a secret or needs a key");
    world.types("vault list", 0)?;
    world.types("vault status", 0)?;
    Ok(())
}

fn rotate_the_vault_key(world: &World) -> Result<()> {
    world.telling.step("A new vault key, to which everything is sealed anew");
    let old = key_id(world)?;
    let (_, requests) = world.requests(|| world.types("vault rotate", 0))?;
    check(key_id(world)? != old, "the key is another one")?;
    check(world.runs("vault verify")?.code == Some(0), "everything opens with it")?;
    let token = world.runs("vault token work")?.answer;
    check(world.provider.is_live_access_token(&token), "the cached token goes on")?;
    check(requests == 0, "no provider is asked")?;
    world.telling.shown("the logins are as they were; the old key opens nothing any more");
    Ok(())
}

/// The id of the vault key that the manifest names.
fn key_id(world: &World) -> Result<serde_json::Value> {
    let status: serde_json::Value = serde_json::from_str(&world.runs("vault status --json")?.answer)?;
    Ok(status["vault"]["kid"].clone())
}

fn back_up_and_restore(world: &World) -> Result<()> {
    world.telling.step("The whole vault in one age file, and a new vault made of it");
    world.types(&format!("vault backup vault.age --recipient {}", world.recipient), 0)?;
    let unlock = "--unlock identity --identity key.txt";
    world.types(&format!("vault restore vault.age --vault-dir copy {unlock}"), 0)?;
    let copy = world.runs("vault reveal private refresh_token --vault-dir copy")?.answer;
    check(copy == world.runs("vault reveal private refresh_token")?.answer, "it holds the same logins")
}

fn log_out(world: &World) -> Result<()> {
    world.telling.step("The end of a login: revoked at the server, then forgotten");
    let grant = world.runs("vault reveal private refresh_token")?.answer;
    world.types("vault logout private", 0)?;
    check(!world.provider.live_refresh_tokens().contains(&grant), "the server has revoked it")?;
    world.types("vault token private", 5)?;
    check(world.runs("vault token work")?.code == Some(0), "the other profile is as it was")?;
    world.types("vault log private", 0)?;
    Ok(())
}

fn say_goodbye() {
    println!(
        "
Every step was checked. For a real Google account:

  1. In https://console.cloud.google.com/auth/clients make a client of type \"Desktop app\" and download
     its JSON file. In …/auth/audience publish the app, or its logins end after 7 days.
  2. cargo install --locked --path .
  3. vault add-profile work --client-file client_secret_….json --scope gmail.readonly
  4. vault token work

README.md has the details."
    );
}

/// Ends the demo if `fact` is not one.
fn check(is_so: bool, fact: &str) -> Result<()> {
    if is_so { Ok(()) } else { Err(format!("it is not so that {fact}").into()) }
}
