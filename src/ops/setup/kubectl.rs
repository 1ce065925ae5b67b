//! kubectl: a user in the kubeconfig, which kubectl itself writes into a copy of it.

use std::path::PathBuf;

use serde_json::Value;

use super::places::Places;
use super::{Change, Edit, Plan, Refusal, Wish};
use crate::system::run_on_copy;

/// What the user's helper is called.
const HELPER: &str = "kubectl-credential-vault";

/// A user whose token a program gives out (Kubernetes, "client-go credential plugins").
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    arguments: Vec<String>,
    /// Where kubectl is, if it is there.
    kubectl: Option<PathBuf>,
    /// Where the copy is for a moment.
    runtime_dir: PathBuf,
}

pub(super) fn plan(wish: &Wish, places: &Places) -> Plan {
    let name = format!("vault-{}", wish.profile);
    let advice = vec![format!("then: kubectl config set-context CONTEXT --user={name}")];
    let user = User {
        name,
        arguments: wish.helper_arguments(),
        kubectl: places.found("kubectl"),
        runtime_dir: places.runtime_dir.clone(),
    };
    let change = Change { file: places.kube(), edit: Edit::KubeUser(user) };
    Plan { changes: vec![change], hosts: Vec::new(), advice }
}

impl User {
    /// As a person would add it.
    pub(super) fn lines(&self) -> String {
        let arguments: Vec<String> =
            self.arguments.iter().map(|it| Value::from(it.as_str()).to_string()).collect();
        format!(
            "users:\n- name: {}\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      \
             command: {HELPER}\n      args: [{}]\n      interactiveMode: IfAvailable\n",
            self.name,
            arguments.join(", "),
        )
    }

    /// As kubectl adds it, and as it writes that there are no users.
    pub(super) fn lines_of_kubectl(&self) -> String {
        let arguments: String = self.arguments.iter().map(|it| format!("- {it}\n")).collect();
        format!("{}args:\n{arguments}env: null\nprovideClusterInfo: false\nusers: null\n", self.lines())
    }

    /// The text with this user.
    pub(super) fn written(&self, text: Option<&str>) -> Result<String, Refusal> {
        let text = text.unwrap_or_default();
        if self.there(text)? == Some(false) {
            return Err(Refusal::because(format!("it has a user `{}` that is not ours", self.name)));
        }
        let new = self.set_credentials("v1", &["--exec-interactive-mode=IfAvailable"]);
        self.changed(text, &new).or_else(|refusal| match refusal.0.contains("unknown flag") {
            // Before 1.22 there was no v1, and before 1.24 no such option; v1beta1 does not need it.
            true => self.changed(text, &self.set_credentials("v1beta1", &[])),
            false => Err(refusal),
        })
    }

    fn set_credentials(&self, version: &str, others: &[&str]) -> Vec<String> {
        let mut words = vec!["set-credentials".to_owned(), self.name.clone()];
        words.push(format!("--exec-api-version=client.authentication.k8s.io/{version}"));
        words.push(format!("--exec-command={HELPER}"));
        words.extend(self.arguments.iter().map(|argument| format!("--exec-arg={argument}")));
        words.extend(others.iter().map(|it| (*it).to_owned()));
        words
    }

    /// The text without this user, if it is ours.
    pub(super) fn removed(&self, text: &str) -> Result<Option<String>, Refusal> {
        match self.there(text)? {
            Some(true) => self.changed(text, &["delete-user".to_owned(), self.name.clone()]).map(Some),
            _ => Ok(Some(text.to_owned())),
        }
    }

    /// Whether a user of that name is there, and is ours.
    fn there(&self, text: &str) -> Result<Option<bool>, Refusal> {
        let words = ["view", "--raw", "--output=json"].map(str::to_owned);
        let (answer, _) = self.run(text, &words)?;
        let config: Value =
            serde_json::from_str(&answer).map_err(|_| Refusal::because("kubectl cannot read it"))?;
        let users = config["users"].as_array().into_iter().flatten();
        let user = users.into_iter().find(|user| user["name"] == self.name.as_str());
        Ok(user.map(|user| user["user"]["exec"]["command"] == HELPER))
    }

    fn changed(&self, text: &str, words: &[String]) -> Result<String, Refusal> {
        Ok(self.run(text, words)?.1)
    }

    fn run(&self, text: &str, words: &[String]) -> Result<(String, String), Refusal> {
        let kubectl = self
            .kubectl
            .as_ref()
            .ok_or_else(|| Refusal::because("kubectl, which writes it, is not there"))?;
        run_on_copy(kubectl, &self.runtime_dir, text, |copy| {
            let file = format!("--kubeconfig={}", copy.display());
            ["config".to_owned(), file].into_iter().chain(words.iter().cloned()).collect()
        })
        .map_err(|why| Refusal::because(format!("kubectl does not take it: {why}")))
    }
}
