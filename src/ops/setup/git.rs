//! git: a helper for each host, and no other one for it (gitcredentials(7)).

use super::block::Block;
use super::places::Places;
use super::{Change, Edit, Plan, Wish};
use crate::domain::Host;

/// A block for each host. To undo where no host is named, all of the profile.
pub(super) fn plan(wish: &Wish, places: &Places, is_undo: bool) -> Plan {
    let file = places.git();
    let change = |block| Change { file: file.clone(), edit: Edit::Block(block) };
    let blocks: Vec<Block> = match is_undo && wish.hosts.is_empty() {
        true => vec![Block { name: wish.block_name(), lines: String::new() }],
        false => wish.meant_hosts().iter().map(|host| block(wish, host)).collect(),
    };
    Plan { changes: blocks.into_iter().map(change).collect(), hosts: wish.bindings(), advice: Vec::new() }
}

/// The empty helper takes back those above: they would be asked first, and would be given our token to keep.
fn block(wish: &Wish, host: &Host) -> Block {
    // A server on this machine may do without TLS.
    let schemes = if host.is_loopback() { &["https", "http"][..] } else { &["https"] };
    let arguments = wish.helper_arguments().join(" ");
    let section = |scheme: &&str| {
        format!("[credential \"{scheme}://{host}\"]\n\thelper =\n\thelper = vault {arguments}\n")
    };
    let lines = schemes.iter().map(section).collect();
    Block { name: format!("{} {host}", wish.block_name()), lines }
}
