//! Databases as tools leave them, and as somebody would make them who wants them to be more than read.

use secrecy::ExposeSecret;

use super::*;

/// As `gcloud auth login` leaves it.
const OF_GCLOUD: &str = r#"CREATE TABLE "credentials" (account_id TEXT PRIMARY KEY, value BLOB);
INSERT INTO credentials VALUES ('me@example.com', '{"client_id": "32555940559.apps.googleusercontent.com",
  "client_secret": "CANARY-of-gcloud", "refresh_token": "1//CANARY", "revoke_uri": "https://accounts.google.com/o/oauth2/revoke",
  "scopes": ["openid", "https://www.googleapis.com/auth/cloud-platform"], "token_uri": "https://oauth2.googleapis.com/token",
  "type": "authorized_user", "universe_domain": "googleapis.com"}');"#;

fn database(sql: &str) -> Vec<u8> {
    let mut database = Connection::open_in_memory().unwrap();
    database.execute_batch(sql).unwrap();
    let bytes: &[u8] = &database.serialize("main").unwrap();
    bytes.to_vec()
}

fn tokens(bytes: &[u8]) -> Result<Vec<String>, Odd> {
    let token = |item: &Item| item.grant.as_ref().unwrap().refresh_token.expose_secret().to_owned();
    read(bytes).map(|items| items.iter().map(token).collect())
}

#[test]
fn the_logins_of_gcloud_are_read_with_their_accounts() {
    let bytes = database(OF_GCLOUD);

    assert!(is_one(&bytes));
    let items = read(&bytes).unwrap();
    let [item] = &items[..] else { panic!("{items:?}") };
    assert_eq!((item.kind, item.account.as_deref()), ("sqlite", Some("me@example.com")));
    assert_eq!(item.client.as_ref().unwrap().client_id, "32555940559.apps.googleusercontent.com");
    assert_eq!(item.grant.as_ref().unwrap().refresh_token.expose_secret(), "1//CANARY");
    assert_eq!(item.grant.as_ref().unwrap().scopes.len(), 2);
}

#[test]
fn columns_are_read_as_names_with_values() {
    let bytes = database(
        "CREATE TABLE logins (email, client_id, client_secret, refresh_token, n INTEGER);
         INSERT INTO logins VALUES ('a@example.com', 'one', 'CANARY-1', 'CANARY-2', 7), ('b', 'two', NULL, NULL, 8);",
    );

    assert_eq!(tokens(&bytes).unwrap(), ["CANARY-2"]);
}

#[test]
fn access_tokens_are_said_to_end_by_themselves() {
    let bytes = database(
        "CREATE TABLE access_tokens (account_id TEXT PRIMARY KEY, access_token TEXT, token_expiry TIMESTAMP, \
         rapt_token TEXT, id_token TEXT);
         INSERT INTO access_tokens VALUES ('me@example.com', 'ya29.CANARY', '2026-01-01', NULL, NULL);",
    );

    let Err(Odd::Useless { what, hint }) = tokens(&bytes) else { panic!("nothing lasts in it") };
    assert!(what.contains("within an hour") && hint.contains("credentials.db"), "{what}");
}

#[test]
fn a_log_beside_the_file_is_not_looked_for() {
    let mut bytes = database(OF_GCLOUD);
    bytes[VERSIONS].fill(WITH_LOG);

    assert_eq!(tokens(&bytes).unwrap(), ["1//CANARY"]);
}

#[test]
fn what_a_database_would_compute_is_not_computed_and_hides_no_other_table() {
    let endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)";
    for schema in [
        format!("CREATE VIEW credentials2 AS {endless} SELECT n AS account_id, '{{}}' AS value FROM r;"),
        "CREATE TABLE t (a, b AS (hex(zeroblob(100000000))), refresh_token AS (upper(a)));
         INSERT INTO t (a) VALUES ('x');"
            .to_owned(),
        "CREATE TABLE t (a); CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT load_extension('x'); END;"
            .to_owned(),
        "CREATE VIRTUAL TABLE v USING fts5(refresh_token);".to_owned(),
        "CREATE TABLE \"a\"\"; DROP TABLE credentials; --\" (refresh_token);".to_owned(),
    ] {
        // One that this SQLite cannot make, it cannot read either.
        let _ = Connection::open_in_memory().unwrap().execute_batch(&schema).map(|()| {
            let bytes = database(&format!("{schema}{OF_GCLOUD}"));
            assert_eq!(tokens(&bytes).unwrap(), ["1//CANARY"], "{schema}");
        });
    }
}

#[test]
fn a_view_in_the_place_of_the_table_is_not_asked() {
    let bytes = database(
        "CREATE TABLE hidden (x); CREATE VIEW credentials AS
         WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)
         SELECT 'me@example.com' AS account_id, '{\"refresh_token\": \"CANARY\", \"client_id\": \"i\"}' AS value FROM r;",
    );

    assert!(matches!(tokens(&bytes), Err(Odd::Useless { .. })));
}

#[test]
fn long_texts_and_many_rows_are_bounded() {
    let long = database(&format!(
        "CREATE TABLE big (refresh_token); INSERT INTO big VALUES (replace(hex(zeroblob(1200000)), '0', 'x')); {OF_GCLOUD}"
    ));
    let many = database(
        "CREATE TABLE many (client_id, refresh_token);
         WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r LIMIT 5000)
         INSERT INTO many SELECT 'id', 'CANARY-' || n FROM r;",
    );

    assert_eq!(tokens(&long).unwrap(), ["1//CANARY"]);
    assert_eq!(tokens(&many), Err(Odd::TooMany));
}

#[test]
fn a_damaged_database_is_refused_and_never_more_than_that() {
    let whole = database(OF_GCLOUD);
    for end in (0..whole.len()).step_by(397) {
        let _ = read(&whole[..end]);
    }
    for at in (0..whole.len()).filter(|at| *at < 200 || at % 251 == 0) {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        let _ = read(&changed);
    }
    let mut page = whole.clone();
    page[100..].fill(0xff);
    assert!(read(&page).is_err());
}

/// What is read is a copy that SQLite owns.
#[test]
fn nothing_can_be_written_or_attached() {
    let bytes = database(OF_GCLOUD);
    let database = open(&bytes).unwrap();

    for sql in [
        "INSERT INTO credentials VALUES ('x', 'y')",
        "ATTACH DATABASE '/tmp/x' AS x",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('x')",
        "SELECT count(*) FROM credentials",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    ] {
        assert!(database.prepare(sql).and_then(|mut it| it.query(())?.next().map(drop)).is_err(), "{sql}");
    }
}

#[test]
fn tables_that_say_to_have_the_same_pages_are_not_read_for_ever() {
    let one = database(
        "CREATE TABLE t0 (v TEXT);
         INSERT INTO t0 VALUES (replace(hex(zeroblob(450000)), '00', 'xy')), (replace(hex(zeroblob(450000)), '00', 'xy'));",
    );
    let mut copy = Connection::open_in_memory().unwrap();
    copy.deserialize_read_exact("main", &one[..], one.len(), false).unwrap();
    copy.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    copy.execute_batch("PRAGMA writable_schema = ON").unwrap();
    for at in 1..60 {
        let same = "INSERT INTO sqlite_schema SELECT type, 't' || ?1, 't' || ?1, rootpage, 'CREATE TABLE t' || ?1 || ' (v TEXT)' \
                    FROM sqlite_schema WHERE name = 't0'";
        copy.execute(same, [at]).unwrap();
    }
    let many: &[u8] = &copy.serialize("main").unwrap();

    let why = |bytes: &[u8]| read(bytes).unwrap_err().to_string();

    assert!(why(&one).contains("without a refresh token"), "{}", why(&one));
    assert!(why(many).contains("more in its rows than the file is long"), "{}", why(many));
}
