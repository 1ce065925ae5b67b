//! Disks that are really full, or may not be written: noticed before anything is sent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::disk::{Disk, least_enough, with_own_mounts};
use crate::expiry::{
    Snapshot, assert_no_stray_file, assert_nothing_lost, expired, refresh_token, refreshes, state_dir,
};
use crate::home::Home;
use crate::outside::leave_out;
use crate::provider::Provider;
use crate::tree::stored;

const REFRESH: [&str; 3] = ["token", "work", "--refresh"];

/// More pages than both places of a successor take, and all that is written beside them.
const ENOUGH: u64 = 120;

/// How far on either side of the least room that is enough each page is tried.
const AROUND: u64 = 5;

#[test]
fn a_full_vault_directory_is_noticed_before_the_request() {
    each_amount_of_room(Home::vault_dir, &[0, 10]);
}

#[test]
fn a_full_state_directory_is_noticed_before_the_request() {
    each_amount_of_room(|home| home.path("state"), &[0, 10]);
}

#[test]
fn a_full_cache_directory_only_costs_the_cache() {
    each_amount_of_room(|home| home.path("cache"), &[0]);
}

#[test]
fn one_full_disk_for_everything_is_noticed_before_the_request() {
    each_amount_of_room(|home| home.path(""), &[0, 10]);
}

#[test]
fn a_vault_that_may_only_be_read_is_read_and_a_refresh_ends_before_the_request() {
    with_own_mounts(|| {
        for folder in ["data/vault", "state", ""] {
            let (provider, home) = expired();
            let disk = Disk::under(&home.path(folder));
            disk.forbid_writing();

            assert_reading_works_and_refreshing_ends(&provider, &home);

            disk.mend();
            let _ = home.run(&REFRESH).expect_code(0);
            assert_nothing_lost(&provider, &home);
        }
    });
}

#[test]
fn files_and_folders_with_the_immutable_flag_are_read_and_a_refresh_ends_before_the_request() {
    let (provider, home) = expired();
    for path in [home.profile("work"), home.vault_dir().join("profiles"), state_dir(&home).join("next")] {
        let Some(_flag) = Immutable::set(&path) else { return };

        assert_reading_works_and_refreshing_ends(&provider, &home);
    }
    let _ = home.run(&REFRESH).expect_code(0);
    assert_nothing_lost(&provider, &home);
}

#[test]
fn a_login_on_a_full_disk_ends_before_the_code_is_spent() {
    with_own_mounts(|| {
        let (provider, home) = expired();
        let disk = Disk::under(&home.path(""));
        let login = |pages| {
            let (asked, held) = (refreshes(&provider), provider.live_refresh_tokens());
            disk.leave_pages(pages);
            let run = home.consent(&["login", "work", "--no-browser"]);
            disk.mend();
            if run.code == 10 {
                assert_eq!((refreshes(&provider), provider.live_refresh_tokens()), (asked, held), "{run:?}");
            }
            assert_eq!(refresh_token(&home), *provider.live_refresh_tokens().last().unwrap(), "{run:?}");
            assert_no_stray_file(&home);
            run.code
        };
        assert_eq!(around_the_least(login), [0, 10].into());
    });
}

#[test]
fn a_profile_that_does_not_fit_on_the_disk_leaves_nothing_behind_and_no_code_is_spent() {
    with_own_mounts(|| {
        let (provider, home) = expired();
        let disk = Disk::under(&home.path(""));
        let issuer = provider.issuer();
        let arguments = [&ADD_WITH_A_NEW_CLIENT[..], &[&issuer]].concat();
        let add = |pages| {
            let (asked, before) = (refreshes(&provider), stored(&home));
            disk.leave_pages(pages);
            let run = home.consent(&arguments);
            disk.mend();
            if run.code == 0 {
                let _ = home.run(&["token", "home", "--refresh"]).expect_code(0);
                let _ = home.run(&["remove", "home", "--yes"]).expect_code(0);
                let _ = home.run(&["client", "remove", "127.0.0.1-2"]).expect_code(0);
            } else {
                assert_eq!(refreshes(&provider), asked, "{run:?}");
            }
            assert!(stored(&home) == before, "{run:?}");
            run.code
        };
        assert_eq!(around_the_least(add), [0, 10].into());
    });
}

const ADD_WITH_A_NEW_CLIENT: [&str; 9] = [
    "add-profile",
    "home",
    "--no-browser",
    "--insecure-loopback",
    "--client-id",
    "public",
    "--client-auth",
    "none",
    "--issuer",
];

/// The exit codes with no room at all, and around the least that is enough.
fn around_the_least(with_pages: impl Fn(u64) -> i32) -> BTreeSet<i32> {
    let enough = least_enough(ENOUGH, |pages| with_pages(pages) == 0);
    let around = enough.saturating_sub(AROUND)..=enough + AROUND;
    (0..AROUND).chain(around).map(with_pages).collect()
}

fn assert_reading_works_and_refreshing_ends(provider: &Provider, home: &Home) {
    let (asked, files) = (refreshes(provider), Snapshot::of(home));
    for reading in [&["list"][..], &["show", "work"], &["status"], &["verify"]] {
        let _ = home.run(reading).expect_code(0);
    }
    let _ = home.run(&["reveal", "work", "api_key"]).expect_code(0);
    let _ = home.run(&REFRESH).expect_code(10);
    assert_eq!(refreshes(provider), asked);
    files.assert_unchanged(home);
}

/// The flag of ext4 and others that forbids every change, even to root.
pub struct Immutable(PathBuf);

impl Immutable {
    /// Sets it; `None` where that is not possible.
    pub fn set(path: &Path) -> Option<Self> {
        let is_set = Command::new("chattr").arg("+i").arg(path).status().is_ok_and(|it| it.success());
        if !is_set {
            leave_out("the immutable flag cannot be set here");
        }
        is_set.then(|| Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

/// Refreshes with no room at all, with more and more of it, and with each number of new files.
fn each_amount_of_room(folder: fn(&Home) -> PathBuf, expected: &[i32]) {
    with_own_mounts(|| {
        let (provider, home) = expired();
        make_long(&home);
        let disk = Disk::under(&folder(&home));
        let with_pages = |pages| {
            disk.leave_pages(pages);
            refresh_and_mend(&provider, &home, &disk)
        };
        let with_files = |files| {
            disk.leave_files(files);
            refresh_and_mend(&provider, &home, &disk)
        };

        let of_pages = around_the_least(with_pages);
        let of_files: BTreeSet<i32> = (0..=AROUND).map(with_files).collect();

        let expected: BTreeSet<i32> = expected.iter().copied().collect();
        assert_eq!((of_pages, of_files), (expected.clone(), expected));
        let token = home.run(&REFRESH).answer();
        assert!(provider.is_live_access_token(&token));
        assert_nothing_lost(&provider, &home);
    });
}

/// Makes the profile so long that its successor takes pages which its intent does not.
fn make_long(home: &Home) {
    let variables: Vec<String> = (0..200).map(|number| format!("VARIABLE_NUMBER_{number}=account")).collect();
    let set = variables.iter().flat_map(|variable| ["--set", variable]);
    let arguments: Vec<&str> = ["edit", "work"].into_iter().chain(set).collect();
    let _ = home.run(&arguments).expect_code(0);
}

/// A refresh that loses nothing: either it succeeds, or it ends before anything is sent. Returns its
/// exit code.
fn refresh_and_mend(provider: &Provider, home: &Home, disk: &Disk) -> i32 {
    let (asked, held) = (refreshes(provider), provider.live_refresh_tokens());

    let run = home.run(&REFRESH);

    if run.code == 10 {
        assert_eq!(refreshes(provider), asked, "{run:?}");
        assert_eq!(provider.live_refresh_tokens(), held, "{run:?}");
    } else {
        assert!(provider.is_live_access_token(run.stdout.trim_end()), "{run:?}");
        assert_eq!(refreshes(provider), asked + 1, "{run:?}");
        assert!(!run.stderr.contains("state directory"), "what is reserved is enough: {run:?}");
    }
    assert_eq!([refresh_token(home)].as_slice(), provider.live_refresh_tokens(), "{run:?}");
    // Every other secret can be opened, on the full disk too.
    let _ = home.run(&["verify"]).expect_code(0);
    disk.mend();
    run.code
}
