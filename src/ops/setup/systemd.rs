//! systemd: `vault serve` as a service of the user, one instance for each profile.

use super::places::Places;
use super::whole::Whole;
use super::{Change, Edit, Error, Plan, Wish, places};

/// systemd wants the whole path, in which spaces, `%` and `$` would mean something.
pub(super) fn plan(wish: &Wish, places: &Places) -> Result<Plan, Error> {
    let program = places.program();
    let program = places::plain(&program).ok_or_else(|| Error::OddPlace(program.clone()))?;
    let options: String = wish.options.iter().map(|option| format!(" {option}")).collect();
    let whole = Whole::new("systemd", &unit(program, &options));
    let profile = &wish.profile;
    let advice = vec![
        format!(
            "then: systemctl --user daemon-reload && systemctl --user enable --now vault-serve@{profile}"
        ),
        format!("what to export is in: journalctl --user -u vault-serve@{profile}"),
    ];
    let changes = vec![Change { file: places.systemd(), edit: Edit::Whole(whole) }];
    Ok(Plan { changes, hosts: Vec::new(), advice })
}

/// What is here works in a user's own systemd, which may not mount anything (systemd.exec(5), "Sandboxing").
fn unit(program: &str, options: &str) -> String {
    format!(
        "[Unit]\n\
         Description=Access tokens of the profile %i\n\
         Documentation=man:vault-serve(1)\n\
         \n\
         [Service]\n\
         ExecStart={program}{options} --no-input serve %i\n\
         # A vault that is locked is waited for; what another try cannot mend is not tried again.\n\
         Restart=on-failure\n\
         RestartSec=30\n\
         RestartPreventExitStatus=2 3 5 6 7 14\n\
         # The key comes from the keychain or `vault unlock`; else from an identity file, which this makes readable\n\
         # for the service alone:\n\
         #LoadCredential=vault-identity:%h/.config/vault/identity.txt\n\
         UMask=0077\n\
         LimitCORE=0\n\
         NoNewPrivileges=yes\n\
         LockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\n\
         # AF_NETLINK tells whose a connection is.\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\n\
         SystemCallErrorNumber=EPERM\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n"
    )
}
