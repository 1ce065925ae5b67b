//! Every built-in provider as its own pages describe it: the requests that they ask for, the answers that they
//! show, and what a user is told of each of its errors.
//!
//! The files of the providers are the real ones, with the real hosts in them: a proxy leads these to a server of
//! ours, which has certificates for them. What the pages say stands in `documented/`, apart from the files.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;
use vault::oauth::provider;

use crate::home::{Home, Login, Run};
use crate::network::Proxy;
use crate::provider::{Authority, Config, Endpoint, Fault, Provider, Request, browser};

/// The id and the secret of every client here.
const ID: &str = "client-canary";
const SECRET: &str = "CANARY-client-secret";

/// The code that every consent here brings.
const CODE: &str = "CANARY-code";

macro_rules! documented {
    ($($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { as_documented(stringify!($name)); })+
        /// All that are tested here.
        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

documented!(
    atlassian, bitbucket, codeberg, discord, dropbox, forgejo, gitea, github, gitlab, linear, microsoft,
    notion, salesforce, slack, spotify, twitch, zoom
);

#[test]
fn every_built_in_provider_is_played_as_its_pages_describe_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/oauth/provider/data");
    let files = std::fs::read_dir(folder).unwrap();
    let known: BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();

    // Google's ways are those of the test server itself, which dozens of tests play.
    let played = NAMES.iter().chain([&"google"]).map(|name| (*name).to_owned()).collect();
    assert_eq!(known, played);
}

fn as_documented(name: &str) {
    let mut play = Play::of(name);
    play.log_in();
    play.refresh();
    play.every_error();
    play.log_out();
    play.assert_discreet();
}

/// A provider, what its pages say, and a user who has a client there.
struct Play {
    name: String,
    pages: Value,
    server: Provider,
    home: Home,
    /// Kept alive: all requests go through it.
    _proxy: Proxy,
    /// The refresh token that the provider has given last.
    refresh_token: Option<String>,
    access_token: String,
    said: String,
}

impl Play {
    fn of(name: &str) -> Self {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/documented").join(format!("{name}.json"));
        let pages: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let places = places(&pages);
        let hosts: BTreeSet<String> =
            places.iter().map(|(url, _)| url.host_str().unwrap().to_owned()).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();

        let authority = Authority::new();
        let paths = places.iter().map(|(url, endpoint)| (url.path().to_owned(), *endpoint)).collect();
        let config = Config { places: paths, ..Config::default() };
        let server = Provider::start_https(config, authority.certify_all(&hosts));
        let proxy = Proxy::leading_to(server.address());
        let mut home = Home::trusting(&authority);
        home.set("HTTPS_PROXY", &proxy.url());
        Self {
            name: name.to_owned(),
            pages,
            server,
            home,
            _proxy: proxy,
            refresh_token: None,
            access_token: String::new(),
            said: String::new(),
        }
    }

    fn is_public(&self) -> bool {
        self.pages["public"] == true
    }

    /// `vault add-profile`, as the page of the provider in our documentation has it.
    fn log_in(&mut self) {
        let arguments = self.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let login = self.home.start_login(&arguments);
        let url = self.address(&login, &arguments);
        self.assert_authorization(&url);

        let mut answer = self.pages["exchange"]["answer"].clone();
        if let Some(claims) = self.pages["exchange"].get("id_token") {
            answer["id_token"] = id_token(claims, parameter(&url, "nonce").as_deref()).into();
        }
        self.server.script(Endpoint::Token, vec![Fault::json(200, &answer)]);
        if let Some(answer) = self.pages["who"].get("answer") {
            self.server.script(Endpoint::Userinfo, vec![Fault::json(200, answer)]);
        }
        come_back(&url);
        let account = &self.pages["account"];
        let run = login.finish(&arguments).expect_code(0);
        self.said.push_str(&run.stderr);

        self.assert_exchange(&url);
        self.assert_who();
        let shown: Value = serde_json::from_str(&self.home.run(&["show", "p", "--json"]).answer()).unwrap();
        assert_eq!(shown["profiles"][0]["account"]["subject"], account["subject"], "{}", self.name);
        assert_eq!(shown["profiles"][0]["account"].get("email"), account.get("email"), "{}", self.name);

        self.keep(&answer);
        self.assert_fresh(&answer);
    }

    /// What still works is answered without a question. Of a token that nobody says the end of, nothing is known.
    fn assert_fresh(&self, answer: &Value) {
        let tokens = answer.get("authed_user").unwrap_or(answer);
        let is_known = tokens.get("expires_in").is_some();
        if !is_known && provider::get(&self.name).refresh.access_lifetime.is_none() {
            return;
        }
        let before = self.server.count(Endpoint::Token);
        assert_eq!(self.home.run(&["token", "p"]).answer(), self.access_token, "{}", self.name);
        assert_eq!(self.server.count(Endpoint::Token), before, "{}: what is fresh is answered", self.name);
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments =
            vec!["add-profile", "p", "--no-browser", "--provider", &self.name, "--client-id", ID];
        let secret = self.home.write("client.secret", format!("{SECRET}\n"));
        match self.is_public() {
            true => arguments.extend(["--client-auth", "none"]),
            false => arguments.extend(["--client-secret-file", secret.to_str().unwrap()]),
        }
        let texts = |key: &str| -> Vec<String> {
            self.pages[key]
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| it.as_str().unwrap().to_owned())
                .collect()
        };
        let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        arguments.extend(texts("set").into_iter().flat_map(|it| ["--provider-set".to_owned(), it]));
        arguments.extend(texts("ask").into_iter().flat_map(|it| ["--scope".to_owned(), it]));
        let documented = self.pages["authorization"]["redirect"].as_str().unwrap();
        if !documented.contains('*') {
            // The registered port may be another one, so that tests do not wait for each other.
            let registered = provider::get(&self.name).redirect.registered();
            assert_eq!(registered.as_deref(), Some(documented), "{}", self.name);
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            arguments.extend(["--redirect-uri".to_owned(), documented.replace("8252", &port.to_string())]);
        }
        arguments
    }

    fn address(&self, login: &Login, arguments: &[&str]) -> Url {
        let Some(url) = &login.url else { panic!("vault {}: no address is shown", arguments.join(" ")) };
        Url::parse(url).unwrap()
    }

    fn assert_authorization(&self, url: &Url) {
        let (name, page) = (&self.name, &self.pages["authorization"]);
        assert_eq!(without_query(url), page["url"].as_str().unwrap(), "{name}");
        for (key, value) in page["has"].as_object().into_iter().flatten() {
            assert_eq!(parameter(url, key).as_deref(), value.as_str(), "{name}: {key} in {url}");
        }
        for key in page["has_not"].as_array().into_iter().flatten() {
            assert_eq!(parameter(url, key.as_str().unwrap()), None, "{name}: {key} in {url}");
        }
        assert_eq!(parameter(url, "client_id").as_deref(), Some(ID), "{name}");
        assert_eq!(parameter(url, "code_challenge_method").as_deref(), Some("S256"), "{name}");
        let redirect = parameter(url, "redirect_uri").unwrap();
        let (start, end) = page["redirect"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(
            redirect.starts_with(start) && redirect.ends_with(&end[end.len() - 1..]),
            "{name}: {redirect}"
        );
    }

    fn assert_exchange(&self, url: &Url) {
        let request = self.last(Endpoint::Token);
        self.assert_sent_to(&request, &format!("POST {}", self.pages["token"]["url"].as_str().unwrap()));
        let fields = self.fields(&request);
        assert_eq!(fields["grant_type"], "authorization_code", "{}", self.name);
        assert_eq!(fields["code"], CODE, "{}", self.name);
        assert_eq!(fields["redirect_uri"], *parameter(url, "redirect_uri").unwrap(), "{}", self.name);
        let digest = Sha256::digest(fields["code_verifier"].as_str().unwrap());
        let challenge = parameter(url, "code_challenge").unwrap();
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(digest), challenge, "{}", self.name);
        self.assert_proven(&request, self.pages["token"]["auth"].as_str().unwrap());
    }

    fn assert_who(&self) {
        let Some(page) = self.pages.get("who") else { return };
        let request = self.last(Endpoint::Userinfo);
        self.assert_sent_to(&request, page["request"].as_str().unwrap());
        for (key, value) in page["headers"].as_object().into_iter().flatten() {
            assert_eq!(request.header(key), value.as_str(), "{}: {key}", self.name);
        }
        if let Some(body) = page["body"].as_str() {
            assert_eq!(String::from_utf8_lossy(&request.body), body, "{}", self.name);
        }
        assert!(request.header("authorization").is_some_and(|it| it.starts_with("Bearer ")), "{}", self.name);
    }

    /// Twice: the second one shows which refresh token was kept of the first.
    fn refresh(&mut self) {
        let Some(page) = self.pages.get("refresh").cloned() else {
            return self.without_refresh();
        };
        for _ in 0..2 {
            self.server.script(Endpoint::Token, vec![Fault::json(200, &page["answer"])]);
            let run = self.run(&["token", "p", "--refresh"]);
            let request = self.last(Endpoint::Token);
            self.assert_sent_to(&request, &format!("POST {}", self.pages["token"]["url"].as_str().unwrap()));
            let fields = self.fields(&request);
            assert_eq!(fields["grant_type"], "refresh_token", "{}", self.name);
            assert_eq!(fields["refresh_token"].as_str(), self.refresh_token.as_deref(), "{}", self.name);
            self.assert_proven(&request, self.pages["token"]["auth"].as_str().unwrap());
            self.keep(&page["answer"]);
            assert_eq!(run.answer(), self.access_token, "{}", self.name);
        }
    }

    /// What does not expire is kept with the grant, and not only where it may be deleted at any time.
    fn without_refresh(&self) {
        std::fs::remove_dir_all(self.home.path("cache")).unwrap();
        let before = self.server.requests().len();
        assert_eq!(self.home.run(&["token", "p"]).answer(), self.access_token, "{}", self.name);
        assert_eq!(self.server.requests().len(), before, "{}", self.name);
    }

    /// What is said of each error in the provider's file: what it means, and what to do. Each one meets a copy of
    /// the vault, so that none has to do with those before it.
    fn every_error(&mut self) {
        for known in &provider::get(&self.name).errors {
            let home = Home::copy_of(&self.home);
            let run = self.fail_with(&home, &known.error, known.description.as_deref());
            let what = format!("{}: {} {:?}\n{}", self.name, known.error, known.description, run.stderr);
            assert_ne!(run.code, 0, "{what}");
            assert!(run.stderr.contains(&known.means), "{what}");
            let hint = known.hint.as_ref().unwrap();
            // Where a name is not known to the error, a word stands for it.
            let hints = [("p", self.name.as_str()), ("p", "CLIENT"), ("NAME", "CLIENT")]
                .map(|(profile, client)| hint.replace("{profile}", profile).replace("{client}", client));
            assert!(hints.iter().any(|hint| run.stderr.contains(hint)), "{what}");
            self.said.push_str(&run.stderr);
        }
    }

    fn fail_with(&self, home: &Home, error: &str, description: Option<&str>) -> Run {
        let page = &self.pages["error"];
        let mut body = page.get("more").cloned().unwrap_or_else(|| json!({}));
        // One that may have any code has the one of a grant that is no longer good.
        body[page["code"].as_str().unwrap()] = if error == "*" { "invalid_grant" } else { error }.into();
        if let (Some(key), Some(text)) = (page["description"].as_str(), description) {
            body[key] = format!("{text} (and more)").into();
        }
        let status = u16::try_from(page["status"].as_u64().unwrap()).unwrap();
        self.server.script(Endpoint::Token, vec![Fault::json(status, &body)]);
        if self.refresh_token.is_some() {
            return home.run(&["token", "p", "--refresh"]);
        }
        let arguments = ["login", "p", "--no-browser"];
        let login = home.start_login(&arguments);
        come_back(&self.address(&login, &arguments));
        login.finish(&arguments)
    }

    fn log_out(&mut self) {
        let Some(page) = self.pages.get("revocation").cloned() else {
            let run = self.run(&["logout", "p"]).expect_code(0);
            let grants = provider::get(&self.name).pages.grants.clone().unwrap();
            let is_named = !grants.contains('{');
            let _ =
                run.expect_said(if is_named { &grants } else { "the provider's page for connected apps" });
            return;
        };
        let status = u16::try_from(page["status"].as_u64().unwrap()).unwrap();
        self.server.script(Endpoint::Revoke, vec![Fault::json(status, &page["answer"])]);
        let _ = self.run(&["logout", "p"]).expect_code(0);

        let request = self.last(Endpoint::Revoke);
        self.assert_sent_to(&request, page["request"].as_str().unwrap());
        for (key, value) in page["form"].as_object().into_iter().flatten() {
            assert_eq!(request.field(key), value.as_str(), "{}: {key}", self.name);
        }
        if let Some(body) = page.get("json") {
            assert_eq!(&serde_json::from_slice::<Value>(&request.body).unwrap(), body, "{}", self.name);
        }
        self.assert_proven(&request, page["auth"].as_str().unwrap());
    }

    fn run(&mut self, arguments: &[&str]) -> Run {
        let run = self.home.run(arguments);
        self.said.push_str(&run.stderr);
        run
    }

    /// Remembers what the provider has given.
    fn keep(&mut self, answer: &Value) {
        let tokens = answer.get("authed_user").unwrap_or(answer);
        self.access_token = tokens["access_token"].as_str().unwrap().to_owned();
        self.refresh_token =
            tokens["refresh_token"].as_str().map(str::to_owned).or(self.refresh_token.take());
    }

    fn last(&self, endpoint: Endpoint) -> Request {
        let requests = self.server.requests_to(endpoint);
        requests.last().unwrap_or_else(|| panic!("{}: no request to {endpoint:?}", self.name)).clone()
    }

    fn assert_sent_to(&self, request: &Request, documented: &str) {
        let sent = format!("{} https://{}{}", request.method, request.header("host").unwrap(), request.path);
        assert_eq!(sent, documented, "{}", self.name);
    }

    /// The fields of a token request, as a form or as JSON.
    fn fields(&self, request: &Request) -> Value {
        let kind = request.header("content-type").unwrap().split(';').next().unwrap().to_owned();
        if self.pages["token"]["body"] == "json" {
            assert_eq!(kind, "application/json", "{}", self.name);
            return serde_json::from_slice(&request.body).unwrap();
        }
        assert_eq!(kind, "application/x-www-form-urlencoded", "{}", self.name);
        request.form.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
    }

    /// How the client proves itself: in the documented way, and in no other beside it.
    fn assert_proven(&self, request: &Request, documented: &str) {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{ID}:{SECRET}")));
        let bearer = format!("Bearer {}", self.access_token);
        let header = match documented {
            "basic" => Some(basic.as_str()),
            "bearer" => Some(bearer.as_str()),
            _ => None,
        };
        assert_eq!(request.header("authorization"), header, "{}", self.name);
        let body = String::from_utf8_lossy(&request.body);
        assert_eq!(body.contains(SECRET), documented == "post", "{}: {body}", self.name);
        assert_eq!(body.contains(ID), matches!(documented, "post" | "none"), "{}: {body}", self.name);
    }

    /// No token and no secret was said to anybody but who asked for it.
    fn assert_discreet(&self) {
        let answers = [&self.pages["exchange"]["answer"], &self.pages["refresh"]["answer"]];
        let tokens = answers.into_iter().flat_map(|answer| {
            let holders = [answer, &answer["authed_user"]];
            holders
                .into_iter()
                .flat_map(|it| [&it["access_token"], &it["refresh_token"]])
                .filter_map(Value::as_str)
        });
        for secret in tokens.chain([SECRET, CODE]) {
            assert!(!self.said.contains(secret), "{}: {secret}\n{}", self.name, self.said);
        }
    }
}

/// The addresses that the pages name, and what they are for.
fn places(pages: &Value) -> Vec<(Url, Endpoint)> {
    let named = [
        (&pages["authorization"]["url"], Endpoint::Authorize),
        (&pages["token"]["url"], Endpoint::Token),
        (&pages["who"]["request"], Endpoint::Userinfo),
        (&pages["revocation"]["request"], Endpoint::Revoke),
    ];
    let named = named.into_iter().filter_map(|(text, endpoint)| Some((text.as_str()?, endpoint)));
    named.map(|(text, endpoint)| (Url::parse(text.rsplit(' ').next().unwrap()).unwrap(), endpoint)).collect()
}

/// What the browser does when the user has consented.
fn come_back(url: &Url) {
    let mut back = Url::parse(&parameter(url, "redirect_uri").unwrap()).unwrap();
    let state = parameter(url, "state").unwrap();
    back.query_pairs_mut().append_pair("code", CODE).append_pair("state", &state);
    // A login that fails closes the connection with a page that says so.
    let _ = browser::get(back.as_str(), &[]);
}

/// Signed by nobody: at a login, it is the connection that shows where it came from.
fn id_token(claims: &Value, nonce: Option<&str>) -> String {
    let now = jiff::Timestamp::now().as_second();
    let mut claims = claims.clone();
    claims["aud"] = ID.into();
    claims["iat"] = now.into();
    claims["exp"] = (now + 3600).into();
    claims["nonce"] = nonce.into();
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&json!({"alg": "RS256"})), part(&claims), part(&json!("signature")))
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.into()
}
