//! gcloud: a named configuration without any account, for use with `vault exec`.
//!
//! gcloud has no way to ask another program for a token. It takes one from a variable, which `vault exec` sets for
//! one run, and from a file (`auth/access_token_file`), in which it would lie open and end after an hour. So all that
//! is written is what makes such a run a good one: its project, and that gcloud does not write tokens into its logs.

use super::places::Places;
use super::whole::Whole;
use super::{Change, Edit, Plan, Wish};

pub(super) fn plan(wish: &Wish, places: &Places) -> Plan {
    let name = configuration(wish.profile.as_str());
    let project = wish.facts.as_ref().and_then(|facts| facts.project.as_ref());
    let project = project.map_or_else(String::new, |project| format!("project = {project}\n"));
    let lines = format!("[core]\ndisable_file_logging = true\n{project}");
    let whole = Whole::new(&format!("gcloud {}", wish.profile), &lines);
    let file = places.gcloud().join("configurations").join(format!("config_{name}"));
    let run = format!("{} exec {} -- gcloud --configuration={name} …", wish.vault, wish.profile);
    let advice = vec![
        format!("then: {run}"),
        "the token is in the environment of that run alone; gcloud itself stores nothing".to_owned(),
    ];
    Plan { changes: vec![Change { file, edit: Edit::Whole(whole) }], hosts: Vec::new(), advice }
}

/// gcloud wants lower-case letters, digits and dashes, a letter first.
fn configuration(profile: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("vault-{}", profile.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_a_name_that_gcloud_takes() {
        assert_eq!(configuration("work"), "vault-work");
        assert_eq!(configuration("me@work_1.example"), "vault-me-work-1-example");
    }
}
