//! Programs that pickles are, none of which is run.

use secrecy::ExposeSecret;

use super::*;

/// A login as Python writes it with protocol 4: a name, an object of it, and its attributes.
fn login() -> Vec<u8> {
    let mut bytes = b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81}(".to_vec();
    for (key, value) in [
        ("_refresh_token", "1//CANARY"),
        ("_client_id", "id.apps.googleusercontent.com"),
        ("_client_secret", "GOCSPX-CANARY"),
        ("_account", "me@example.com"),
    ] {
        bytes.extend(text(key));
        bytes.extend(text(value));
    }
    bytes.extend(text("_scopes"));
    bytes.extend(b"]");
    bytes.extend(text("openid"));
    bytes.extend(b"aub.");
    bytes
}

/// SHORT_BINUNICODE
fn text(text: &str) -> Vec<u8> {
    [&[0x8c, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn tokens(bytes: &[u8]) -> Result<Vec<String>, Odd> {
    let token = |item: &Item| item.grant.as_ref().unwrap().refresh_token.expose_secret().to_owned();
    read(bytes).map(|items| items.iter().map(token).collect())
}

#[test]
fn a_login_is_what_its_object_would_have_been_filled_with() {
    let items = read(&login()).unwrap();

    let [item] = &items[..] else { panic!("{items:?}") };
    let client = item.client.as_ref().unwrap();
    assert_eq!(client.client_id, "id.apps.googleusercontent.com");
    assert_eq!(client.client_secret.as_ref().unwrap().expose_secret(), "GOCSPX-CANARY");
    assert_eq!(item.account.as_deref(), Some("me@example.com"));
    let grant = item.grant.as_ref().unwrap();
    assert_eq!(grant.refresh_token.expose_secret(), "1//CANARY");
    assert!(grant.scopes.contains("openid"));
}

#[test]
fn what_it_would_call_is_not_called_and_hides_nothing() {
    let marker = std::env::temp_dir().join(format!("vault-pickle-{}", std::process::id()));
    let command = format!("touch {}", marker.display());
    // os.system(command), thrown away; then the login.
    let evil = [b"\x80\x04cos\nsystem\n".to_vec(), text(&command), b"\x85R0".to_vec(), login()[2..].to_vec()];
    let alone = [b"cos\nsystem\n(S'".to_vec(), command.clone().into_bytes(), b"'\ntR.".to_vec()].concat();

    assert_eq!(tokens(&evil.concat()).unwrap(), ["1//CANARY"]);
    assert!(is_one(&alone));
    assert!(matches!(tokens(&alone), Err(Odd::Useless { .. })));
    assert!(!marker.exists());
}

#[test]
fn a_cut_or_changed_pickle_is_refused_and_never_more_than_that() {
    let whole = login();
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        for byte in [0, b'.', b'(', b'0', b'R', b'b', b'h', b'u', 0x85, 0x87, 0x95, 0xff] {
            let mut changed = whole.clone();
            changed[at] = byte;
            let _ = read(&changed);
        }
    }
}

#[test]
fn lengths_and_memories_that_are_not_there_cost_nothing() {
    let lengths = [
        &b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04X\xff\xff\xff\xff.",
        b"\x80\x04\x8b\xff\xff\xff\xff.",
        b"\x80\x04\x96\x00\x00\x00\x00\x00\x00\x00\x80.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x80\x04j\xff\xff\xff\x7f.",
        b"\x80\x04Nr\xff\xff\xff\x7f.",
        b"\x80\x04g99999999999999999999\n.",
        b"\x80\x04p-1\n.",
        b"\x80\x04t.",
        b"\x80\x04\x87.",
        b"\x80\x04(0.",
        b"\x80\x04.",
    ];
    for bytes in lengths {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn bombs_of_depth_of_copies_and_of_steps_are_ended_by_a_bound() {
    // A list in a list, as deep as the file is long: none of it is walked by its depth.
    let deep = [&b"\x80\x04"[..], &b"]".repeat(90_000), &b"a".repeat(89_999), b"."].concat();
    // Each list holds the one before twice, which unfolded would be 2^200 logins.
    let mut doubled = login();
    doubled.pop();
    for _ in 0..200 {
        doubled.extend(b"2\x86");
    }
    doubled.push(b'.');
    // A list that holds itself.
    let endless = b"\x80\x04]q\x00h\x00a.";
    let steps = [&b"\x80\x04"[..], &b"N0".repeat(200_000), b"N."].concat();

    assert!(matches!(tokens(&deep), Err(Odd::Useless { .. })));
    assert!(tokens(&doubled).is_ok_and(|tokens| tokens.len() <= 1) || tokens(&doubled).is_err());
    assert!(matches!(tokens(endless), Err(Odd::Useless { .. })));
    assert!(matches!(tokens(&steps), Err(Odd::Malformed(_))));
}

#[test]
fn texts_that_are_no_pickles_are_not_taken_for_any() {
    for text in ["{\"a\": 1}", "[a]\nb = c.", "client_id = x\nclient_secret = y.", "cat\nis here.", "", "."] {
        assert!(!is_one(text.as_bytes()), "{text}");
    }
}
