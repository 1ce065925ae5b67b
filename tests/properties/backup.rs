//! What is in a backup, before anything of it is trusted: it is one whole vault under one key, or nothing.

use serde_json::Value;
use vault::seal::{Backup, MAX_BACKUP, Part};

use crate::vault_of_vectors::{KEY, VAULT};

/// Holds whatever `bytes` are; says whether they are the content of a backup.
pub fn holds(bytes: &[u8]) -> bool {
    let backup = match Backup::parse(bytes) {
        Ok(backup) => backup,
        Err(error) => {
            crate::clean::assert_error(&error);
            crate::clean::assert_does_not_show(
                &error,
                "1TUKNTS9G0HGDSZHSCXYCNUKZLGFN9P2FLW2LRN3Y5L74KU6SN22QZFMEGG",
            );
            return false;
        }
    };
    assert!(bytes.len() <= MAX_BACKUP);
    assert!(crate::keys::stand_once(bytes), "readers differ on which of two counts");
    assert_is_whole(&backup);
    assert_says_the_same(&backup, bytes);
    let written = backup.to_bytes().unwrap();
    let again = Backup::parse(&written).expect("what was read can be written and read");
    assert_eq!(*again.to_bytes().unwrap(), *written);
    true
}

/// Each document is of the one vault and under the one key, and has a name that is one.
fn assert_is_whole(backup: &Backup) {
    assert_eq!(backup.documents[0].0, Part::Manifest);
    assert!(backup.documents.windows(2).all(|two| two[0].0 < two[1].0), "each name once");
    for (part, document) in &backup.documents {
        assert_eq!((document.vault(), document.kid()), (&backup.vault, &backup.kid()));
        assert_eq!(part.to_string().parse::<Part>().unwrap(), *part);
        let is_hidden = |name: &str| name.starts_with('.');
        assert!(
            !part.to_string().split('/').any(is_hidden) && part.to_string().split('/').count() <= 2,
            "{part}"
        );
    }
    // Nobody but the owner of the test vault has made documents.
    assert_eq!((&backup.vault, backup.kid()), (&*VAULT, KEY.current().id(&VAULT)));
}

/// Another reader finds as many documents, under the same names.
fn assert_says_the_same(backup: &Backup, bytes: &[u8]) {
    let content: Value = serde_json::from_slice(bytes).expect("a backup is JSON");
    let mut names: Vec<&str> =
        content["documents"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    let mut parts: Vec<String> = backup.documents.iter().map(|(part, _)| part.to_string()).collect();
    names.sort_unstable();
    parts.sort_unstable();
    assert_eq!(names, parts);
}
