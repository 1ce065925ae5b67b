//! Programs that copy folders to other machines, as far as a path or a marker in a folder tells.

use std::path::Path;

use super::{Kind, look};

/// Folders of programs that copy to other machines: a part of the name, and the program.
const SYNCED: [(&str, &str); 11] = [
    ("Dropbox", "Dropbox"),
    ("OneDrive", "OneDrive"),
    ("Mobile Documents", "iCloud"),
    ("iCloud", "iCloud"),
    ("Google Drive", "Google Drive"),
    ("GoogleDrive", "Google Drive"),
    ("Nextcloud", "Nextcloud"),
    ("ownCloud", "ownCloud"),
    ("Syncthing", "Syncthing"),
    ("pCloud", "pCloud"),
    ("MEGAsync", "MEGA"),
];

/// What such programs put into the folder that they copy. A folder `.dropbox` is something else: Dropbox keeps
/// its own settings in it, in the home of each of its users.
const MARKERS: [(&str, Kind, &str); 2] =
    [(".stfolder", Kind::Directory, "Syncthing"), (".dropbox", Kind::File, "Dropbox")];

/// The program that copies `path` to other machines, if it is known to.
pub fn synced_by(path: &Path) -> Option<&'static str> {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let names = real.components().filter_map(|part| part.as_os_str().to_str());
    let by_name = |name: &str| SYNCED.iter().find(|(part, _)| name.starts_with(part));
    let found = names.into_iter().find_map(by_name).map(|(_, program)| *program);
    found.or_else(|| real.ancestors().find_map(marked_by))
}

fn marked_by(folder: &Path) -> Option<&'static str> {
    let is_there =
        |marker: &str, kind: Kind| look(&folder.join(marker)).is_ok_and(|found| found.kind == kind);
    MARKERS.iter().find(|(marker, kind, _)| is_there(marker, *kind)).map(|(.., program)| *program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_copied_elsewhere_is_known_by_its_name_or_by_a_marker() {
        let home = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = home.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        make("marked/.stfolder");
        make("user/.dropbox");
        std::fs::write(make("moved").join(".dropbox"), "tag").unwrap();

        assert_eq!(synced_by(&make("Dropbox/vault")), Some("Dropbox"));
        assert_eq!(synced_by(&make("OneDrive - Company/vault")), Some("OneDrive"));
        assert_eq!(synced_by(&make("Library/Mobile Documents/vault")), Some("iCloud"));
        assert_eq!(synced_by(&make("marked/deep/vault")), Some("Syncthing"));
        assert_eq!(synced_by(&make("moved/vault")), Some("Dropbox"));
        assert_eq!(synced_by(&make("user/vault")), None, "the settings of Dropbox mark nothing");
        assert_eq!(synced_by(&make("plain/vault")), None);
    }
}
