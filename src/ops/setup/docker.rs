//! docker: a helper for each registry, in `config.json`. podman, skopeo, crane, helm and others read it too.

use super::places::Places;
use super::{Change, Edit, Plan, Wish, json};

/// An entry that another profile needs too stays.
pub(super) fn plan(wish: &Wish, places: &Places, is_undo: bool) -> Plan {
    let entry = |key: String| Edit::Entry(json::Entry { map: "credHelpers", key, value: "vault" });
    let change = |key| Change { file: places.docker(), edit: entry(key) };
    let hosts = wish.meant_hosts().into_iter().filter(|host| !is_undo || !wish.shared.contains(host));
    let changes = hosts.map(|host| change(host.to_string())).collect();
    Plan { changes, hosts: wish.bindings(), advice: wish.advice_on_options() }
}
