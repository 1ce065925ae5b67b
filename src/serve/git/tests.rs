use super::*;
use crate::serve::clerk::{Clerk, END};

/// A profile that is bound to these.
fn clerk() -> Clerk {
    Clerk::bound_to(
        Use::Git,
        &[
            "git.example.com",
            "git.example.com:8443",
            "xn--bcher-kva.example",
            "127.0.0.1:8080",
            "localhost:80",
        ],
    )
}

fn say(desk: &Clerk, named: Option<&str>, operation: &str, request: impl AsRef<[u8]>) -> Reply {
    let named = named.map(|name| name.parse().unwrap());
    let reply = answer(desk, named.as_ref(), operation, request.as_ref()).unwrap();
    assert!(!reply.is_error, "git would go on asking others");
    reply
}

fn got(desk: &Clerk, request: impl AsRef<[u8]>) -> String {
    say(desk, None, "get", request).answer.expose_secret().to_owned()
}

/// The user name that stands in the answer.
fn user(desk: &Clerk, named: Option<&str>, request: &str) -> Option<String> {
    let reply = say(desk, named, "get", request);
    let mut lines = reply.answer.expose_secret().lines();
    lines.find_map(|line| line.strip_prefix("username=")).map(str::to_owned)
}

const PLAIN: &str = "protocol=https\nhost=git.example.com\n\n";

#[test]
fn a_bound_host_gets_the_token_in_place_of_a_password_with_its_end() {
    let expected = format!("username=oauth2\npassword=token-canary\npassword_expiry_utc={END}\n");
    assert_eq!(got(&clerk(), PLAIN), expected);
    assert_eq!(got(&clerk(), PLAIN.trim_end()), expected, "the end of input ends a request too");
    assert_eq!(say(&clerk(), Some("work"), "get", PLAIN).answer.expose_secret(), expected);
    assert_eq!(say(&clerk(), Some("other"), "get", PLAIN).answer.expose_secret(), "");
}

#[test]
fn a_bearer_header_is_for_servers_that_offer_nothing_else_and_for_a_git_that_can_send_one() {
    let get = |capability: &str, challenges: &[&str]| {
        let challenges: String = challenges.iter().map(|it| format!("wwwauth[]={it}\n")).collect();
        got(&clerk(), format!("{capability}protocol=https\nhost=git.example.com\n{challenges}\n"))
    };
    let new = "capability[]=authtype\ncapability[]=state\n";
    let bearer = format!(
        "capability[]=authtype\nauthtype=Bearer\ncredential=token-canary\nephemeral=1\npassword_expiry_utc={END}\n"
    );

    assert_eq!(get(new, &["Bearer realm=\"git, or so\""]), bearer);
    assert_eq!(get(new, &["bearer"]), bearer);
    assert_eq!(get(new, &["Negotiate, Bearer realm=\"a\", error=\"Basic\""]), bearer);
    assert_eq!(get(new, &["Bearer realm=\"basic, Basic realm\""]), bearer, "what is quoted is no challenge");
    assert_eq!(get(new, &["Basic realm=\"old\"", "", "Bearer"]), bearer, "an empty one begins anew");
    for (capability, challenges) in [
        ("", &["Bearer"][..]),
        ("capability[]=state\n", &["Bearer"]),
        (new, &[]),
        (new, &["Basic realm=\"a\""]),
        (new, &["Basic realm=\"a\"", "Bearer realm=\"a\""]),
        (new, &["Bearer realm=\"a\", basic realm=\"b\""]),
        (new, &["Negotiate"]),
        (new, &["Bearerish"]),
    ] {
        let answer = get(capability, challenges);
        assert!(answer.starts_with("username=oauth2\npassword=token-canary\n"), "{challenges:?}: {answer}");
    }
}

#[test]
fn no_answer_hands_over_what_lasts() {
    for request in [PLAIN, "capability[]=authtype\nprotocol=https\nhost=git.example.com\nwwwauth[]=Bearer\n"]
    {
        let answer = got(&clerk(), request);
        assert!(answer.contains("token-canary") && !answer.contains("oauth_refresh_token"), "{answer}");
    }
}

#[test]
fn only_the_very_host_that_is_bound_is_answered() {
    for (protocol, host) in [
        ("https", "git.example.com"),
        ("https", "GIT.Example.COM"),
        ("https", "git.example.com:443"),
        ("https", "git.example.com:8443"),
        ("https", "xn--bcher-kva.example"),
        ("https", "XN--BCHER-KVA.example"),
        ("https", "127.0.0.1:8080"),
        ("http", "127.0.0.1:8080"),
        ("http", "localhost"),
        ("http", "localhost:80"),
    ] {
        let answer = got(&clerk(), format!("protocol={protocol}\nhost={host}\n\n"));
        assert!(answer.contains("token-canary"), "{protocol}://{host}");
    }
    for (protocol, host) in LOOK_ALIKES {
        let desk = clerk();
        let reply = say(&desk, None, "get", format!("protocol={protocol}\nhost={host}\n\n"));
        assert_eq!(reply.answer.expose_secret(), "", "{protocol}://{host}");
        assert_eq!(desk.questions(), 0, "nothing is opened for {protocol}://{host}");
    }
}

const LOOK_ALIKES: &[(&str, &str)] = &[
    // Another scheme, under which others listen.
    ("http", "git.example.com"),
    ("http", "git.example.com:443"),
    ("http", "git.example.com:8443"),
    ("HTTPS", "git.example.com"),
    ("https:", "git.example.com"),
    ("ssh", "git.example.com"),
    ("git", "git.example.com"),
    ("file", "git.example.com"),
    ("cert", "git.example.com"),
    ("", "git.example.com"),
    // Another port.
    ("https", "git.example.com:80"),
    ("https", "git.example.com:444"),
    ("https", "git.example.com:0443"),
    ("https", "git.example.com:"),
    ("https", "git.example.com:443:443"),
    ("https", "git.example.com:65979"),
    ("http", "127.0.0.1"),
    ("https", "127.0.0.1"),
    ("https", "localhost"),
    // Another name.
    ("https", ""),
    ("https", "example.com"),
    ("https", "evil.git.example.com"),
    ("https", "git.example.com.evil.example"),
    ("https", "git.example.co"),
    ("https", "git-example.com"),
    ("https", "git.example.com."),
    ("https", ".git.example.com"),
    ("https", "*.example.com"),
    ("https", "git.example.com "),
    ("https", " git.example.com"),
    // More than a name.
    ("https", "me@git.example.com"),
    ("https", "git.example.com@evil.example"),
    ("https", "git.example.com/evil"),
    ("https", "git.example.com/.evil.example"),
    ("https", "git.example.com?x"),
    ("https", "git.example.com#x"),
    ("https", "git.example.com\\.evil.example"),
    ("https", "https://git.example.com"),
    ("https", "git%2eexample.com"),
    ("https", "git.example.com%00.evil.example"),
    ("https", "git.example.com%0a.evil.example"),
    // Letters that are other letters, or become them.
    ("https", "g\u{456}t.example.com"),
    ("https", "git\u{3002}example\u{3002}com"),
    ("https", "\u{ff47}it.example.com"),
    ("https", "git.example.com\u{ad}"),
    ("https", "git.ex\u{200d}ample.com"),
    ("https", "b\u{fc}cher.example"),
    ("https", "bucher.example"),
    ("https", "\u{202e}moc.elpmaxe.tig"),
    // This machine by other names.
    ("http", "127.1:8080"),
    ("http", "0x7f000001:8080"),
    ("http", "2130706433:8080"),
    ("http", "127.0.0.1.nip.io:8080"),
    ("http", "127.0.0.1.:8080"),
    ("http", "localhost:8080"),
    ("http", "0.0.0.0:8080"),
    ("http", "[::1]:8080"),
    ("http", "[::ffff:127.0.0.1]:8080"),
];

#[test]
fn who_leaves_out_the_protocol_or_the_host_is_not_answered() {
    for request in [
        "",
        "\n",
        "\n\n",
        "host=git.example.com\n\n",
        "protocol=https\n\n",
        "protocol=https\n\nhost=git.example.com\n\n",
        "protocol=\nhost=git.example.com\n\n",
        "protocol=https\nhost=\n\n",
        "url=https://git.example.com/\n\n",
        "Protocol=https\nHost=git.example.com\n\n",
        "protocol=https\npath=git.example.com\n\n",
    ] {
        let desk = clerk();
        assert_eq!(got(&desk, request), "", "{request:?}");
        assert_eq!(desk.questions(), 0, "{request:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_the_person_told() {
    let long = format!("protocol=https\nhost=git.example.com\npath={}\n\n", "x".repeat(MAX_REQUEST));
    let cases: &[&[u8]] = &[
        // Line ends and other controls, where git before 2.26.1 or what stands before it let them through.
        b"protocol=https\r\nhost=git.example.com\r\n\r\n",
        b"protocol=https\nhost=git.example.com\r\n\n",
        b"protocol=https\nhost=evil.example\rhost=git.example.com\n\n",
        b"protocol=https\nhost=git.example.com\0.evil.example\n\n",
        b"protocol=https\nhost=git.example.com\nusername=a\0b\n\n",
        b"protocol=https\nhost=git.example.com\npath=a\tb\n\n",
        b"protocol=https\nhost=git.example.com\nwwwauth[]=Basic\x1b[2J\n\n",
        b"protocol=https\nhost=git.example.com\x7f\n\n",
        b"protocol=https\nhost=git.example.com\nusername=\xc2\x85\n\n",
        b"protocol=https\nhost=git.example.com\nx\ry=1\n\n",
        // Keys that come twice, as when a line break got into a value.
        b"protocol=https\nhost=evil.example\nhost=git.example.com\n\n",
        b"protocol=https\nhost=git.example.com\nhost=git.example.com\n\n",
        b"protocol=http\nprotocol=https\nhost=git.example.com\n\n",
        b"protocol=https\nhost=git.example.com\nusername=a\nusername=b\n\n",
        // No lines of git's.
        b"protocol=https\nhost\n\n",
        b"git.example.com\n\n",
        b"protocol=https\nhost=git.example.com\nusername=\xff\n\n",
        b"\xff\xfe\n\n",
        b"{\"host\": \"git.example.com\"}",
        long.as_bytes(),
    ];
    for request in cases {
        for operation in ["get", "erase"] {
            let desk = clerk();
            let reply = say(&desk, None, operation, request);
            let shown = String::from_utf8_lossy(request);
            assert_eq!(reply.answer.expose_secret(), "", "{operation} {shown:?}");
            assert!(reply.word.unwrap().contains("not answered"), "{operation} {shown:?}");
            assert_eq!((desk.questions(), desk.forgotten().len()), (0, 0), "{operation} {shown:?}");
        }
    }
}

#[test]
fn keys_that_mean_nothing_here_change_nothing() {
    let request =
        "capability[]=x\nprotocol=https\nhost=git.example.com\npath=a/b=c\nstate[]=vault:1\nnew=1\n=x\n\n";
    assert_eq!(got(&clerk(), request), got(&clerk(), PLAIN));
}

#[test]
fn a_value_of_more_than_one_line_is_never_given() {
    for token in ["a\nhost=evil.example", "a\rb", "a\0b"] {
        for rest in ["", "capability[]=authtype\nwwwauth[]=Bearer\n"] {
            let desk = clerk().with_token(token);
            let reply = say(&desk, None, "get", format!("protocol=https\nhost=git.example.com\n{rest}\n"));
            assert_eq!(reply.answer.expose_secret(), "quit=1\n");
            assert!(reply.word.unwrap().contains("does not fit into a line"));
        }
    }
}

#[test]
fn a_user_in_the_remote_is_answered_only_if_it_is_that_of_the_profile() {
    let request = |user: &str| format!("protocol=https\nhost=git.example.com\nusername={user}\n\n");
    for known in ["oauth2", "me@work.example", "ME@work.example", "1089", ""] {
        assert_eq!(user(&clerk(), None, &request(known)).as_deref(), Some("oauth2"), "{known}");
    }
    for other in ["you@work.example", "me", "octocat"] {
        let reply = say(&clerk(), None, "get", request(other));
        assert_eq!(reply.answer.expose_secret(), "", "{other}");
        assert!(reply.word.unwrap().contains("--profile work"), "{other}");
        // Whoever names the profile has said so.
        assert_eq!(user(&clerk(), Some("work"), &request(other)).as_deref(), Some("oauth2"), "{other}");
    }
}

#[test]
fn each_forge_gets_the_user_name_that_it_takes_beside_a_token() {
    let hosts = [
        ("github.com", "oauth2"),
        ("gitlab.com", "oauth2"),
        ("bitbucket.org", "x-token-auth"),
        ("chromium.googlesource.com", "git-account"),
        ("source.developers.google.com", "me@work.example"),
        ("x-1.us-central1.sourcemanager.dev", "git-account"),
        ("googlesource.com.example", "oauth2"),
        ("evilgooglesource.com", "oauth2"),
    ];
    let desk = Clerk::bound_to(Use::Git, &hosts.map(|(host, _)| host));
    for (host, name) in hosts {
        assert_eq!(user(&desk, None, &format!("protocol=https\nhost={host}\n\n")).as_deref(), Some(name));
    }
    let gerrit = |user: &str| format!("protocol=https\nhost=chromium.googlesource.com\nusername={user}\n\n");
    assert_eq!(user(&desk, None, &gerrit("git-me.work.example")).as_deref(), Some("git-me.work.example"));
    assert_eq!(user(&desk, None, &gerrit("me@work.example")).as_deref(), Some("git-account"));
    assert_eq!(user(&desk, None, &gerrit("you")), None);
    let bitbucket = "protocol=https\nhost=bitbucket.org\nusername=me\n\n";
    assert_eq!(user(&desk, Some("work"), bitbucket).as_deref(), Some("x-token-auth"));
}

#[test]
fn where_a_bound_host_cannot_be_answered_nobody_else_is_asked_and_the_person_is_told() {
    for kind in [
        RefusalKind::LoginNeeded,
        RefusalKind::Locked,
        RefusalKind::Offline,
        RefusalKind::ScopesNotGranted,
        RefusalKind::Other,
    ] {
        let reply = say(&clerk().refusing(kind), None, "get", PLAIN);
        assert_eq!(reply.answer.expose_secret(), "quit=1\n", "{kind:?}");
        assert_eq!(reply.word.as_deref(), Some("no; run `vault login work`"), "{kind:?}");
    }
}

#[test]
fn erase_forgets_the_token_that_was_refused_and_nothing_else() {
    for (sent, forgotten) in [
        ("password=one", &["one"][..]),
        ("authtype=Bearer\ncredential=two\nephemeral=1", &["two"]),
        ("username=oauth2", &[]),
    ] {
        let desk = clerk();
        let reply = say(&desk, None, "erase", format!("protocol=https\nhost=git.example.com\n{sent}\n\n"));
        assert_eq!(reply.answer.expose_secret(), "");
        assert_eq!(desk.forgotten(), forgotten);
    }
    let desk = clerk();
    let _ = say(&desk, None, "erase", "protocol=https\nhost=evil.example\npassword=one\n\n");
    let _ = say(&desk, Some("other"), "erase", "protocol=https\nhost=git.example.com\npassword=one\n\n");
    assert_eq!(desk.forgotten(), [] as [&str; 0]);
}

#[test]
fn store_and_whatever_is_unknown_are_heard_and_change_nothing() {
    for operation in ["store", "approve", "fill", "", "GET", "get "] {
        let desk = clerk();
        let mut input = &b"protocol=https\nhost=git.example.com\nusername=a\npassword=b\n\n"[..];
        let reply = answer(&desk, None, operation, &mut input).unwrap();
        assert_eq!((reply.answer.expose_secret(), reply.word), ("", None), "{operation}");
        assert!(input.is_empty(), "git must be able to say all of it");
        assert_eq!((desk.questions(), desk.forgotten().len()), (0, 0));
    }
}

#[test]
fn what_can_be_done_is_told_without_a_question() {
    let reply = say(&clerk(), None, "capability", "");
    assert_eq!(reply.answer.expose_secret(), "version 0\ncapability authtype\n");
}

#[test]
fn debug_does_not_show_what_git_sends_back() {
    let request = Request::parse(b"password=canary\ncredential2=x\n").unwrap();
    assert!(!format!("{request:?}").contains("canary"));
}
