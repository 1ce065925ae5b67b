use std::ffi::OsStr;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use secrecy::ExposeSecret;

use super::*;

const ID: &str = "1-abc.apps.googleusercontent.com";
const SECRET: &str = "GOCSPX-CANARY";
const TOKEN: &str = "1//0CANARY-refresh";

fn of(name: &str, bytes: impl AsRef<[u8]>) -> Result<Vec<Item>, Odd> {
    read(&Input { name: Some(OsStr::new(name)), bytes: bytes.as_ref() })
}

/// The only item in a file, in a line: kind, client id and whether its secret is there, refresh token, account, label,
/// scopes.
#[track_caller]
fn only(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let items = of(name, bytes).unwrap();
    assert_eq!(items.len(), 1, "{items:?}");
    line(&items[0])
}

fn line(item: &Item) -> String {
    assert!(!format!("{item:?}").contains("CANARY"), "{item:?}");
    let client = item.client.as_ref().map(|client| {
        let secret = client.client_secret.as_ref().map_or("no secret", |secret| secret.expose_secret());
        format!("{} {secret}", client.client_id)
    });
    let token = item.grant.as_ref().map(|grant| grant.refresh_token.expose_secret().to_owned());
    let scopes = item.grant.as_ref().map(|grant| grant.scopes.to_string());
    let parts = [client, token, item.account.clone(), item.label.clone(), scopes];
    let parts = parts.map(|part| part.filter(|part| !part.is_empty()).unwrap_or_else(|| "-".to_owned()));
    format!("{}: {}", item.kind, parts.join(", "))
}

/// An ID token of nobody.
fn id_token(claims: &str) -> String {
    format!("e30.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn application_default_credentials_are_read() {
    let text = format!(
        r#"{{"account":"","client_id":"{ID}","client_secret":"{SECRET}","quota_project_id":"p1","refresh_token":"{TOKEN}",
           "type":"authorized_user","universe_domain":"googleapis.com"}}"#
    );

    assert_eq!(only("adc.json", &text), format!("authorized_user: {ID} {SECRET}, {TOKEN}, -, -, -"));
    assert_eq!(of("x", &text).unwrap()[0].project.as_deref(), Some("p1"));
}

#[test]
fn tokens_of_the_python_libraries_are_read() {
    let text = format!(
        r#"{{"token":"ya29.CANARY","refresh_token":"{TOKEN}","token_uri":"https://oauth2.googleapis.com/token","client_id":"{ID}",
           "client_secret":"{SECRET}","scopes":["a","b"],"universe_domain":"googleapis.com","account":"me@work.example","expiry":"2026-01-01T00:00:00Z"}}"#
    );
    assert_eq!(
        only("token.json", &text),
        format!("google-auth: {ID} {SECRET}, {TOKEN}, me@work.example, -, a b")
    );
    let endpoint = of("x", &text).unwrap()[0].token_endpoint.as_ref().unwrap().to_string();
    assert_eq!(endpoint, "https://oauth2.googleapis.com/token");

    let old = format!(
        r#"{{"_class":"OAuth2Credentials","_module":"oauth2client.client","access_token":"ya29.CANARY","client_id":"{ID}",
           "client_secret":"{SECRET}","id_token":{{"email":"me@work.example","azp":"other"}},"refresh_token":"{TOKEN}",
           "scopes":["a"],"token_uri":"https://www.googleapis.com/oauth2/v4/token","invalid":false,"token_response":{{"access_token":"x"}}}}"#
    );
    assert_eq!(only("x", &old), format!("oauth2client: {ID} {SECRET}, {TOKEN}, me@work.example, -, a"));

    let several = format!(r#"{{"data":[{{"credential":{old},"key":{{"clientId":"x"}}}}],"file_version":1}}"#);
    assert_eq!(only("x", several), format!("oauth2client: {ID} {SECRET}, {TOKEN}, me@work.example, -, a"));
}

#[test]
fn the_seeds_token_names_its_client_in_its_name_only() {
    let text = format!(
        r#"{{"access_token":"ya29.CANARY","expires_in":3599,"refresh_token":"{TOKEN}","token_type":"Bearer"}}"#
    );

    let name = format!("Google.OAuth2.Token.{ID}.json");
    assert_eq!(only(&name, &text), format!("token: {ID} no secret, {TOKEN}, -, -, -"));
    assert_eq!(
        only(name.trim_end_matches(".json"), &text),
        format!("token: {ID} no secret, {TOKEN}, -, -, -")
    );
    assert_eq!(only("token.json", &text), format!("token: -, {TOKEN}, -, -, -"));
}

#[test]
fn an_id_token_beside_it_says_whose_a_token_is() {
    let claims = id_token(&format!(r#"{{"azp":"{ID}","aud":"x","email":"me@work.example"}}"#));
    let text = format!(
        r#"{{"access_token":"a","refresh_token":"{TOKEN}","scope":"a b","id_token":"{claims}","expiry_date":1}}"#
    );

    assert_eq!(
        only("oauth_creds.json", text),
        format!("token: {ID} no secret, {TOKEN}, me@work.example, -, a b")
    );
    for odd in ["", "x", "a.b.c", "..", &id_token("[]"), &id_token(r#"{"aud":["a","b"],"email":7}"#)] {
        let text = format!(r#"{{"refresh_token":"{TOKEN}","id_token":"{odd}"}}"#);
        assert_eq!(only("x", text), format!("token: -, {TOKEN}, -, -, -"));
    }
}

#[test]
fn the_cache_of_oauth2l_has_its_clients_in_its_names() {
    let client = format!(
        r#"{{"installed":{{"client_id":"{ID}","client_secret":"{SECRET}","auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token"}}}}"#
    );
    let key = serde_json::json!({ "CredentialsJSON": client, "Scope": "a b", "Audience": "", "Email": "me@work.example" });
    let token = BASE64_STANDARD.encode(format!(r#"{{"access_token":"x","refresh_token":"{TOKEN}"}}"#));
    let lasting_none = BASE64_STANDARD.encode(r#"{"access_token":"x"}"#);
    let cache = serde_json::json!({ key.to_string(): token, "{\"Scope\":\"c\"}": lasting_none });

    assert_eq!(
        only(".oauth2l", cache.to_string()),
        format!("oauth2l: {ID} {SECRET}, {TOKEN}, me@work.example, -, a b")
    );
    let none = serde_json::json!({ key.to_string(): lasting_none }).to_string();
    assert!(matches!(of(".oauth2l", none), Err(Odd::Useless { .. })));
    let odd = serde_json::json!({ "{": "%%%" }).to_string();
    assert!(matches!(of(".oauth2l", odd), Err(Odd::Useless { .. })));
}

#[test]
fn the_forms_of_clasp_are_read() {
    let three = format!(
        r#"{{"tokens":{{"default":{{"type":"authorized_user","client_id":"{ID}","client_secret":"{SECRET}","refresh_token":"{TOKEN}","access_token":"a"}},
           "work":{{"client_id":"{ID}","client_secret":"{SECRET}","refresh_token":"{TOKEN}2"}}}}}}"#
    );
    let lines: Vec<String> = of(".clasprc.json", three).unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            format!("clasp: {ID} {SECRET}, {TOKEN}, -, default, -"),
            format!("clasp: {ID} {SECRET}, {TOKEN}2, -, work, -")
        ]
    );
    let one = format!(
        r#"{{"token":{{"access_token":"a","refresh_token":"{TOKEN}","scope":"s","expiry_date":1}},
           "oauth2ClientSettings":{{"clientId":"{ID}","clientSecret":"{SECRET}","redirectUri":"http://localhost"}},"isLocalCreds":true}}"#
    );
    assert_eq!(only(".clasprc.json", one), format!("clasp: {ID} {SECRET}, {TOKEN}, -, -, s"));
}

#[test]
fn tools_that_leave_out_their_own_client_are_read() {
    let firebase = format!(
        r#"{{"user":{{"email":"me@work.example"}},"tokens":{{"refresh_token":"{TOKEN}","scopes":["a"]}},
           "additionalAccounts":[{{"user":{{"email":"two@work.example"}},"tokens":{{"refresh_token":"{TOKEN}2"}}}}],"activeAccounts":{{}}}}"#
    );
    let lines: Vec<String> = of("firebase-tools.json", firebase).unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            format!("firebase-tools: -, {TOKEN}, me@work.example, -, a"),
            format!("firebase-tools: -, {TOKEN}2, two@work.example, -, -")
        ]
    );
    let gcr =
        format!(r#"{{"gcrCreds":{{"access_token":"a","refresh_token":"{TOKEN}","token_expiry":"x"}}}}"#);
    assert_eq!(only("docker_credentials.json", gcr), format!("docker-credential-gcr: -, {TOKEN}, -, -, -"));
    let luci = format!(
        r#"{{"cache":[{{"key":{{"key":"user/{ID}","scopes":["a"]}},"token":{{"access_token":"x","refresh_token":"{TOKEN}"}},"email":"me@work.example"}}],"last_update":"x"}}"#
    );
    assert_eq!(only("creds.json", luci), format!("luci: {ID} no secret, {TOKEN}, me@work.example, -, a"));
    let earthengine = format!(r#"{{"refresh_token":"{TOKEN}","scopes":["a"]}}"#);
    assert_eq!(only("credentials", earthengine), format!("token: -, {TOKEN}, -, -, a"));
    let gdrive = format!(
        r#" [ {{"scopes":["a"],"token":{{"access_token":"x","refresh_token":"{TOKEN}","expires_at":[2026,1]}}}} ]"#
    );
    assert_eq!(only("tokens.json", gdrive), format!("json: -, {TOKEN}, -, -, a"));
    let mcp =
        format!(r#"{{"token":"x","refresh_token":"{TOKEN}","client_id":"{ID}","client_secret":"{SECRET}"}}"#);
    assert_eq!(
        only("me@work.example.json", mcp),
        format!("google-auth: {ID} {SECRET}, {TOKEN}, me@work.example, -, -")
    );
}

#[test]
fn clients_are_read_without_a_login() {
    let console = format!(
        r#"{{"installed":{{"client_id":"{ID}","project_id":"p1","client_secret":"{SECRET}","auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token","redirect_uris":["http://localhost"]}}}}"#
    );
    assert_eq!(only("x", console), format!("client_file: {ID} {SECRET}, -, -, -, -"));
    assert_eq!(
        only("credentials.json", format!(r#"{{"client_id":"{ID}","client_secret":"{SECRET}"}}"#)),
        format!("client: {ID} {SECRET}, -, -, -, -")
    );
}

/// A key file, with a key that signs or with another.
fn robot(key: &str) -> String {
    serde_json::json!({
        "type": "service_account", "project_id": "p1", "private_key_id": "7", "private_key": key,
        "client_email": "ci@p1.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

#[test]
fn the_key_of_a_service_account_is_a_client_if_it_signs() {
    let key = include_str!("../../../../tests/provider/keys/robot.pem");

    let items = of("x", robot(key)).unwrap();

    let client = items[0].client.as_ref().unwrap();
    assert_eq!((items[0].kind, &*client.client_id), ("service_account", "ci@p1.iam.gserviceaccount.com"));
    assert_eq!(client.client_secret.as_ref().unwrap().expose_secret(), key);
    assert_eq!(client.key.as_ref().unwrap().id, "7");
    let odd = of("x", robot("-----BEGIN PRIVATE KEY-----\nCANARY\n")).unwrap_err();
    assert!(odd.to_string().starts_with("the key file is odd"), "{odd}");
    let elsewhere = robot(key).replace("{", r#"{"universe_domain":"cloud.example","#);
    assert!(matches!(of("x", elsewhere), Err(Odd::Useless { .. })));
}

#[test]
fn the_time_for_a_file_grows_with_its_length_and_not_with_its_square() {
    // As many names as there is room for, each of them one that is looked for.
    let names: String = (0..).map(|n| format!("{n}_CLIENT_ID=\n")).take(200_000).collect();
    let scopes: Vec<String> = (0..190).map(|n| format!("{n:0>1000}")).collect();
    let objects = r#"{"a":1},"#.repeat(400_000);
    let around = format!(r#"{{"scope":"{}","list":[{objects}{{}}]}}"#, scopes.join(" "));
    for text in [names, around] {
        assert!((2 << 20..=MAX_SIZE).contains(&text.len()), "{}", text.len());
        assert!(of("x", text).is_err());
    }
}

#[test]
fn remotes_of_rclone_are_read_each_for_itself() {
    let text = format!(
        "\u{feff}; mine\r\n[gd]\r\ntype = drive\r\nclient_id = {ID}\r\nclient_secret = {SECRET}\r\nscope = drive\r\n\
         token = {{\"access_token\":\"x\",\"token_type\":\"Bearer\",\"refresh_token\":\"{TOKEN}\",\"expiry\":\"2026-01-01T00:00:00.0Z\"}}\r\nteam_drive =\r\n\r\n\
         [s3]\r\ntype = s3\r\nsecret_access_key = x\r\n[box #1]\r\ntype = box\r\ntoken = {{\"refresh_token\":\"{TOKEN}2\"}}\r\n\
         [short]\r\ntype = drive\r\ntoken = {{\"access_token\":\"x\"}}\r\n"
    );
    let items = of("rclone.conf", text).unwrap();
    let lines: Vec<String> = items.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            format!("rclone: {ID} {SECRET}, {TOKEN}, -, gd, https://www.googleapis.com/auth/drive"),
            format!("rclone: -, {TOKEN}2, -, box #1, -")
        ]
    );
    assert_eq!((items[0].provider, items[1].provider), (Some("google"), None));
    let encrypted = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA\n";
    assert!(of("rclone.conf", encrypted).unwrap_err().to_string().contains("encrypted"));
}

#[test]
fn settings_in_lines_are_read() {
    let boto = format!(
        "[OAuth2]\nclient_id = {ID}\nclient_secret = {SECRET}\n\n[Credentials]\ngs_oauth2_refresh_token = {TOKEN}\n"
    );
    assert_eq!(only(".boto", boto), format!("boto: {ID} {SECRET}, {TOKEN}, -, -, -"));
    let ads = format!(
        "# mine\ndeveloper_token: x\nclient_id: {ID}\nclient_secret: \"{SECRET}\" # quoted\nrefresh_token: {TOKEN}\nuse_proto_plus: True\n"
    );
    assert_eq!(only("google-ads.yaml", ads), format!("google-ads: {ID} {SECRET}, {TOKEN}, -, -, -"));
    let imap = format!(
        "[general]\naccounts = a\n[Repository Work]\nremoteuser = me@work.example\noauth2_request_url = https://accounts.google.com/o/oauth2/token\n\
         oauth2_client_id = {ID}\noauth2_client_secret = {SECRET}\noauth2_refresh_token = {TOKEN}\n"
    );
    assert_eq!(
        only(".offlineimaprc", imap),
        format!("settings: {ID} {SECRET}, {TOKEN}, me@work.example, Work, -")
    );
    let env = format!(
        "export CLIENT_ID='{ID}'\nexport CLIENT_SECRET={SECRET}; \nREFRESH_TOKEN=\"{TOKEN}\"\nOTHER=1\n"
    );
    assert_eq!(only(".env", env), format!("env: {ID} {SECRET}, {TOKEN}, -, -, -"));
    let gdfuse = format!("client_id={ID}\nclient_secret={SECRET}\n");
    assert_eq!(only("config", gdfuse), format!("settings: {ID} {SECRET}, -, -, -, -"));
}

#[test]
fn variables_belong_together_by_their_beginning() {
    let pairs = [
        ("GOOGLE_CLIENT_ID", ID),
        ("GOOGLE_CLIENT_SECRET", SECRET),
        ("GOOGLE_REFRESH_TOKEN", TOKEN),
        ("SPOTIFY_CLIENT_ID", "spot"),
        ("SPOTIFY_REFRESH_TOKEN", "spot-CANARY"),
        ("PATH", "/bin"),
    ];
    let lines: Vec<String> = of_variables(pairs).unwrap().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            format!("environment: {ID} {SECRET}, {TOKEN}, -, google, -"),
            "environment: spot no secret, spot-CANARY, -, spotify, -".to_owned()
        ]
    );
    let apart = [("GOOGLE_OAUTH_CLIENT_ID", ID), ("GOOGLE_REFRESH_TOKEN", TOKEN)];
    assert_eq!(
        line(&of_variables(apart).unwrap()[0]),
        format!("environment: {ID} no secret, {TOKEN}, -, google, -")
    );
    assert!(of_variables([("PATH", "/bin")]).is_err());
}

#[test]
fn what_cannot_be_used_says_why() {
    for (name, text, why) in [
        ("hosts.yml", "github.com:\n    user: me\n    oauth_token: gho_CANARY\n", "cannot be refreshed"),
        (
            ".gitcookies",
            "x.googlesource.com\tFALSE\t/\tTRUE\t2147483647\to\tgit-me.work.example=1//0CANARY\n",
            "googlesource.com",
        ),
        (".netrc", "machine x.googlesource.com login git-me.x password 1//0CANARY\n", "googlesource.com"),
        ("config.json", r#"{"auths":{"gcr.io":{"auth":"CANARY"}}}"#, "docker"),
        ("token.json", r#"{"access_token":"CANARY","token_type":"Bearer"}"#, "no refresh token"),
        (
            "sa.json",
            r#"{"type":"impersonated_service_account","service_account_impersonation_url":"x"}"#,
            "impersonated",
        ),
        ("ext.json", r#"{"type":"external_account","audience":"x"}"#, "vouch"),
        ("creds.rds", "X\n\0\0\0\u{3}", "gargle"),
    ] {
        let odd = of(name, text).unwrap_err();
        assert!(matches!(odd, Odd::Useless { .. }), "{name}: {odd:?}");
        assert!(odd.to_string().contains(why) && !odd.to_string().contains("CANARY"), "{name}: {odd}");
    }
}

#[test]
fn what_is_hostile_is_refused_or_harmless() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(500), "}".repeat(500));
    let nested = format!("{}{{\"refresh_token\":\"{TOKEN}\"}}{}", r#"{"a":"#.repeat(50), "}".repeat(50));
    let many: String = (0..10_000)
        .map(|n| format!("[r{n}]\ntype = drive\nclient_id = {ID}\ntoken = {{\"refresh_token\":\"t{n}\"}}\n"))
        .collect();
    let list: Vec<String> = (0..10_000).map(|n| format!(r#"{{"refresh_token":"t{n}"}}"#)).collect();
    let cases: [(&str, Vec<u8>); 16] = [
        ("empty", Vec::new()),
        ("blank", b" \n".to_vec()),
        ("huge", vec![b'x'; MAX_SIZE + 1]),
        ("noise", (0..=255).collect()),
        ("not UTF-8", b"REFRESH_TOKEN=\xff\xfe\n".to_vec()),
        ("NUL", b"REFRESH_TOKEN=a\0b\n".to_vec()),
        ("deep", deep.into_bytes()),
        ("too deep for any tool", nested.into_bytes()),
        ("twice", br#"{"refresh_token":"a","refresh_token":"b"}"#.to_vec()),
        ("twice below", br#"{"tokens":{"a":{"refresh_token":"a","refresh_token":"b"}}}"#.to_vec()),
        ("twice in lines", b"REFRESH_TOKEN=a\nREFRESH_TOKEN=b\n".to_vec()),
        ("cut off", br#"{"refresh_token":"a","#.to_vec()),
        ("no text", br#"{"refresh_token":7,"client_id":["x"]}"#.to_vec()),
        ("template", b"REFRESH_TOKEN=INSERT_REFRESH_TOKEN_HERE\nCLIENT_ID=your-client-id\n".to_vec()),
        ("many", many.into_bytes()),
        ("many in a list", format!("[{}]", list.join(",")).into_bytes()),
    ];
    for (name, bytes) in cases {
        let odd = of("token.json", &bytes).map(|items| items.iter().map(line).collect::<Vec<_>>());
        assert!(odd.is_err(), "{name}: {odd:?}");
    }
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(format!("REFRESH_TOKEN={TOKEN}\r\n").encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    assert_eq!(only(".env", wide), format!("env: -, {TOKEN}, -, -, -"));
    let odd_name = format!("[a\u{1b}[2Jb]\ntype=drive\ntoken={{\"refresh_token\":\"{TOKEN}\"}}\n");
    assert_eq!(of("x", odd_name).unwrap()[0].label, None);
}
