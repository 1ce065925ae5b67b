use super::*;

fn text(reply: Vec<u8>) -> String {
    String::from_utf8(reply).unwrap()
}

fn all() -> Vec<String> {
    let success = Outcome::Success { account: Some("me@work.example".into()), profile: "work".into() };
    let nameless = Outcome::Success { account: None, profile: "work".into() };
    let failure =
        Outcome::Failure { title: "Not signed in".into(), detail: "Another account was chosen.".into() };
    [
        last(&success),
        last(&nameless),
        last(&failure),
        neutral(),
        refusal(Refusal::NotFound, "nothing is here"),
    ]
    .map(text)
    .to_vec()
}

#[test]
fn every_page_keeps_itself_to_itself() {
    for reply in all() {
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        for field in [
            "Content-Security-Policy: default-src 'none'; style-src 'sha256-",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "X-Frame-Options: DENY",
            "Connection: close",
            &format!("Content-Length: {}", body.len()),
        ] {
            assert!(head.contains(field), "{field}: {head}");
        }
        assert!(!head.contains("Access-Control") && !head.contains("Set-Cookie"), "{head}");
        for loader in ["<script", "<link", "<img", "http:", "https:", "url(", " style=", "@import"] {
            assert!(!body.contains(loader), "{loader}");
        }
        assert!(body.contains("width=device-width") && body.contains("prefers-color-scheme:dark"));
    }
}

#[test]
fn the_policy_allows_exactly_the_style_of_the_page() {
    let reply = text(neutral());
    let style = reply.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));

    assert!(reply.contains(&format!("style-src 'sha256-{hash}'")));
}

#[test]
fn foreign_text_has_no_meaning() {
    let failure = Outcome::Failure {
        title: "<script>alert(1)</script>".into(),
        detail: "\"'><img src=x>&amp;\u{202e}\x1b[0m\r\n\r\nHTTP/1.1 200".into(),
    };
    let reply = text(last(&failure));

    assert!(reply.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(reply.contains("&quot;&#39;&gt;&lt;img src=x&gt;&amp;amp; [0m HTTP/1.1 200"), "{reply}");
    assert!(!reply.contains("<script") && !reply.contains("<img"));
}

#[test]
fn a_success_names_account_and_profile() {
    let pages = all();

    assert!(pages[0].starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(pages[0].contains("<b>me@work.example</b> is now linked to the profile <b>work</b>"));
    assert!(pages[2].starts_with("HTTP/1.1 400 ") && pages[2].contains("Not signed in"));
}

#[test]
fn a_wrong_method_is_told_the_right_one() {
    assert!(text(refusal(Refusal::MethodNotAllowed, "")).contains("\r\nAllow: GET\r\n"));
}

#[test]
fn an_error_message_is_a_sentence_on_the_page() {
    let reply = |detail: &str| {
        text(last(&Outcome::Failure { title: "Not signed in".into(), detail: detail.to_owned() }))
    };

    assert!(reply("the provider said no").contains("<p>The provider said no.</p>"));
    assert!(reply("No. It did not work.").contains("<p>No. It did not work.</p>"));
}
