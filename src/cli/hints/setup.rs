//! What a user can do where the files of another program were not changed.

use super::new_file_hint;
use crate::ops::setup::Error;
use crate::system::UserFileError;

pub(super) fn of(error: &Error) -> Vec<String> {
    let hint = match error {
        Error::File(UserFileError::Changed(_)) => "nothing was changed; run the command again".to_owned(),
        Error::File(UserFileError::NewFile(error)) | Error::NewFile(error) => new_file_hint(error).to_owned(),
        Error::Taken(path) => {
            format!("move {} away, or name another directory on the PATH with `--bin-dir`", path.display())
        }
        Error::NotOnPath { .. } => {
            "add it to the PATH, or name another directory with `--bin-dir DIR`".to_owned()
        }
        Error::OddPlace(_) => "put it, or a link to it, where programs are looked for".to_owned(),
        _ => "nothing was changed; without `--write` the lines are printed, to be added by hand".to_owned(),
    };
    vec![hint]
}
