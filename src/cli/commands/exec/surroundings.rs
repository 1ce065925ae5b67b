//! What a program finds in its environment so that Google's libraries and gcloud ask us.
//!
//! Which library reads what is told in `docs/tools.md`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use secrecy::ExposeSecret;

use crate::serve::{Server, broker_file};
use crate::system::{RunDir, RunDirError, is_of_a_run};

/// gcloud's first choice, before the file: one token for the life of the process.
pub(in crate::cli::commands) const GCLOUD_TOKEN: &str = "CLOUDSDK_AUTH_ACCESS_TOKEN";
/// gcloud's second choice: read by each call.
pub(in crate::cli::commands) const GCLOUD_TOKEN_FILE: &str = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE";

/// The one name of the file with the token that is set whatever the provider.
pub(in crate::cli::commands) const TOKEN_FILE: &str = "OAUTH_ACCESS_TOKEN_FILE";

const ADC: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const GCLOUD_CONFIG: &str = "CLOUDSDK_CONFIG";
const METADATA: [&str; 3] = ["GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"];
/// They keep a library from looking for a metadata server.
const NO_METADATA: [&str; 2] = ["NO_GCE_CHECK", "METADATA_SERVER_DETECTION"];

/// What the environment says already.
pub(in crate::cli::commands) type Inherited<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What is changed: a value, or none for a variable that is taken away.
pub(in crate::cli::commands) type Changes = BTreeMap<&'static str, Option<OsString>>;

/// The variables that another run of ours has set, in which we have been started: they are for its profile.
pub(in crate::cli::commands) fn left_by_another_run(
    inherited: Inherited<'_>,
    runtime_dir: &Path,
) -> Vec<&'static str> {
    let is_its = |name: &&str| inherited(name).is_some_and(|path| is_of_a_run(path.as_ref(), runtime_dir));
    let files = [ADC, GCLOUD_CONFIG, GCLOUD_TOKEN_FILE, TOKEN_FILE];
    let mut left: Vec<&str> = files.into_iter().filter(is_its).collect();
    if left.contains(&GCLOUD_CONFIG) {
        left.extend(METADATA);
    }
    left
}

/// For programs that ask the broker: where the file is that names it.
pub(in crate::cli::commands) fn of_broker(
    server: &Server,
    run_dir: &RunDir,
    project: Option<&str>,
) -> Result<Changes, RunDirError> {
    let name = server.profile();
    let secret = run_dir.write(&format!("{name}.session"), server.secret())?;
    let file = broker_file(name, server.port(), &secret, project);
    let file = run_dir.write(&format!("{name}.json"), &file.into())?;
    Ok(Changes::from([(ADC, Some(file.into()))]))
}

/// For programs that ask the metadata server, below the path that is its secret. They ask it last of all, so what
/// they would find before it is put out of their way: gcloud's directory is an empty one of this run.
pub(in crate::cli::commands) fn of_metadata(
    server: &Server,
    run_dir: &RunDir,
) -> Result<Changes, RunDirError> {
    let gcloud_config = run_dir.make_dir(&format!("{}.gcloud", server.profile()))?;
    let [host, root, ip] = METADATA;
    let address = format!("127.0.0.1:{}", server.port());
    let below = format!("{address}/{}", server.secret().expose_secret());
    let mut changes = Changes::from([(ADC, None), (GCLOUD_CONFIG, Some(gcloud_config.into()))]);
    changes.extend(
        [(host, below.clone()), (root, below), (ip, address)].map(|(name, at)| (name, Some(at.into()))),
    );
    changes.extend(NO_METADATA.map(|name| (name, None)));
    Ok(changes)
}

/// For both: `project` is the profile's own, `client_project` that of its client.
pub(in crate::cli::commands) fn of_both(
    inherited: Inherited<'_>,
    project: Option<&str>,
    client_project: Option<&str>,
) -> Changes {
    // gcloud writes each token that it prints into its log.
    let mut changes = Changes::from([("CLOUDSDK_CORE_DISABLE_FILE_LOGGING", Some("true".into()))]);
    changes.extend(without_proxy(inherited));
    let names_one = ["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"].iter().any(|name| inherited(name).is_some());
    // Without one, Node's library starts gcloud to learn it.
    if let Some(project) = project.or(client_project.filter(|_| !names_one)) {
        changes.insert("GOOGLE_CLOUD_PROJECT", Some(project.into()));
    }
    if let Some(project) = project {
        changes.insert("GOOGLE_CLOUD_QUOTA_PROJECT", Some(project.into()));
    }
    changes
}

/// Python, Node and Rust would ask even a server on this machine through a proxy. Some read the one name first,
/// some the other.
fn without_proxy(inherited: Inherited<'_>) -> Changes {
    const NAMES: [&str; 2] = ["NO_PROXY", "no_proxy"];
    const US: &str = "127.0.0.1";
    let with_us = |name: &'static str| {
        let Some(mut value) = inherited(name).or_else(|| NAMES.iter().find_map(|name| inherited(name)))
        else {
            return (name, Some(US.into()));
        };
        // Beside others, many take an asterisk for the name of a host.
        let is_there = |text: &str| text.trim() == "*" || text.split([',', ' ']).any(|host| host == US);
        if !value.to_str().is_some_and(is_there) {
            value.push(",");
            value.push(US);
        }
        (name, Some(value))
    };
    NAMES.map(with_us).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    }

    fn value(changes: &Changes, name: &str) -> Option<String> {
        changes.get(name).cloned().flatten().map(|value| value.into_string().unwrap())
    }

    #[test]
    fn whoever_has_a_proxy_keeps_its_exceptions_and_gets_ours() {
        for (before, after) in [
            (&[][..], ["127.0.0.1", "127.0.0.1"]),
            (&[("NO_PROXY", "a.example")], ["a.example,127.0.0.1", "a.example,127.0.0.1"]),
            (&[("no_proxy", "a"), ("NO_PROXY", "b")], ["b,127.0.0.1", "a,127.0.0.1"]),
            (&[("no_proxy", "localhost, 127.0.0.1")], ["localhost, 127.0.0.1", "localhost, 127.0.0.1"]),
            (&[("NO_PROXY", "*")], ["*", "*"]),
            (&[("NO_PROXY", "a,*")], ["a,*,127.0.0.1", "a,*,127.0.0.1"]),
        ] {
            let changes = of_both(&environment(before), None, None);
            let found = ["NO_PROXY", "no_proxy"].map(|name| value(&changes, name).unwrap());
            assert_eq!(found, after, "{before:?}");
        }
    }

    #[test]
    fn the_project_is_the_profiles_else_the_users_own_else_that_of_the_client() {
        let project =
            |before, own, client| value(&of_both(&environment(before), own, client), "GOOGLE_CLOUD_PROJECT");

        assert_eq!(
            project(&[("GOOGLE_CLOUD_PROJECT", "users")], Some("own"), Some("1")).as_deref(),
            Some("own")
        );
        // Not changed.
        assert_eq!(project(&[("GOOGLE_CLOUD_PROJECT", "users")], None, Some("1")), None);
        assert_eq!(project(&[("GCLOUD_PROJECT", "users")], None, Some("1")), None);
        assert_eq!(project(&[], None, Some("1")).as_deref(), Some("1"));
        assert_eq!(project(&[], None, None), None);
        let quota = value(&of_both(&environment(&[]), None, Some("1")), "GOOGLE_CLOUD_QUOTA_PROJECT");
        assert_eq!(quota, None, "that of the client is charged anyway");
    }

    #[test]
    fn what_is_for_the_profile_of_another_run_is_taken_away_and_the_users_own_is_not() {
        let runtime_dir = Path::new("/run/user/1000/vault");
        let left = |set| left_by_another_run(&environment(set), runtime_dir);

        assert_eq!(
            left(&[(ADC, "/home/me/key.json"), (GCLOUD_CONFIG, "/home/me/gcloud")]),
            Vec::<&str>::new()
        );
        assert_eq!(left(&[(ADC, "/run/user/1000/vault/run-1/work.json")]), [ADC]);
        assert_eq!(left(&[(TOKEN_FILE, "/run/user/1000/vault/run-1/access-token")]), [TOKEN_FILE]);
        let metadata =
            left(&[(GCLOUD_CONFIG, "/run/user/1000/vault/run-1/work.gcloud"), (ADC, "/home/me/key.json")]);
        assert_eq!(metadata, [&[GCLOUD_CONFIG][..], &METADATA].concat());
    }
}
