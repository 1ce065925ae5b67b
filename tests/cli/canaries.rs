//! No secret is where nobody asked for it, over a session of hundreds of commands: not in what is said
//! or logged, not in a file outside its seal, not in the arguments or the environment of a program that
//! did not ask, and not in an address that a server writes down.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::forge;
use crate::home::{Home, Run, VAULT};
use crate::outside;
use crate::provider::{Client, Config, Consent, Endpoint, Fault, Provider};
use crate::search::Search;

/// With everything in it that some encoding treats in its own way.
const CLIENT_SECRET: &str = "GOCSPX-canary\"\\+/=&?%41 of-the-client";
const NEW_SECRET: &str = "GOCSPX-another-canary\"\\+/=&?%42 of-the-client";
const API_KEY: &str = "AIza-canary'\"$\\+/=;#<>\u{e9} of-an-api-key";
const PASSPHRASE: &str = "canary battery staple passphrase";

/// Where the secrets of a command may stand.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// It shows none.
    Plain,
    /// Its answer is one.
    Secret,
    /// Its answer is one, and GitHub's runner is told on standard error what to hide.
    Masked,
}

/// A user all of whose programs are watched.
struct Session {
    provider: Provider,
    home: Home,
    runs: Vec<(Run, Answer)>,
}

impl Session {
    fn new() -> Self {
        let mut clients = vec![Client::post("desktop", CLIENT_SECRET), Client::public("public")];
        clients[0].secrets.push(NEW_SECRET.to_owned());
        let provider = Provider::start(Config { clients, ..Config::default() });
        let mut home = Home::new();
        home.set("RUST_LOG", "trace");
        home.set("RUST_BACKTRACE", "full");
        home.write("inputs-secret", CLIENT_SECRET);
        home.write("inputs-new-secret", NEW_SECRET);
        home.write("inputs-key", API_KEY);
        home.write("inputs-passphrase", PASSPHRASE);
        let mut session = Self { provider, home, runs: Vec::new() };
        session.watch();
        session.login(&["add-profile", "work"], 0);
        session
    }

    /// Every program that is started is written down with its arguments and its environment.
    fn watch(&mut self) {
        if outside::have(&["strace"]) {
            std::fs::create_dir_all(self.home.path("trace")).unwrap();
            let trace = self.home.path("trace/of");
            let trace = trace.to_str().unwrap();
            let all = "trace=execve,execveat";
            self.home.run_by(&[
                "strace",
                "-ff",
                "-qq",
                "-v",
                "-s",
                "1000000",
                "--seccomp-bpf",
                "-e",
                all,
                "-o",
                trace,
            ]);
        }
    }

    fn path(&self, name: &str) -> String {
        self.home.path(name).to_str().unwrap().to_owned()
    }

    fn run(&mut self, line: &str, answer: Answer) -> i32 {
        let words = shlex::split(line).unwrap();
        let run = self.home.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let code = run.code;
        self.runs.push((run, answer));
        code
    }

    #[track_caller]
    fn expect(&mut self, code: i32, line: &str, answer: Answer) {
        let found = self.run(line, answer);
        assert_eq!(found, code, "{}", self.runs.last().unwrap().0.stderr);
    }

    /// A command that logs in, with a client of its own if it makes a profile.
    #[track_caller]
    fn login(&mut self, words: &[&str], code: i32) {
        let (issuer, secret) = (self.provider.issuer(), self.path("inputs-secret"));
        let mut arguments = [words, &["--no-browser", "-vvv"]].concat();
        if words[0] == "add-profile" {
            arguments.extend(["--issuer", &issuer, "--insecure-loopback", "--client-id", "desktop"]);
            arguments.extend(["--client-secret-file", &secret]);
        }
        let run = self.home.consent(&arguments).expect_code(code);
        self.runs.push((run, Answer::Plain));
    }

    /// Every secret that there has been, and what it is called.
    fn secrets(&self) -> Vec<(String, String)> {
        let mut secrets = vec![
            ("the client secret".to_owned(), CLIENT_SECRET.to_owned()),
            ("the new client secret".to_owned(), NEW_SECRET.to_owned()),
            ("the API key".to_owned(), API_KEY.to_owned()),
            ("the passphrase".to_owned(), PASSPHRASE.to_owned()),
        ];
        let issued = self.provider.issued().into_iter().enumerate();
        secrets.extend(issued.map(|(number, text)| (format!("number {number} that was issued"), text)));
        for request in self.provider.requests() {
            for name in ["state", "nonce", "code_verifier"] {
                let sent = request.param(name).or_else(|| request.field(name));
                secrets.extend(sent.map(|text| (name.to_owned(), text.to_owned())));
            }
        }
        use age::secrecy::ExposeSecret;
        let key = forge::vault_key(&self.home).to_string().expose_secret().to_owned();
        secrets.push(("the vault key".to_owned(), key.to_lowercase()));
        secrets.push(("the vault key".to_owned(), key));
        let identity = std::fs::read_to_string(self.home.path("identity.txt")).unwrap();
        secrets.push(("the identity".to_owned(), identity.trim().to_owned()));
        secrets
    }

    /// Holds that no secret is where it should not be.
    fn check(&self) {
        let secrets = self.secrets();
        let search = Search::new(&secrets);
        let shown = self.runs.iter().filter(|(run, _)| !search.found(&run.stdout).is_empty()).count();
        assert!(shown > 30 && secrets.len() > 100, "they can be found: {shown} of {}", secrets.len());
        for (run, answer) in &self.runs {
            if *answer == Answer::Plain {
                assert_eq!(
                    search.found(&run.stdout),
                    BTreeSet::new(),
                    "the answer of vault {}",
                    run.arguments
                );
            }
            if *answer != Answer::Masked {
                let said = without_address(&run.stderr);
                assert_eq!(
                    search.found(&said),
                    BTreeSet::new(),
                    "vault {} says:\n{}",
                    run.arguments,
                    run.stderr
                );
            }
        }
        self.check_files(&search);
        self.check_programs(&search);
        self.check_addresses(&search);
    }

    fn check_files(&self, search: &Search) {
        let given = |path: &PathBuf| {
            let name = path.strip_prefix(self.home.path("")).unwrap().to_str().unwrap();
            name.starts_with("trace/") || name.starts_with("inputs-") || name.starts_with("identity.txt")
        };
        let files: Vec<PathBuf> = self.home.files("").into_iter().filter(|path| !given(path)).collect();
        assert!(files.len() > 10, "{files:?}");
        // A restored vault has a log of its own.
        let logs = files.iter().filter(|path| path.ends_with("audit.jsonl"));
        let lines = logs.map(|log| std::fs::read_to_string(log).unwrap().lines().count());
        assert!(lines.sum::<usize>() > 100, "the log is searched too");
        for file in files {
            let text = std::fs::read(&file).unwrap();
            assert_eq!(
                search.found(without_address(&String::from_utf8_lossy(&text))),
                BTreeSet::new(),
                "{}",
                file.display()
            );
        }
    }

    /// Arguments never hold a secret; the environment holds one only for the program of `vault exec`.
    fn check_programs(&self, search: &Search) {
        let mut started = BTreeSet::new();
        for trace in self.home.files("trace") {
            for line in
                std::fs::read_to_string(trace).unwrap().lines().filter(|line| line.starts_with("execve"))
            {
                let line = without_address(line);
                let (arguments, environment) = line.split_once("], [").unwrap();
                started.insert(arguments.split('"').nth(1).unwrap().rsplit('/').next().unwrap().to_owned());
                assert_eq!(search.found(arguments), BTreeSet::new(), "{arguments}");
                if !environment.contains("\"VAULT_PROFILE=work\"") {
                    assert_eq!(search.found(environment), BTreeSet::new(), "the environment of {arguments}");
                }
            }
        }
        let expected = ["vault", "env", "sh", "inputs-browser", "inputs-passphrase-command"];
        assert!(started.is_empty() || expected.iter().all(|name| started.contains(*name)), "{started:?}");
    }

    /// What a server writes into its log: the address, and nothing of the body.
    fn check_addresses(&self, search: &Search) {
        for request in self.provider.requests() {
            let is_ours =
                |name: &str| request.endpoint == Endpoint::Authorize && ["state", "nonce"].contains(&name);
            for (name, value) in request.query.iter().filter(|(name, _)| !is_ours(name)) {
                assert_eq!(search.found(value), BTreeSet::new(), "{name} of {}", request.path);
            }
            assert_eq!(search.found(&request.path), BTreeSet::new());
            let headers = request.headers.iter().filter(|(name, _)| name != "authorization");
            for (name, value) in headers {
                assert_eq!(search.found(value), BTreeSet::new(), "{name} to {}", request.path);
            }
        }
    }
}

/// The address that is shown for the browser, and handed to it, holds the state: that is its way.
fn without_address(text: &str) -> String {
    let words = text.split_inclusive([' ', '"', '\n']);
    words.filter(|word| !word.contains("response_type=code")).collect()
}

#[test]
fn a_session_of_three_hundred_commands_shows_no_secret_that_nobody_asked_for() {
    let mut session = Session::new();
    session.expect(0, "edit work --api-key-file inputs-key -vvv", Answer::Plain);
    answers(&mut session);
    tools(&mut session);
    looks(&mut session);
    changes(&mut session);
    mistakes(&mut session);
    provider_in_trouble(&mut session);
    damage(&mut session);
    other_programs(&mut session);
    agent(&mut session);
    backups(&mut session);

    assert!(session.runs.len() >= 200, "{}", session.runs.len());
    session.check();
}

/// Everything whose answer is a secret.
fn answers(session: &mut Session) {
    for format in ["bare", "header", "json", "curl", "sasl", "oauthbearer"] {
        for options in ["-vvv", "--refresh -vv", "--min-ttl 10m -q", "--no-input -v"] {
            session.expect(0, &format!("token work --format {format} {options}"), Answer::Secret);
        }
    }
    session.expect(0, "token work --json -vvv", Answer::Secret);
    session.expect(0, "helper kubectl work -vvv", Answer::Secret);
    for format in ["sh", "fish", "powershell", "nushell", "docker", "json"] {
        for set in ["", "--set S=client_secret --set R=refresh_token --set K=api_key"] {
            session.expect(0, &format!("env work --format {format} {set} -vvv"), Answer::Secret);
        }
    }
    session.run("env work --format dotenv --set S=client_secret -vvv", Answer::Secret);
    session.expect(0, "env work --format github --set S=client_secret -vvv", Answer::Secret);
    session.home.set("GITHUB_ACTIONS", "true");
    session.expect(0, "env work --format github --set S=client_secret -vvv", Answer::Masked);
    let (masked, _) = session.runs.last().unwrap();
    assert!(masked.stderr.matches("::add-mask::").count() >= 2, "{masked:?}");
    session.home.unset("GITHUB_ACTIONS");
    for field in ["access_token", "api_key", "client_secret", "refresh_token"] {
        for options in ["-vvv", "--no-input", "--json -vv", "-q"] {
            session.expect(0, &format!("reveal work {field} {options}"), Answer::Secret);
        }
    }
    session.expect(0, "exec work --set S=client_secret --set K=api_key -- env", Answer::Secret);
    session.expect(0, "exec work -vvv -- sh -c 'test -n \"$OAUTH_ACCESS_TOKEN\"'", Answer::Plain);
    session.expect(3, "exec work -vvv -- sh -c 'exit 3'", Answer::Plain);
}

/// Tools that ask in words of their own, and servers that are asked with the token.
fn tools(session: &mut Session) {
    for need in ["git", "docker", "cargo"] {
        session.expect(0, &format!("edit work --bind {need}=a.example -vvv"), Answer::Plain);
    }
    let get_git = "protocol=https\nhost=a.example\n\n";
    let get_cargo = "{\"v\":1,\"registry\":{\"index-url\":\"https://a.example/\"},\"kind\":\"get\"}\n";
    for (words, question, answer) in [
        ("git get", get_git.to_owned(), Answer::Secret),
        ("git get", get_git.replace('\n', "\r\n"), Answer::Plain),
        ("git get", get_git.replace("a.example", "b.example"), Answer::Plain),
        ("git store", format!("{get_git}password={API_KEY}\n"), Answer::Plain),
        ("git erase", format!("password={API_KEY}\n{get_git}"), Answer::Plain),
        ("docker get", "a.example".to_owned(), Answer::Secret),
        ("docker list", String::new(), Answer::Plain),
        ("docker store", format!("{{\"ServerURL\":\"a.example\",\"Secret\":\"{API_KEY}\"}}"), Answer::Plain),
        ("cargo --cargo-plugin", get_cargo.to_owned(), Answer::Secret),
        ("cargo --cargo-plugin", get_cargo.replace("get", API_KEY), Answer::Plain),
    ] {
        let words: Vec<&str> = ["-vvv", "helper"].into_iter().chain(words.split(' ')).collect();
        let run = session.home.run_with_input(&words, &question);
        session.runs.push((run.expect_code(0), answer));
    }
    let url = session.provider.url("/api/x");
    for options in ["-i", "--json", "-d {}", "-f a=b", "-H 'X-A: b'", "-o api.json"] {
        session.expect(0, &format!("api work {url} {options} -vvv"), Answer::Plain);
    }
    session.expect(7, "api work https://b.example/ -vvv", Answer::Plain);
    for tool in ["kubectl", "gcloud", "rclone", "direnv", "systemd"] {
        session.expect(0, &format!("setup {tool} work -vvv"), Answer::Plain);
    }
    session.expect(0, "setup direnv work --write -vvv", Answer::Plain);
    session.expect(0, "setup direnv work --undo -vvv", Answer::Plain);
}

/// The whole vault in one file, and back again.
fn backups(session: &mut Session) {
    let own = crate::backup::recipient_of(&session.home.path("identity.txt"));
    session.expect(0, &format!("backup one.age --recipient {own} -vvv"), Answer::Plain);
    session.expect(2, &format!("backup one.age --recipient {own} -vvv"), Answer::Plain);
    session.expect(0, &format!("backup two.age --recipient {own} --json -vvv"), Answer::Plain);
    session.expect(0, "restore one.age --vault-dir second -vvv", Answer::Plain);
    session.expect(0, "verify --vault-dir second -vvv", Answer::Plain);
    session.expect(7, "restore one.age --vault-dir third --same-id -vvv", Answer::Plain);
    session.expect(3, "key passwd nothing -vvv", Answer::Plain);
}

/// Everything that shows facts.
fn looks(session: &mut Session) {
    let client = "127.0.0.1";
    for command in [
        "list".to_owned(),
        "show work".to_owned(),
        "status".to_owned(),
        "status work".to_owned(),
        "client list".to_owned(),
        format!("client show {client}"),
        "key list".to_owned(),
        "verify".to_owned(),
        "doctor".to_owned(),
        "doctor --refresh".to_owned(),
        "log".to_owned(),
        "log work --since 1d".to_owned(),
        "reveal work client_id".to_owned(),
        "reveal work account".to_owned(),
        "reveal work expires_at".to_owned(),
    ] {
        for options in ["-vvv", "--json -vvv", "-q", "--color always"] {
            session.expect(0, &format!("{command} {options}"), Answer::Plain);
        }
    }
    for command in
        ["--help", "--version", "token --help", "completions bash", "completions zsh", "completions fish"]
    {
        session.expect(0, command, Answer::Plain);
    }
    session.expect(0, "man pages", Answer::Plain);
    session.expect(0, "doctor --report -vvv", Answer::Plain);
    session.expect(4, "unlocked -vvv", Answer::Plain);
}

/// Everything that changes facts.
fn changes(session: &mut Session) {
    for command in [
        "use work",
        "edit work --set GMAIL=access_token",
        "edit work --unset GMAIL",
        "edit work --account ME@example.com",
        "edit work --api-key-file inputs-key",
        "rename work office",
        "rename office work",
        "client rename 127.0.0.1 desk",
        "client rename desk 127.0.0.1",
        "rotate client-secret 127.0.0.1 --client-secret-file inputs-secret",
        "rotate client-secret 127.0.0.1 --client-secret-file inputs-new-secret",
        "rotate client-secret 127.0.0.1 --client-secret-file inputs-secret --json",
        "rotate client-secret 127.0.0.1 --drop-old",
        "rotate api-key work --api-key-file inputs-new-secret",
        "rotate api-key work --api-key-file inputs-key --json",
        "rotate list",
        "rotate list --json",
        "add-profile later --client 127.0.0.1 --flow none --api-key-file inputs-key",
        "edit later --set K=api_key --json",
        "client add --name spare --issuer ISSUER --insecure-loopback --client-id other --client-secret-file inputs-secret",
        "edit later --client spare --forget-login",
        "remove later --yes",
        "client remove spare",
        "key add --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        "verify --accept-rollback",
        "token work --refresh -q --json",
    ] {
        let line = command.replace("ISSUER", &session.provider.issuer());
        let answer = if command.starts_with("token") { Answer::Secret } else { Answer::Plain };
        session.expect(0, &format!("{line} {}", if command.contains("-q") { "" } else { "-vvv" }), answer);
    }
    session.login(&["login", "work", "--scope", "calendar"], 0);
    session.login(&["login", "work"], 0);
}

/// Everything that the user can do wrong.
fn mistakes(session: &mut Session) {
    for (code, command) in [
        (3, "token nobody"),
        (3, "show nobody"),
        (3, "reveal nobody api_key"),
        (2, "reveal work password"),
        (2, "token work --format xml"),
        (2, "token work --min-ttl 1e9"),
        (2, "token work --min-ttl=-1"),
        (2, "env work --set PATH=access_token"),
        (2, "env work --set X=nothing"),
        (2, "env work --set X"),
        (2, "exec work"),
        (127, "exec work --set S=client_secret -- no-such-program"),
        (126, "exec work --set S=client_secret -- /etc/passwd"),
        (7, "client remove 127.0.0.1"),
        (7, "rotate client-secret 127.0.0.1 --client-secret-file inputs-key"),
        (2, "rotate client-secret 127.0.0.1 --client-secret-file inputs-key --client-file inputs-key"),
        (2, "rotate client-secret 127.0.0.1 --client-file inputs-secret"),
        (2, "rotate client-secret 127.0.0.1"),
        (3, "rotate api-key nobody --api-key-file inputs-key"),
        (2, "add-profile work"),
        (2, "add-profile A/B --flow none"),
        (2, "init"),
        (2, "edit work"),
        (3, "edit nobody --api-key-file inputs-key"),
        (2, "edit work --api-key-file no-such-file"),
        (2, "edit work --api-key-file /dev/zero"),
        (7, "edit work --account somebody@example.com"),
        (2, "rename work A/B"),
        (3, "rename nobody else"),
        (3, "remove nobody --yes"),
        (3, "use nobody"),
        (3, "key remove nothing"),
        (2, "key add --recipient age1nonsense"),
        (2, "key accept nonsense"),
        (2, "login work --no-input"),
        (3, "login nobody"),
        (2, "import-rescue"),
        (2, "nonsense"),
        (2, "token work --vault-dir"),
        (3, "--vault-dir elsewhere token work"),
        (2, "client add --client-id x --client-secret GOCSPX-x"),
        (2, "completions tcsh"),
    ] {
        let found = session.run(&format!("-vvv {command}"), Answer::Plain);
        // Which failure it is, other tests hold.
        assert!(found != 0 && found != 1, "{command} ends with {found}, and not with {code}");
    }
    let block = format!("{{\"refresh_token\": \"{API_KEY}\"}}");
    let run = session.home.run_with_input(&["import-rescue", "-vvv"], &block);
    session.runs.push((run, Answer::Plain));
    let two_lines = format!("{API_KEY}\n{CLIENT_SECRET}\n");
    let run = session.home.run_with_input(&["edit", "work", "--api-key-file", "-", "-vvv"], &two_lines);
    session.runs.push((run.expect_code(2), Answer::Plain));
    for password in [format!("--client-secret={CLIENT_SECRET}"), "--client-secret".to_owned()] {
        let run = session.home.run(&["client", "add", "--client-id", "x", &password, "-vvv"]);
        // The user has put it there. It is not said again, and the next look at the trace would find it.
        let said = Search::new(&[("the client secret".to_owned(), CLIENT_SECRET.to_owned())]);
        assert_eq!(said.found(run.expect_code(2).stderr), BTreeSet::new());
    }
    forget_newest_traces(session, CLIENT_SECRET);
}

/// What the test itself has put into arguments is no fault of the program.
fn forget_newest_traces(session: &Session, secret: &str) {
    let escaped = secret.replace('\\', "\\\\").replace('"', "\\\"");
    for trace in session.home.files("trace") {
        if std::fs::read_to_string(&trace).unwrap().contains(&format!("--client-secret={escaped}")) {
            std::fs::remove_file(trace).unwrap();
        }
    }
}

/// Everything that the provider can do wrong.
fn provider_in_trouble(session: &mut Session) {
    let echo = format!("you sent client_secret={CLIENT_SECRET}");
    let faults = || {
        vec![
            Fault::bad_secret(),
            Fault::deleted_client(),
            Fault::disabled_client(),
            Fault::invalid_rapt(),
            Fault::account_deleted(),
            Fault::revoked(),
            Fault::unavailable(1),
            Fault::too_many_requests(1),
            Fault::html(200),
            Fault::html(404),
            Fault::html(502),
            Fault::Garbage,
            Fault::Redirect("http://127.0.0.1:1/".to_owned()),
            Fault::error(400, "invalid_request", &echo),
            Fault::error(401, "invalid_client", &echo),
            Fault::error(400, "invalid_grant", &echo),
            Fault::oversized(2 << 20),
        ]
    };
    for fault in faults() {
        meet(session, fault);
        let code = session.run("token work --refresh -vvv", Answer::Plain);
        assert!(code > 1, "{code}");
        if code == 5 {
            session.login(&["login", "work"], 0);
        }
    }
    session.provider.script(Endpoint::Token, vec![Fault::CommitThenReset, Fault::CommitThenReset]);
    session.run("token work --refresh -vvv", Answer::Secret);
    session.run("token work -vvv", Answer::Secret);
    session.run("status", Answer::Plain);
    for fault in faults() {
        meet(session, fault);
        let run = session.home.consent(&["login", "work", "--no-browser", "-vvv"]);
        assert!(run.code > 1, "{}", run.stderr);
        session.runs.push((run, Answer::Plain));
        assert_eq!(session.provider.faults_left(Endpoint::Token), 0, "it was met");
    }
    session.provider.next_consent(Consent::denied());
    session.login(&["login", "work"], 12);
    session.provider.next_consent(Consent::failing("server_error"));
    session.login(&["login", "work"], 8);
    session.provider.next_user("other@example.com");
    session.login(&["login", "work"], 7);
    session.login(&["login", "work"], 0);
}

fn meet(session: &Session, fault: Fault) {
    // A lost answer is asked for once more.
    let times = if matches!(fault, Fault::Garbage) { 2 } else { 1 };
    session.provider.script(Endpoint::Token, vec![fault; times]);
}

/// Documents, slots and keys that are not as they were.
fn damage(session: &mut Session) {
    let commands =
        ["token work --refresh", "reveal work refresh_token", "edit work --set X=account", "verify", "list"];
    for (document, old, new) in [
        (session.home.profile("work"), "me@example.com", "be@example.com"),
        (session.home.profile("work"), "BEGIN AGE", "BEGIN OLD"),
        (session.home.client("127.0.0.1"), "\"desktop\"", "\"laptop\""),
        (session.home.vault_dir().join("vault.json"), "\"mac\": \"", "\"mac\": \"0"),
    ] {
        let text = std::fs::read_to_string(&document).unwrap();
        assert!(text.contains(old), "{}", document.display());
        std::fs::write(&document, text.replace(old, new)).unwrap();
        for command in commands {
            session.run(&format!("{command} -vvv"), Answer::Plain);
        }
        std::fs::write(&document, text).unwrap();
    }
    let identity = session.path("identity.txt");
    crate::home::write_identity(&session.home.path("identity.txt.other"));
    for wrong in ["identity.txt.other", "no-such-file", "inputs-key", "trace"] {
        std::fs::rename(&identity, session.path("identity.txt.hidden")).unwrap();
        let wrong = session.path(wrong);
        session.home.set("VAULT_IDENTITY_FILE", &wrong);
        for command in ["token work", "verify", "unlock"] {
            session.expect(4, &format!("{command} --no-input -vvv"), Answer::Plain);
        }
        std::fs::rename(session.path("identity.txt.hidden"), &identity).unwrap();
        session.home.set("VAULT_IDENTITY_FILE", &identity);
    }
}

/// The programs that a person names: they get what they need, and no secret.
fn other_programs(session: &mut Session) {
    let home = session.home.path("");
    let note = format!("ls -l /proc/self/fd >>{0}/seen-by-$NAME; env >>{0}/seen-by-$NAME", home.display());
    let program = |name: &str, rest: &str| {
        let path = home.join(name);
        std::fs::write(&path, format!("#!/bin/sh\nNAME={name}\n{note}\n{rest}\n")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let passphrase =
        program("inputs-passphrase-command", &format!("cat {}/inputs-passphrase", home.display()));
    let browser = program("inputs-browser", "exit 0");

    session.home.set("VAULT_PASSPHRASE_COMMAND", &passphrase);
    session.expect(0, "key add --passphrase -vvv", Answer::Plain);
    let identity = session.path("identity.txt");
    session.home.unset("VAULT_IDENTITY_FILE");
    std::fs::rename(&identity, session.path("identity.txt.hidden")).unwrap();
    session.expect(0, "token work --refresh -vvv", Answer::Secret);
    std::fs::write(home.join("inputs-passphrase"), format!("not the {PASSPHRASE}")).unwrap();
    session.expect(4, "token work -vvv --no-input", Answer::Plain);
    session.home.unset("VAULT_PASSPHRASE_COMMAND");
    std::fs::rename(session.path("identity.txt.hidden"), &identity).unwrap();
    session.home.set("VAULT_IDENTITY_FILE", &identity);

    session.home.set("BROWSER", &browser);
    session.home.set("DISPLAY", ":99");
    session.expect(12, "login work --timeout 1s -vvv", Answer::Plain);
    for seen in ["seen-by-inputs-browser", "seen-by-inputs-passphrase-command"] {
        let seen = std::fs::read_to_string(home.join(seen)).unwrap();
        let open = seen.lines().filter(|line| line.contains(" -> ") && line.contains("/vault"));
        let ours: Vec<&str> = open.filter(|line| !line.contains("/seen-by-")).collect();
        assert!(ours.is_empty(), "they inherit files of the vault: {ours:?}");
        // Whoever asks for the passphrase is part of unlocking; the browser is not.
        assert!(!seen.contains("VAULT_IDENTITY_FILE=") || seen.contains("passphrase-command"), "{seen}");
    }
    session.home.unset("BROWSER");
    session.home.unset("DISPLAY");
}

/// The process that holds the key. It outlives a tracer's patience, so that it is started without one.
fn agent(session: &mut Session) {
    session.home.run_by(&[]);
    session.expect(0, "unlock --for 1h -vvv", Answer::Plain);
    session.watch();
    for command in ["unlocked -vvv", "unlocked --json", "verify -vvv", "list"] {
        session.expect(0, command, Answer::Plain);
    }
    session.expect(0, "token work -vvv", Answer::Secret);
    session.expect(0, "token work --refresh -vvv", Answer::Secret);
    session.expect(0, "lock -vvv", Answer::Plain);
    session.expect(4, "unlocked -vvv", Answer::Plain);
}

/// A machine without random numbers makes the real program panic where secrets are at hand: while it
/// asks for a token, seals one, or begins a login.
#[test]
fn a_panic_in_the_midst_of_secrets_shows_none() {
    if !outside::have(&["strace"]) {
        return;
    }
    let mut session = Session::new();
    session.expect(0, "edit work --api-key-file inputs-key", Answer::Plain);
    session.home.run_by(&[]);
    let mut panics = 0;
    for arguments in [
        &["token", "work", "--refresh", "-vvv"][..],
        &["edit", "work", "--api-key-file", "inputs-key", "-vvv"],
    ] {
        for number in 1..=11 {
            let inject = format!("inject=getrandom:error=EIO:when={number}");
            let mut command = Command::new("strace");
            session.home.prepare(&mut command);
            command
                .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=getrandom", "-e", &inject, VAULT])
                .args(arguments);
            let run = Run::of(arguments, command.output().unwrap());
            let is_panic = run.stderr.contains("error: vault has met a bug at ");
            panics += usize::from(is_panic);
            assert_eq!(is_panic, run.code == 1, "{run:?}");
            // Neither the message nor the frames of the stack.
            assert!(
                !run.stderr.contains("panicked at") && !run.stderr.contains("stack backtrace"),
                "{run:?}"
            );
            if run.code == 5 {
                session.login(&["login", "work"], 0);
            }
            let answer = if run.code == 0 { Answer::Secret } else { Answer::Plain };
            session.runs.push((run, answer));
        }
    }
    assert!(panics >= 4, "it panicked {panics} times only");

    let search = Search::new(&session.secrets());
    for (run, answer) in &session.runs {
        assert_eq!(search.found(without_address(&run.stderr)), BTreeSet::new(), "{run:?}");
        assert!(*answer == Answer::Secret || search.found(&run.stdout).is_empty(), "{run:?}");
    }
}
