//! A home as tools leave it: a file for each place of the table with secrets in it, and decoys that look nearly so.

use std::path::Path;

use crate::provider::ServiceAccount;
use vault::ops::scan::places::{Base, Shape, USUAL};

/// A file with secrets.
pub struct Planted {
    /// Where it lies, below the home.
    pub path: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// The kind of its most lasting secret.
    pub kind: &'static str,
    /// What must never be shown.
    pub secrets: Vec<String>,
}

/// Random texts that are the same in each run, each of them once.
pub struct Canaries {
    random: fastrand::Rng,
    /// All that were given out.
    pub known: Vec<String>,
}

impl Canaries {
    pub fn new() -> Self {
        Self { random: fastrand::Rng::with_seed(0x5ca9), known: Vec::new() }
    }

    /// A secret that begins so, and goes on with so many random characters.
    pub fn secret(&mut self, start: &str, length: usize) -> String {
        let random: String = (0..length).map(|_| self.random.alphanumeric()).collect();
        self.known.push(random.clone());
        format!("{start}{random}")
    }

    pub fn refresh_token(&mut self) -> String {
        self.secret("1//0", 99)
    }

    pub fn client_secret(&mut self) -> String {
        self.secret("GOCSPX-", 28)
    }

    pub fn access_token(&mut self) -> String {
        self.secret("ya29.a0", 120)
    }

    /// A private key, as far as its shape goes.
    fn private_key(&mut self) -> String {
        let lines: Vec<String> = (0..26).map(|_| self.secret("", 64)).collect();
        format!("-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n", lines.join("\\n"))
    }
}

const CLIENT: &str = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com";

/// A file for each usual place, with what its tool keeps there.
pub fn planted(canaries: &mut Canaries) -> Vec<Planted> {
    USUAL
        .iter()
        .filter(|usual| !usual.path.ends_with(".db"))
        .map(|usual| {
            let before = canaries.known.len();
            let folder = if usual.base == Base::Config { ".config/" } else { "" };
            let path = format!("{folder}{}", usual.path.replace('*', "x1"));
            let (content, kind) = match usual.path {
                "token.pickle" => (pickle(&canaries.refresh_token()), "refresh_token"),
                _ => {
                    let (text, kind) = content(usual.tool, usual.path, usual.shape, canaries);
                    (text.into_bytes(), kind)
                }
            };
            Planted { path, content, kind, secrets: canaries.known[before..].to_vec() }
        })
        .collect()
}

fn content(tool: &str, path: &str, shape: Shape, canaries: &mut Canaries) -> (String, &'static str) {
    let name = path.rsplit('/').next().unwrap();
    match shape {
        Shape::Any(_) => return (canaries.secret("", 44), "refresh_token"),
        Shape::Addresses => {
            return (
                format!("[remote]\n\turl = https://me:{}@git.example/x\n", canaries.secret("", 30)),
                "password",
            );
        }
        Shape::Netrc => {
            return (
                format!("machine x.example\n  login me\n  password {}\n", canaries.secret("", 12)),
                "password",
            );
        }
        Shape::Has(..) if tool == "git" => {
            return (
                format!(
                    ".googlesource.com\tTRUE\t/\tTRUE\t2147483647\to\tgit-me.x={}\n",
                    canaries.refresh_token()
                ),
                "refresh_token",
            );
        }
        Shape::Has(..) => {
            let key = format!("{{\\\"client_secret\\\":\\\"{}\\\"}}", canaries.client_secret());
            return (format!("{{\"{key}\":\"eyJ{}\"}}", canaries.secret("", 200)), "refresh_token");
        }
        Shape::Names(kind, names) if tool != "gsutil" => {
            let value = format!(" {} = \"{}\"\n", names[0].trim(), canaries.secret("", 30));
            let value = if names[0].starts_with('"') { value.replace('=', ":") } else { value };
            return (value, kind.as_str());
        }
        _ => {}
    }
    match tool {
        "gcloud's log" => {
            (format!("2026-01-01 INFO ___FILE_ONLY___ {}\n", canaries.access_token()), "access_token")
        }
        "gcloud" | "gsutil" if name.ends_with("boto") => (
            format!("[Credentials]\ngs_oauth2_refresh_token = {}\n", canaries.refresh_token()),
            "refresh_token",
        ),
        "rclone" => {
            let token = format!(
                r#"{{"access_token":"{}","token_type":"Bearer","refresh_token":"{}","expiry":"2026-01-01T00:00:00Z"}}"#,
                canaries.access_token(),
                canaries.refresh_token()
            );
            (
                format!(
                    "[gd]\ntype = drive\nclient_secret = {}\ntoken = {token}\n",
                    canaries.client_secret()
                ),
                "refresh_token",
            )
        }
        "gh" => (
            format!("github.com:\n    user: me\n    oauth_token: {}\n", canaries.secret("gho_", 36)),
            "token",
        ),
        "hub" => (format!("github.com:\n- user: me\n  oauth_token: {}\n", canaries.secret("", 40)), "token"),
        "glab" => (format!("hosts:\n  gitlab.com:\n    token: {}\n", canaries.secret("glpat-", 20)), "token"),
        "gke-gcloud-auth-plugin" => {
            (format!("{{\"access_token\": \"{}\"}}", canaries.access_token()), "access_token")
        }
        "docker-credential-gcr" => (
            format!(
                "{{\"gcrCreds\":{{\"access_token\":\"{}\",\"refresh_token\":\"{}\"}}}}",
                canaries.access_token(),
                canaries.refresh_token()
            ),
            "refresh_token",
        ),
        "clasp" => (
            format!(
                r#"{{"tokens":{{"default":{{"client_id":"{CLIENT}","client_secret":"{}","type":"authorized_user","refresh_token":"{}","access_token":"{}"}}}}}}"#,
                canaries.client_secret(),
                canaries.refresh_token(),
                canaries.access_token()
            ),
            "refresh_token",
        ),
        "firebase-tools" => (
            format!(
                r#"{{"user":{{"email":"me@work.example"}},"tokens":{{"refresh_token":"{}"}}}}"#,
                canaries.refresh_token()
            ),
            "refresh_token",
        ),
        "oauth2client" => (
            format!(
                r#"{{"_module": "oauth2client.client", "client_id": "{CLIENT}", "client_secret": "{}", "refresh_token": "1/{}"}}"#,
                canaries.client_secret(),
                canaries.secret("", 43)
            ),
            "refresh_token",
        ),
        "Google's console" if name.starts_with('*') || name.starts_with("x1") => (
            format!(
                r#"{{"type": "service_account", "project_id": "my-project-1", "private_key": "{}", "client_email": "sa@my-project-1.iam.gserviceaccount.com"}}"#,
                canaries.private_key()
            ),
            "private_key",
        ),
        _ if name.contains("service") => (
            format!(
                "{{\n  \"type\": \"service_account\",\n  \"private_key\": \"{}\"\n}}\n",
                canaries.private_key()
            ),
            "private_key",
        ),
        _ if name.contains("client_secret")
            || name.contains("keys")
            || name.starts_with("secret")
            || tool == "gogcli" =>
        {
            (
                format!(
                    r#"{{"installed":{{"client_id":"{CLIENT}","client_secret":"{}"}}}}"#,
                    canaries.client_secret()
                ),
                "client_secret",
            )
        }
        "terraform's state" => (
            format!(
                "{{\"attributes\": {{\"private_key\": \"ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCIs{}\"}}}}",
                canaries.secret("", 2300)
            ),
            "private_key",
        ),
        "an environment file" | "direnv" | "a shell's settings" | "gemini-cli" if !name.ends_with("json") => {
            (format!("# mine\nexport GEMINI_API_KEY={}\n", canaries.secret("AIza", 35)), "api_key")
        }
        "a history of typed lines" => (
            format!(
                "ls\ncurl -d client_secret={} -d 'refresh_token={}' https://x.example\n",
                canaries.client_secret(),
                canaries.refresh_token()
            ),
            "refresh_token",
        ),
        "an editor's swap file" => {
            (format!("b0VIM 9.0\0\0\0\0REFRESH_TOKEN={}\n", canaries.refresh_token()), "refresh_token")
        }
        _ if name.ends_with("json") || name.contains("token") => (
            format!(
                "{{\n  \"access_token\": \"{}\",\n  \"refresh_token\": \"{}\",\n  \"expiry\": \"2026-01-01T00:00:00Z\"\n}}\n",
                canaries.access_token(),
                canaries.refresh_token()
            ),
            "refresh_token",
        ),
        _ => (
            format!(
                "client_secret = {}\noauth2_refresh_token: {}\n",
                canaries.client_secret(),
                canaries.refresh_token()
            ),
            "refresh_token",
        ),
    }
}

/// Files in which nothing is missing, in the forms that are not JSON; and a key that signs.
pub fn importable(canaries: &mut Canaries) -> Vec<Planted> {
    let login = |[id, secret, token]: [&str; 3], canaries: &mut Canaries| {
        let (known, random) = (canaries.client_secret(), canaries.refresh_token());
        format!("{id}={CLIENT}\n{secret}={known}\n{token}={random}\n")
    };
    let env = login(["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"], canaries);
    let names = ["client_id", "client_secret", "gs_oauth2_refresh_token"];
    let boto = format!("[Credentials]\n{}", login(names, canaries));
    let key = serde_json::json!({
        "type": "service_account", "private_key_id": "k1", "private_key": ServiceAccount::KEY,
        "client_email": "sa@my-project-1.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    });
    let adc = serde_json::json!({
        "type": "authorized_user", "client_id": CLIENT, "client_secret": canaries.client_secret(),
        "refresh_token": canaries.refresh_token(),
    });
    let files = [
        ("app/.env", env.into_bytes()),
        ("app/.boto", boto.into_bytes()),
        ("app/sa.json", key.to_string().into_bytes()),
        ("app/credentials.db", database(&adc.to_string())),
        ("app/token.pickle", whole_pickle(canaries)),
    ];
    let planted = |(path, content): (&str, Vec<u8>)| Planted {
        path: path.to_owned(),
        content,
        kind: "refresh_token",
        secrets: Vec::new(),
    };
    files.map(planted).into()
}

/// As gcloud keeps a login.
fn database(login: &str) -> Vec<u8> {
    let mut database = rusqlite::Connection::open_in_memory().unwrap();
    database.execute_batch("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)").unwrap();
    database.execute("INSERT INTO credentials VALUES ('me@work.example', ?1)", [login]).unwrap();
    let bytes: &[u8] = &database.serialize("main").unwrap();
    bytes.to_vec()
}

/// An object with the attributes of a login, in protocol 4.
fn whole_pickle(canaries: &mut Canaries) -> Vec<u8> {
    let mut bytes = b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81}(".to_vec();
    let (secret, token) = (canaries.client_secret(), canaries.refresh_token());
    for (name, value) in [("_client_id", CLIENT), ("_client_secret", &secret), ("_refresh_token", &token)] {
        for text in [name, value] {
            bytes.extend([&[0x8c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat());
        }
    }
    bytes.extend(b"ub.");
    bytes
}

/// The part of a pickle of protocol 4 that matters: a name and its value, each with its length.
fn pickle(token: &str) -> Vec<u8> {
    let name = "_refresh_token";
    let parts: [&[u8]; 5] = [
        b"\x80\x04\x95\x00\x01\x00\x00\x00\x00\x00\x00}\x94(\x8c",
        &[name.len() as u8],
        name.as_bytes(),
        &[0x94, 0x8c, token.len() as u8],
        token.as_bytes(),
    ];
    [&parts.concat()[..], b"\x94u."].concat()
}

/// Files that hold no secret, and look as if they did.
pub fn decoys() -> Vec<(&'static str, String)> {
    let lock = (0..200).map(|at| format!("    \"integrity\": \"sha512-{}==\",\n", base64_of(at, 86)));
    let minified = (0..400)
        .map(|at| format!("function {}(e){{return e.refresh_token||e.clientSecret}};", base64_of(at, 7)));
    vec![
        ("docs/oauth.md", "The `refresh_token` is kept. Set `client_secret: YOUR_CLIENT_SECRET`, then\n\n    refresh_token=YOUR-REFRESH-TOKEN-GOES-HERE\n    {\"refresh_token\": \"tGzv3JOkF0XG5Qx2TlKWIA\"}\n    \"1//0xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" AIzaXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\n".to_owned()),
        ("docs/rfc6749.txt", "\"access_token\":\"2YotnFZFEjr1zCsicMWpAA\", \"refresh_token\":\"tGzv3JOkF0XG5Qx2TlKWIA\" client_secret=7Fjfp0ZBr1KtDRbnfVdmIw\n".to_owned()),
        ("src/app.py", "refresh_token = response.json()[\"refresh_token\"]\nclient_secret = os.environ[\"GOOGLE_CLIENT_SECRET\"]\nself.client_secret = settings.google_oauth2.client_secret\n".to_owned()),
        ("src/app.ts", "const x = { clientSecret: process.env.GOOGLE_OAUTH2_CLIENT_SECRET, refreshToken: await this.tokens.load(user) };\n".to_owned()),
        ("src/main.go", "RefreshToken string `json:\"refresh_token,omitempty\"`\nconst service_account = \"-----BEGIN PRIVATE KEY-----\"\n".to_owned()),
        ("src/config.rs", "client_secret: Option<String>,\nlet refresh_token: SecretString = form.refresh_token_from(value);\n".to_owned()),
        (".env.example", "CLIENT_SECRET=\nREFRESH_TOKEN=changeme-changeme-123\nGOOGLE_API_KEY=AIzaSyEXAMPLEEXAMPLEEXAMPLEEXAMPLE12345\n".to_owned()),
        (".npmrc", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n".to_owned()),
        ("tests/fixtures/token.json", "{\"access_token\": \"access-token-of-the-test\", \"refresh_token\": \"refresh-token-of-the-test-1\", \"client_secret\": \"my-client-secret-for-tests\"}\n".to_owned()),
        ("tests/fixtures/sa.json", "{\"type\": \"service_account\", \"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMIIfake\\n-----END PRIVATE KEY-----\\n\"}\n".to_owned()),
        ("package-lock.json", lock.collect()),
        ("dist/app.min.js", minified.collect()),
        ("k8s.yaml", "client_secret:\n  valueFrom:\n    secretKeyRef: {name: oauth-client-secret, key: client_secret}\nrefresh_token: {{ .Values.refreshToken2 }}\n".to_owned()),
        ("schema.json", "{\"properties\": {\"refresh_token\": {\"type\": \"string\"}, \"client_secret\": {\"$ref\": \"#/definitions/ClientSecret2019\"}}}\n".to_owned()),
        (".docker/config.json", "{\"auths\": {\"gcr.io\": {}}, \"credHelpers\": {\"gcr.io\": \"vault\"}}\n".to_owned()),
        (".config/gcloud/application_default_credentials.json", "{\"type\":\"external_account\",\"audience\":\"vault:work\",\"credential_source\":{\"url\":\"http://127.0.0.1:1/subject\"}}\n".to_owned()),
        ("notes.txt", "ghp_ is GitHub's, glpat- GitLab's, ya29. Google's, xoxb- Slack's; client_secret=https://example.com/a/b/c/2\n".to_owned()),
        ("emailproxy.config", "refresh_token = gAAAAABmZ0w1c2x5b3duZXhhbXBsZXZhbHVlMTIzNDU2Nzg5MA==\n".to_owned()),
        ("image.png", format!("\u{0}PNG\0\0refresh_token=1//0{}", base64_of(7, 60))),
    ]
}

/// A text that looks random and is the same each time.
fn base64_of(seed: u64, length: usize) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.alphanumeric()).collect()
}

/// Writes a file and the folders above it.
pub fn write(home: &Path, path: &str, content: &[u8]) {
    let path = home.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
