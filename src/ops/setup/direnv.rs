//! direnv: a function `use vault`, and a line that calls it in a directory's `.envrc`.

use super::block::Block;
use super::places::Places;
use super::whole::Whole;
use super::{Change, Edit, Plan, Wish};

pub(super) fn plan(wish: &Wish, places: &Places, is_undo: bool) -> Plan {
    let function = Edit::Whole(Whole::new("direnv", &function(&wish.vault)));
    let line = format!("use vault {}\n", wish.profile);
    let mut changes = Vec::new();
    let mut advice = Vec::new();
    match &wish.envrc {
        Some(file) => {
            let block = Block { name: wish.block_name(), lines: line };
            changes.push(Change { file: file.clone(), edit: Edit::Block(block) });
            advice.push("then run `direnv allow` there".to_owned());
        }
        None => advice.push(format!("then, in the .envrc of a directory: use vault {}", wish.profile)),
    }
    // The function serves every directory: it stays when a line is taken away.
    if !is_undo || wish.envrc.is_none() {
        changes.push(Change { file: places.direnv(), edit: function });
    }
    advice.push("a token in the environment is not renewed: `direnv reload` gets the next one".to_owned());
    Plan { changes, hosts: Vec::new(), advice }
}

/// Nothing is set if anything fails, and what failed is the status.
fn function(vault: &str) -> String {
    format!(
        "use_vault() {{\n\
         \tlocal variables\n\
         \tvariables=\"$({vault} --no-input env \"$@\")\" || return\n\
         \teval \"$variables\"\n\
         }}\n"
    )
}
