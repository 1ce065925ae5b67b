//! `vault helper kubectl`: the real kubectl at a small API server, and whatever else may ask.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::expiry::expired_at;
use crate::home::{Home, Run, VAULT};
use crate::outside::program;
use crate::provider::{Authority, Config, HOST, Provider, Request, Response, Site};
use crate::slots::{PASSPHRASE, expect_end, on_terminal, passphrase_home};

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

#[test]
fn kubectl_takes_the_token_that_works_now_and_a_renewed_one_after_its_end() {
    let Some(kubectl) = program("kubectl") else { return };
    for version in spoken_by(&kubectl) {
        let (provider, home) = expired_at(Config { expires_in: 30, ..Config::default() });
        let cluster = Cluster::of(provider);
        cluster.names_plugin(&home, version, VAULT, &["helper", "kubectl", "--profile", "work"]);

        for _ in 0..2 {
            let run = cluster.get_pods(&kubectl, &home);
            assert_eq!(run.expect_code(0).stdout, "pod/web-0\n");
        }

        let tokens = cluster.tokens();
        assert!(tokens.len() >= 2, "a token that has ended is not used for the second run: {tokens:?}");
    }
}

#[test]
fn kubectl_takes_an_id_token_into_a_cluster_of_openid_connect() {
    let Some(kubectl) = program("kubectl") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let cluster = Cluster::taking(move |token| {
        // An access token of this server has no dot in it.
        token.split('.').count() == 3 && provider.issued().iter().any(|issued| issued == token)
    });
    let arguments = ["helper", "kubectl", "--profile", "work", "--id-token", "--audience", "desktop"];
    cluster.names_plugin(&home, "v1beta1", VAULT, &arguments);

    let run = cluster.get_pods(&kubectl, &home);

    assert_eq!(run.expect_code(0).stdout, "pod/web-0\n");
    assert_eq!(cluster.tokens(), [home.run(&["token", "work", "--id-token"]).answer()]);
}

#[test]
fn kubectl_finds_the_plugin_under_its_own_name_and_the_default_profile() {
    let Some(kubectl) = program("kubectl") else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let link = home.path("kubectl-credential-vault");
    std::os::unix::fs::symlink(VAULT, &link).unwrap();
    let cluster = Cluster::of(provider);
    cluster.names_plugin(&home, "v1beta1", link.to_str().unwrap(), &[]);

    let _ = cluster.get_pods(&kubectl, &home).expect_code(0);

    assert_eq!(cluster.tokens(), [home.run(&["token", "work"]).answer()]);
}

#[test]
fn kubectl_shows_why_there_is_no_token() {
    let Some(kubectl) = program("kubectl") else { return };
    let (provider, home) = expired_at(Config::default());
    provider.revoke_user_grant("desktop", "me@example.com");
    let cluster = Cluster::of(provider);
    cluster.names_plugin(&home, "v1beta1", VAULT, &["helper", "kubectl", "--profile", "work"]);

    let run = cluster.get_pods(&kubectl, &home);

    assert_ne!(run.code, 0);
    let _ = run.expect_said("error: the provider no longer accepts the grant of profile `work`");
    let run = cluster.get_pods(&kubectl, &home);
    let _ = run.expect_said("vault login work");
    assert_eq!(cluster.tokens(), [] as [&str; 0]);
}

#[test]
fn the_answer_is_one_line_that_says_when_the_token_ends() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    let facts: Value = serde_json::from_str(&home.run(&["token", "work", "--json"]).answer()).unwrap();

    for version in VERSIONS {
        home.set("KUBERNETES_EXEC_INFO", &info(version, false));
        let answer = home.run(&["helper", "kubectl", "work"]).expect_unsaid("warning").answer();

        assert_eq!(answer.lines().count(), 1);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["apiVersion"], format!("client.authentication.k8s.io/{version}"));
        assert_eq!(answer["status"]["token"], facts["access_token"]);
        let end = answer["status"]["expirationTimestamp"].as_str().unwrap();
        let told = facts["expires_at"].as_str().unwrap();
        assert_eq!((end.len(), &end[..19]), ("2026-11-22T15:00:00Z".len(), &told[..19]));
    }
    home.unset("KUBERNETES_EXEC_INFO");
    let answer = home.run(&["helper", "kubectl"]).answer();
    assert!(answer.contains(r#""apiVersion":"client.authentication.k8s.io/v1""#), "{answer}");
}

#[test]
fn other_versions_and_garbage_get_nothing() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);

    for (info, code, said) in [
        (&*info("v1alpha1", false), 7, "apiVersion: client.authentication.k8s.io/v1"),
        (&info("v3", false), 7, "is not spoken here"),
        ("{}", 2, "KUBERNETES_EXEC_INFO cannot be read"),
        ("yes", 2, "KUBERNETES_EXEC_INFO cannot be read"),
        (&info("v1", false).replace("ExecCredential", "Config"), 2, "not for an ExecCredential"),
    ] {
        home.set("KUBERNETES_EXEC_INFO", info);
        let _ = home.run(&["helper", "kubectl", "work"]).expect_code(code).expect_said(said);
    }
}

#[test]
fn a_person_is_asked_only_where_the_kubeconfig_allows_it() {
    let mut home = passphrase_home();
    home.unset("VAULT_PASSPHRASE_FILE");

    home.set("KUBERNETES_EXEC_INFO", &info("v1", false));
    let said = expect_end(on_terminal(&home, &["helper", "kubectl", "work"]), 4);
    assert!(!said.contains("Passphrase of the vault"), "{said}");

    home.set("KUBERNETES_EXEC_INFO", &info("v1", true));
    let mut terminal = on_terminal(&home, &["helper", "kubectl", "work"]);
    terminal.exp_string("Passphrase of the vault").unwrap();
    terminal.send_line(PASSPHRASE).unwrap();
    expect_end(terminal, 3);
}

/// Since kubectl 1.22 both versions; Debian 12 has an older one.
fn spoken_by(kubectl: &Path) -> &'static [&'static str] {
    let output = Command::new(kubectl).args(["version", "--client", "--output", "json"]).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let minor = told["clientVersion"]["minor"].as_str().unwrap().trim_end_matches('+');
    if minor.parse::<u32>().unwrap() >= 22 { &VERSIONS } else { &VERSIONS[1..] }
}

fn info(version: &str, interactive: bool) -> String {
    json!({
        "kind": "ExecCredential",
        "apiVersion": format!("client.authentication.k8s.io/{version}"),
        "spec": {"cluster": {"server": "https://k8s.example", "config": null}, "interactive": interactive},
    })
    .to_string()
}

/// A cluster with one pod, for whoever has a token of the provider that works.
struct Cluster {
    site: Site,
    authority: Authority,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Cluster {
    fn of(provider: Provider) -> Self {
        Self::taking(move |token| provider.is_live_access_token(token))
    }

    /// The same for whoever has a token that it takes.
    fn taking(is_good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let authority = Authority::new();
        let (site, requests) =
            Site::http(Some(authority.certify(HOST)), move |request| match bearer(request) {
                Some(token) if is_good(token) => resource(&request.path),
                _ => Response::json(401, &json!({"kind": "Status", "apiVersion": "v1", "code": 401})),
            });
        Self { site, authority, requests }
    }

    /// Writes a kubeconfig whose user is `command`.
    fn names_plugin(&self, home: &Home, version: &str, command: &str, arguments: &[&str]) {
        let ca = home.write("cluster.pem", self.authority.pem());
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
            "clusters": [{"name": "it", "cluster": {
                "server": format!("https://{}", self.site.authority()),
                "certificate-authority": ca,
            }}],
            "users": [{"name": "me", "user": {"exec": {
                "apiVersion": format!("client.authentication.k8s.io/{version}"),
                "command": command,
                "args": arguments,
                "interactiveMode": "Never",
            }}}],
        });
        home.write("kubeconfig", kubeconfig.to_string());
    }

    fn get_pods(&self, kubectl: &Path, home: &Home) -> Run {
        let arguments = ["--kubeconfig", "kubeconfig", "get", "pods", "--output", "name"];
        let mut command = Command::new(kubectl);
        home.prepare(&mut command);
        Run::of(&arguments, command.args(arguments).output().unwrap())
    }

    /// The tokens that have arrived, each once, in their order.
    fn tokens(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let mut tokens: Vec<_> = requests.iter().filter_map(bearer).map(str::to_owned).collect();
        tokens.dedup();
        tokens
    }
}

fn bearer(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

fn resource(path: &str) -> Response {
    let found = match path {
        "/version" => json!({"major": "1", "minor": "32", "gitVersion": "v1.32.0"}),
        "/api" => json!({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis" => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
        "/api/v1" => json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1",
            "resources": [{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["list"]}],
        }),
        "/api/v1/namespaces/default/pods" => json!({
            "kind": "PodList", "apiVersion": "v1", "metadata": {},
            "items": [{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web-0", "namespace": "default"}}],
        }),
        _ => return Response::json(404, &json!({"kind": "Status", "apiVersion": "v1", "code": 404})),
    };
    Response::json(200, &found)
}
