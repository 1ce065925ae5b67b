//! The credential helper of git: real gits at a server that asks who is there, and whoever would get at a token
//! that is not meant for him.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::expiry::Snapshot;
use crate::home::{Home, Run, VAULT};
use crate::loopback::{Answer, Loopback, Request};
use crate::outside;
use crate::provider::{Authority, Config, Endpoint, HOST, Provider};
use crate::scene::documents;

/// The name by which git finds us.
const NAME: &str = "git-credential-vault";

/// Every git of this machine, of different versions: old ones know user names and passwords only.
fn gits() -> Vec<Git> {
    let Some(_) = outside::program("git") else { return Vec::new() };
    let path = std::env::var_os("PATH").unwrap();
    let programs = std::env::split_paths(&path).map(|folder| folder.join("git")).filter(|it| it.is_file());
    let found: BTreeMap<String, PathBuf> = programs.map(|it| (version(&it), it)).collect();
    found.into_iter().map(|(version, program)| Git { program, version }).collect()
}

fn version(git: &Path) -> String {
    String::from_utf8(Command::new(git).arg("--version").output().unwrap().stdout).unwrap()
}

#[derive(Clone, Debug)]
struct Git {
    program: PathBuf,
    version: String,
}

impl Git {
    /// Whether a helper can give it another header than `Basic` (from git 2.46 on).
    fn takes_authtype(&self) -> bool {
        let numbers =
            self.version.trim_start_matches("git version ").split('.').map(|it| it.trim().parse().ok());
        let numbers: Vec<Option<u32>> = numbers.collect();
        (numbers[0], numbers[1]) >= (Some(2), Some(46))
    }

    /// Runs it in `folder` as the user of `home`, who cannot be asked.
    fn run(&self, home: &Home, folder: &Path, arguments: &[&str]) -> Run {
        Run::of(arguments, self.command(home, folder, arguments).output().unwrap())
    }

    fn command(&self, home: &Home, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        home.prepare(&mut command);
        let helpers = format!("{}:{}", home.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", helpers).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        command.args(arguments).current_dir(folder);
        command
    }
}

/// A user whose `git` may find the helper, and whose profile `work` is bound to nothing yet.
fn user(provider: &Provider) -> Home {
    let home = Home::logged_in(provider);
    fs::create_dir(home.path("bin")).unwrap();
    symlink(VAULT, home.path("bin").join(NAME)).unwrap();
    configure(&home, "");
    home
}

/// Writes the user's own configuration of git.
fn configure(home: &Home, more: &str) {
    let config = format!(
        "[user]\nname = Me\nemail = me@example.com\n[init]\ndefaultBranch = main\n\
         [protocol \"file\"]\nallow = always\n[safe]\ndirectory = *\n{more}"
    );
    home.write(".gitconfig", config);
}

/// Lets the helper answer `git` for `server` with the token of `work`.
fn set_up(home: &Home, server: &Loopback) {
    let host = format!("127.0.0.1:{}", server.port());
    home.run(&["edit", "work", "--bind", &format!("git={host}")]).expect_code(0);
    configure(home, &format!("[credential \"http://{host}\"]\nhelper = vault --profile work\n"));
}

/// What a server says to those it does not know.
const BASIC: &str = "Basic realm=\"git\"";
const BEARER: &str = "Bearer realm=\"git\"";

/// A server of the repository `repo.git` in `folder`, for whoever has a token that `provider` takes now.
fn git_server(git: &Git, provider: &Arc<Provider>, folder: &Path, challenges: &'static [&str]) -> Loopback {
    let answer = answers(git, provider, folder, challenges);
    Loopback::start(|_| answer)
}

/// What such a server answers.
fn answers(
    git: &Git,
    provider: &Arc<Provider>,
    folder: &Path,
    challenges: &'static [&str],
) -> impl Fn(&Request) -> Answer + use<> {
    let (git, provider, folder) = (git.clone(), provider.clone(), folder.to_owned());
    let repository = folder.join("repo.git");
    let make: [&[&str]; 2] =
        [&["init", "-q", "--bare", "-b", "main"], &["config", "http.receivepack", "true"]];
    fs::create_dir_all(&repository).unwrap();
    for arguments in make {
        assert!(
            Command::new(&git.program).args(arguments).current_dir(&repository).status().unwrap().success()
        );
    }
    move |request| match token_of(request) {
        Some(token) if provider.is_live_access_token(&token) => backend(&git, &folder, request),
        _ => challenges
            .iter()
            .fold(Answer::new(401, "who is there?"), |answer, it| answer.with("WWW-Authenticate", it)),
    }
}

/// The token in a header of either kind.
fn token_of(request: &Request) -> Option<String> {
    let (scheme, value) = request.header("authorization")?.split_once(' ')?;
    match scheme {
        "Bearer" => Some(value.to_owned()),
        _ => {
            let plain = String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap();
            plain.strip_prefix("oauth2:").map(str::to_owned)
        }
    }
}

/// git-http-backend(1), as a web server calls it.
fn backend(git: &Git, folder: &Path, request: &Request) -> Answer {
    let mut command = Command::new(&git.program);
    let header = |name| request.header(name).unwrap_or_default();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("REMOTE_USER", "me")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", request.path())
        .env("QUERY_STRING", request.target.split_once('?').map_or("", |(_, query)| query))
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("HTTP_GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&request.body).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let mut answer = Answer::new(200, &output[end + 4..]);
    for line in String::from_utf8(output[..end].to_vec()).unwrap().lines() {
        match line.split_once(": ").unwrap() {
            ("Status", status) => answer.status = status[..3].parse().unwrap(),
            (name, value) => answer = answer.with(name, value),
        }
    }
    answer
}

fn address(server: &Loopback) -> String {
    format!("http://127.0.0.1:{}/repo.git", server.port())
}

#[test]
fn git_clones_fetches_and_pushes_with_the_token_of_the_bound_profile() {
    for git in gits() {
        let provider = Arc::new(Provider::start(Config::default()));
        let home = user(&provider);
        let server = git_server(&git, &provider, &home.path("srv"), &[BASIC, BEARER]);
        set_up(&home, &server);
        provider.forget_requests();
        let url = address(&server);

        git.run(&home, &home.path(""), &["clone", "-q", &url, "one"]).expect_code(0);
        let one = home.path("one");
        fs::write(one.join("file"), "content").unwrap();
        git.run(&home, &one, &["add", "file"]).expect_code(0);
        git.run(&home, &one, &["commit", "-qm", "one"]).expect_code(0);
        git.run(&home, &one, &["push", "-q", "origin", "HEAD:main"]).expect_code(0);
        git.run(&home, &home.path(""), &["clone", "-q", &url, "two"]).expect_code(0);
        let heads = git.run(&home, &home.path("two"), &["ls-remote", "origin"]).answer();

        assert_eq!(fs::read_to_string(home.path("two/file")).unwrap(), "content", "{}", git.version);
        assert!(heads.contains("refs/heads/main"), "{heads}");
        assert!(server.authorizations().iter().all(|it| it.starts_with("Basic ")), "{}", git.version);
        assert_eq!(provider.count(Endpoint::Token), 0, "the cached token serves all of it");
    }
}

#[test]
fn a_server_that_takes_bearer_headers_only_gets_one_from_a_git_that_can_send_it() {
    for git in gits().into_iter().filter(Git::takes_authtype) {
        let provider = Arc::new(Provider::start(Config::default()));
        let home = user(&provider);
        let server = git_server(&git, &provider, &home.path("srv"), &[BEARER]);
        set_up(&home, &server);

        git.run(&home, &home.path(""), &["ls-remote", &address(&server)]).expect_code(0);

        let token = home.run(&["token", "work"]).answer();
        assert!(server.authorizations().contains(&format!("Bearer {token}")));
    }
}

#[test]
fn a_server_on_https_gets_the_token_under_the_host_and_port_that_are_bound() {
    for git in gits() {
        let authority = Authority::new();
        let provider = Arc::new(Provider::start(Config::default()));
        let home = user(&provider);
        let answer = answers(&git, &provider, &home.path("srv"), &[BASIC]);
        let server = Loopback::start_https(&authority.certify(HOST), |_| answer);
        let host = format!("{HOST}:{}", server.port());
        let trusted = home.write("authority.pem", authority.pem());
        let trusted = format!("[http]\nsslCAInfo = {}\n", trusted.display());
        configure(&home, &format!("{trusted}[credential]\nhelper = vault\n"));
        let list = || git.run(&home, &home.path(""), &["ls-remote", &format!("https://{host}/repo.git")]);

        home.run(&["edit", "work", "--bind", &format!("git={HOST}")]).expect_code(0);
        assert_eq!(list().code, 128, "another port is another host");
        assert_eq!(server.authorizations(), [] as [&str; 0]);

        home.run(&["edit", "work", "--bind", &format!("git={host}")]).expect_code(0);
        list().expect_code(0);
    }
}

#[test]
fn a_user_name_in_the_remote_gets_in_the_way_of_nothing_where_the_profile_is_named() {
    for git in gits() {
        let provider = Arc::new(Provider::start(Config::default()));
        let home = user(&provider);
        let server = git_server(&git, &provider, &home.path("srv"), &[BASIC]);
        set_up(&home, &server);

        let url = address(&server).replace("http://", "http://somebody@");
        git.run(&home, &home.path(""), &["ls-remote", &url]).expect_code(0);
    }
}

#[test]
fn a_token_that_the_server_refuses_is_forgotten_so_that_the_next_call_gets_a_new_one() {
    for git in gits() {
        let provider = Arc::new(Provider::start(Config::default()));
        let home = user(&provider);
        let server = git_server(&git, &provider, &home.path("srv"), &[BASIC, BEARER]);
        set_up(&home, &server);
        let url = address(&server);
        git.run(&home, &home.path(""), &["ls-remote", &url]).expect_code(0);
        let first = home.run(&["token", "work"]).answer();

        // By the server's clock it is over; by ours it is not.
        provider.advance(Duration::from_secs(2 * 3600));
        let refused = git.run(&home, &home.path(""), &["ls-remote", &url]);
        assert_ne!(refused.code, 0, "{}", git.version);
        git.run(&home, &home.path(""), &["ls-remote", &url]).expect_code(0);

        assert_ne!(home.run(&["token", "work"]).answer(), first, "{}", git.version);
    }
}

#[test]
fn where_the_login_has_ended_git_stops_and_the_person_reads_what_to_type() {
    for git in gits() {
        let provider = Arc::new(Provider::start(Config { expires_in: 30, ..Config::default() }));
        let home = user(&provider);
        let server = git_server(&git, &provider, &home.path("srv"), &[BASIC]);
        set_up(&home, &server);
        provider.revoke_user_grant("desktop", "me@example.com");

        // A helper behind ours is not asked, nor is the person.
        let more = "[credential]\nhelper = \"!echo asked >&2; echo username=a; echo password=b; :\"\n";
        fs::write(home.path(".gitconfig"), fs::read_to_string(home.path(".gitconfig")).unwrap() + more)
            .unwrap();
        let run = git.run(&home, &home.path(""), &["ls-remote", &address(&server)]);

        assert_eq!(run.code, 128, "{}", run.stderr);
        let run = run.expect_said("vault: ").expect_said("vault login work").expect_said("told us to quit");
        run.expect_unsaid("asked").expect_unsaid("Username");
        assert!(server.authorizations().is_empty());
    }
}

/// A server that takes whatever it is given, and answers nothing of use.
fn greedy_server() -> Loopback {
    Loopback::start(|_| {
        |_: &Request| {
            Answer::new(401, "more").with("WWW-Authenticate", BASIC).with("WWW-Authenticate", BEARER)
        }
    })
}

#[test]
fn a_hostile_repository_learns_nothing() {
    for git in gits() {
        let provider = Arc::new(Provider::start(Config::default()));
        let home = user(&provider);
        let server = git_server(&git, &provider, &home.path("srv"), &[BASIC, BEARER]);
        let evil = greedy_server();
        set_up(&home, &server);
        let evil_host = format!("127.0.0.1:{}", evil.port());
        // The user lets us answer everybody: what is bound decides.
        configure(&home, "[credential]\nhelper = vault --profile work\n");
        let secrets = [home.run(&["token", "work"]).answer(), crate::expiry::refresh_token(&home)];

        let repository = home.path("hostile");
        git.run(&home, &home.path(""), &["init", "-q", "hostile"]).expect_code(0);
        let evil_url = format!("http://{evil_host}/x.git");
        let config = [
            "[credential]\nuseHttpPath = true\nusername = me\n",
            &format!("[credential \"http://{evil_host}\"]\nhelper = vault --profile work\n"),
            &format!("[url \"{evil_url}\"]\ninsteadOf = https://git.example.com/\n"),
            &format!("[remote \"evil\"]\nurl = {evil_url}\n"),
            &format!("[remote \"user\"]\nurl = http://127.0.0.1@{evil_host}/x.git\n"),
            "[remote \"moved\"]\nurl = https://git.example.com/x.git\n",
        ];
        let path = repository.join(".git/config");
        fs::write(&path, fs::read_to_string(&path).unwrap() + &config.concat()).unwrap();
        plant_settings(&repository, &evil_host);
        let modules = format!("[submodule \"sub\"]\npath = sub\nurl = {evil_url}\n");
        fs::write(repository.join(".gitmodules"), modules).unwrap();
        git.run(
            &home,
            &repository,
            &["update-index", "--add", "--cacheinfo", &format!("160000,{},sub", "1".repeat(40))],
        )
        .expect_code(0);

        let before = documents(&home);
        for arguments in [
            &["fetch", "evil"][..],
            &["fetch", "user"],
            &["fetch", "moved"],
            &["push", "evil", "HEAD"],
            &["submodule", "update", "--init"],
            &["ls-remote", &format!("http://{evil_host}/%0ahost=127.0.0.1:{}/", server.port())],
            &["ls-remote", &format!("http://{evil_host}%0d%0ahost=127.0.0.1:{}/", server.port())],
            &["clone", "-q", &evil_url, "elsewhere"],
        ] {
            let run = git.run(&home, &repository, arguments);
            assert_ne!(run.code, 0, "{arguments:?}");
            assert!(!secrets.iter().any(|it| run.stderr.contains(it) || run.stdout.contains(it)));
        }

        let asked = evil.requests();
        assert!(asked.len() >= 5, "{asked:#?}");
        let heard = format!("{asked:?}{:?}", evil.authorizations());
        let disguised = secrets.iter().map(|it| BASE64_STANDARD.encode(format!("oauth2:{it}")));
        assert!(!secrets.iter().cloned().chain(disguised).any(|it| heard.contains(&it)), "{heard}");
        // What git sends of its own is the user name in an address.
        let plain = |it: &String| BASE64_STANDARD.decode(it.trim_start_matches("Basic ")).unwrap();
        assert!(evil.authorizations().iter().all(|it| plain(it).ends_with(b":")), "{heard}");
        assert!(documents(&home) == before, "nothing has changed");
        // The same directory gets what the user's own host is to get.
        git.run(&home, &repository, &["ls-remote", &address(&server)]).expect_code(0);
    }
}

/// What a repository may hold in the hope that somebody reads it.
fn plant_settings(repository: &Path, evil_host: &str) {
    for name in [".env", ".envrc", "vault.toml", ".vault.toml", ".git-credentials", ".netrc"] {
        let text = format!(
            "VAULT_DIR={0}\nVAULT_PROFILE=work\nprofile = \"work\"\nhosts = [\"{evil_host}\"]\n\
             [git]\nhosts = [\"{evil_host}\"]\n",
            repository.join(".vault").display()
        );
        fs::write(repository.join(name), text).unwrap();
    }
    for folder in [".vault/profiles", "vault/profiles"] {
        let profile = format!(r#"{{"name":"work","hosts":{{"git":["{evil_host}"]}}}}"#);
        fs::create_dir_all(repository.join(folder)).unwrap();
        fs::write(repository.join(folder).join("work.json"), profile).unwrap();
    }
}

#[test]
fn nothing_of_the_working_directory_is_opened() {
    if !outside::have(&["strace"]) {
        return;
    }
    let provider = Provider::start(Config::default());
    let mut home = user(&provider);
    home.run(&["edit", "work", "--bind", "git=git.example.com"]).expect_code(0);
    let folder = home.path("checkout");
    fs::create_dir(&folder).unwrap();
    plant_settings(&folder, "evil.example");
    let trace = home.path("trace");
    home.run_by(&["strace", "-f", "-qq", "-e", "trace=file", "-o", trace.to_str().unwrap()]);

    let run = ask_in(&home, &folder, &["get"], "protocol=https\nhost=git.example.com\n\n");

    assert!(run.answer().contains("password="));
    let calls = fs::read_to_string(trace).unwrap();
    let folder = folder.to_str().unwrap();
    // Where one is, the system may be asked; what is there, it may not.
    let is_ours =
        |line: &&str| !line.contains(" getcwd(") && (line.contains(folder) || names_relative_path(line));
    let touched: Vec<&str> = calls.lines().filter(is_ours).collect();
    assert!(calls.lines().count() > 20 && touched.is_empty(), "{touched:#?}");
}

/// Whether a system call goes by the current directory.
fn names_relative_path(call: &str) -> bool {
    let path = call.split('"').nth(1).unwrap_or("/");
    let by_folder = call.contains("(AT_FDCWD, \"") || !call.contains("at(");
    by_folder && !path.is_empty() && !path.starts_with('/') && !call.contains("exec")
}

/// Runs `vault helper git` with `request` on its standard input.
fn ask(home: &Home, arguments: &[&str], request: impl AsRef<[u8]>) -> Run {
    ask_in(home, &home.path(""), arguments, request)
}

fn ask_in(home: &Home, folder: &Path, arguments: &[&str], request: impl AsRef<[u8]>) -> Run {
    let arguments = [&["helper", "git"], arguments].concat();
    let mut command = home.command(&arguments);
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(request.as_ref());
    Run::of(&arguments, child.wait_with_output().unwrap())
}

const PLAIN: &str = "protocol=https\nhost=git.example.com\n\n";

fn bound() -> (Provider, Home) {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["edit", "work", "--bind", "git=git.example.com"]).expect_code(0);
    (provider, home)
}

#[test]
fn a_host_that_is_none_of_ours_costs_no_key_and_no_word() {
    let (_provider, mut home) = bound();
    home.unset("VAULT_IDENTITY_FILE");
    fs::rename(home.path("identity.txt"), home.path("elsewhere.txt")).unwrap();

    for (arguments, request) in [
        (&["get"][..], "protocol=https\nhost=example.com\n\n"),
        (&["--profile", "work", "get"], "protocol=https\nhost=evil.git.example.com\n\n"),
        (&["get"], "protocol=http\nhost=git.example.com\n\n"),
        (&["erase"], "protocol=https\nhost=example.com\npassword=x\n\n"),
        (&["store"], "protocol=https\nhost=git.example.com\npassword=x\n\n"),
        (&["rotate"], PLAIN),
    ] {
        let run = ask(&home, arguments, request).expect_code(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "{arguments:?} {request:?}");
    }
    // The control: for a bound host the key is missed, and the person is told how to have it.
    let run = ask(&home, &["get"], PLAIN).expect_code(0).expect_said("VAULT_IDENTITY_FILE");
    assert_eq!(run.stdout, "quit=1\n");
    // Whoever has no vault at all is told so, and git goes on.
    let stranger = Home::bare();
    let run = ask(&stranger, &["get"], PLAIN).expect_code(0).expect_said("no vault");
    assert_eq!(run.stdout, "");
}

#[test]
fn a_request_with_a_control_character_gets_nothing_for_any_host() {
    let (_provider, home) = bound();
    for request in [
        "protocol=https\r\nhost=git.example.com\r\n\r\n",
        "protocol=https\nhost=git.example.com\r\n\n",
        "protocol=https\nhost=evil.example\rhost=git.example.com\n\n",
        "protocol=https\nhost=git.example.com\0\n\n",
        "protocol=https\nhost=evil.example\nhost=git.example.com\n\n",
        "protocol=https\nhost=git.example.com\nusername=a\tb\n\n",
    ] {
        let run = ask(&home, &["get"], request).expect_code(0).expect_said("not answered");
        assert_eq!(run.stdout, "", "{request:?}");
    }
    assert!(ask(&home, &["get"], PLAIN).answer().contains("password="));
}

#[test]
fn store_erase_and_unknown_operations_leave_every_byte_as_it_is() {
    let (provider, home) = bound();
    let token = home.run(&["token", "work"]).answer();
    let before = Snapshot::of(&home);
    let mut sent: Vec<(&str, String)> = Vec::new();
    for operation in ["store", "erase", "rotate", "approve"] {
        sent.push((operation, format!("{PLAIN_HEAD}username=evil\npassword=evil\n\n")));
        sent.push((operation, format!("{PLAIN_HEAD}password={token}x\n\n")));
        sent.push((operation, "protocol=https\nhost=evil.example\npassword=evil\n\n".to_owned()));
    }
    sent.push(("store", format!("{PLAIN_HEAD}username=oauth2\npassword={token}\n\n")));
    sent.push(("erase", format!("protocol=https\nhost=evil.example\npassword={token}\n\n")));

    for (operation, request) in sent {
        let run = ask(&home, &[operation], request).expect_code(0);
        assert_eq!(run.stdout, "", "{operation}");
    }
    let logs = |path: &PathBuf| path.extension().is_some_and(|it| it == "jsonl");
    let changed: Vec<PathBuf> = before.changed(&home).into_iter().filter(|path| !logs(path)).collect();
    assert_eq!(changed, [] as [PathBuf; 0]);

    // The token itself is forgotten, and nothing but it.
    let _ =
        ask(&home, &["erase"], format!("{PLAIN_HEAD}username=oauth2\npassword={token}\n\n")).expect_code(0);
    let changed = before.changed(&home);
    assert!(changed.iter().any(|path| path.starts_with(home.path("cache"))), "{changed:?}");
    assert!(!changed.iter().any(|path| path.starts_with(home.path("data"))), "{changed:?}");
    provider.forget_requests();
    assert_ne!(home.run(&["token", "work"]).answer(), token);
    assert_eq!(provider.count(Endpoint::Token), 1);
}

const PLAIN_HEAD: &str = "protocol=https\nhost=git.example.com\n";

#[test]
fn of_several_bound_profiles_the_named_one_is_meant_or_that_of_the_environment_or_the_default() {
    let (provider, mut home) = bound();
    provider.next_user("other@example.com");
    home.add_profile(&provider, "other").expect_code(0);
    home.run(&["edit", "other", "--bind", "git=git.example.com"]).expect_code(0);
    home.add_profile(&provider, "third").expect_code(0);
    let token = |name: &str| format!("password={}\n", home.run(&["token", name]).answer());
    let (work, other) = (token("work"), token("other"));

    assert!(ask(&home, &["get", "--profile", "other"], PLAIN).answer().contains(other.trim_end()));
    home.run(&["use", "work"]).expect_code(0);
    assert!(ask(&home, &["get"], PLAIN).answer().contains(work.trim_end()));
    home.set("VAULT_PROFILE", "other");
    assert!(ask(&home, &["get"], PLAIN).answer().contains(other.trim_end()));
    for elsewhere in ["third", "nobody"] {
        home.set("VAULT_PROFILE", elsewhere);
        assert!(ask(&home, &["get"], PLAIN).answer().contains(work.trim_end()), "{elsewhere}");
    }
    home.unset("VAULT_PROFILE");
    home.run(&["use", "third"]).expect_code(0);
    let run = ask(&home, &["get"], PLAIN).expect_code(0).expect_said("--profile");
    assert_eq!(run.stdout, "quit=1\n");
    assert_eq!(ask(&home, &["get", "--profile", "third"], PLAIN).answer(), "");
}
