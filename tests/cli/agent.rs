//! `vault unlock`, `vault lock`, `vault unlocked`: the process that holds the key for a while.

use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::holder::{Holder, wait_until};
use crate::home::Home;
use crate::outside;
use crate::provider::{Config, Provider};

#[test]
fn while_the_key_is_held_nothing_else_unlocks_and_afterwards_nothing_does() {
    let holder = Holder::new();
    holder.home.run(&["unlocked"]).expect_code(4).expect_said("run `vault unlock`");

    holder.unlock("1h").expect_code(0).expect_said("is held");

    holder.hide_identity();
    holder.verify().expect_code(0);
    holder.home.run(&["unlocked"]).expect_code(0);
    holder.home.run(&["lock"]).expect_code(0);
    holder.home.run(&["unlocked"]).expect_code(4);
    holder.verify().expect_code(4);
}

#[test]
fn the_key_is_forgotten_when_its_time_is_over() {
    let holder = Holder::new();
    holder.unlock("1s").expect_code(0);
    holder.hide_identity();

    wait_until("the key to be forgotten", || holder.home.run(&["unlocked"]).code == 4);
    wait_until("the agent to end", || holder.agent().is_none());
    holder.verify().expect_code(4);
}

#[test]
fn unlocking_again_gives_more_time_with_the_same_agent() {
    let holder = Holder::new();
    holder.unlock("1h").expect_code(0);
    let (agent, first) = (holder.agent(), holder.held_until());

    holder.unlock("8h").expect_code(0);

    assert!(agent.is_some() && holder.agent() == agent);
    assert!(holder.held_until() > first);
}

#[test]
fn a_killed_agent_leaves_a_socket_that_is_in_nobodys_way() {
    let holder = Holder::new();
    holder.unlock("1h").expect_code(0);

    holder.kill_agent();

    assert!(holder.socket().exists());
    holder.home.run(&["unlocked"]).expect_code(4);
    holder.verify().expect_code(0).expect_unsaid("agent");
    holder.unlock("1h").expect_code(0);
    holder.home.run(&["unlocked"]).expect_code(0);
}

#[test]
fn locking_and_unlocking_in_a_row_meets_no_dying_agent() {
    let holder = Holder::new();
    for _ in 0..10 {
        holder.unlock("1h").expect_code(0);
        holder.home.run(&["lock"]).expect_code(0);
    }
    holder.home.run(&["lock"]).expect_code(0);
}

#[test]
fn two_vaults_are_held_and_locked_each_by_itself() {
    let holder = Holder::new();
    let second = holder.home.path("second");
    let second = second.to_str().unwrap();
    holder.home.run(&["--vault-dir", second, "init"]).expect_code(0);
    holder.unlock("1h").expect_code(0);
    holder.home.run(&["--vault-dir", second, "unlock"]).expect_code(0);
    holder.hide_identity();

    holder.home.run(&["lock"]).expect_code(0);

    holder.verify().expect_code(4);
    holder.home.run(&["--vault-dir", second, "verify"]).expect_code(0);
}

#[test]
fn a_program_that_exec_runs_inherits_no_file_and_nothing_that_unlocks() {
    let provider = Provider::start(Config::default());
    let holder = Holder::of(Home::logged_in(&provider));
    holder.unlock("1h").expect_code(0);

    let variables = holder.home.run(&["exec", "work", "--", "env"]).answer();
    let files = holder.home.run(&["exec", "work", "--", "ls", "/proc/self/fd"]).answer();

    assert!(variables.contains("OAUTH_ACCESS_TOKEN="), "{variables}");
    assert!(!variables.contains("VAULT_IDENTITY_FILE"), "{variables}");
    // Whatever runs the tests may have left some open.
    let mut ls = Command::new("ls");
    holder.home.prepare(&mut ls);
    let by_itself = ls.arg("/proc/self/fd").output().unwrap().stdout;
    assert_eq!(files, String::from_utf8(by_itself).unwrap().trim_end());
}

#[test]
fn the_agent_outlives_its_parent_and_shows_nothing() {
    let holder = Holder::new();
    holder.unlock("1h").expect_code(0);

    let agent = PathBuf::from("/proc").join(holder.agent().unwrap());
    let read = |name: &str| String::from_utf8_lossy(&std::fs::read(agent.join(name)).unwrap()).into_owned();

    assert!(!read("cmdline").contains("AGE-SECRET-KEY"));
    let memory = read("status");
    assert!(memory.contains("CoreDumping:\t0"), "{memory}");
    for end in ["0", "1", "2"] {
        assert_eq!(std::fs::read_link(agent.join("fd").join(end)).unwrap(), PathBuf::from("/dev/null"));
    }
}

#[test]
fn a_socket_in_a_place_that_others_may_enter_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let holder = Holder::new();
    holder.unlock("1h").expect_code(0);
    let folder = holder.home.path("run/vault");

    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();

    holder.verify().expect_code(0).expect_said("the agent is not used");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn an_agent_of_another_user_is_not_asked() {
    let Some(python) = outside::program("python3") else { return };
    if !rustix::process::geteuid().is_root() {
        return outside::leave_out("only root can be somebody else");
    }
    let holder = Holder::new();
    std::fs::DirBuilder::new().mode(0o700).create(holder.home.path("run/vault")).unwrap();
    // The kernel notes who listens: the file is ours, the listener is not.
    let script = "import os, socket, sys\n\
                  server = socket.socket(socket.AF_UNIX)\n\
                  server.bind(sys.argv[1])\n\
                  os.setuid(65534)\n\
                  server.listen()\n\
                  print('ready', flush=True)\n\
                  sys.stdin.read()\n";
    let mut stranger = Command::new(python)
        .args(["-c", script])
        .arg(holder.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 5];
    std::io::Read::read_exact(stranger.stdout.as_mut().unwrap(), &mut ready).unwrap();

    let run = holder.verify();
    drop(stranger.stdin.take());
    stranger.wait().unwrap();

    run.expect_code(0).expect_said("another user (65534)");
}

#[test]
fn an_agent_that_says_nothing_is_given_up() {
    let holder = Holder::new();
    std::fs::DirBuilder::new().mode(0o700).create(holder.home.path("run/vault")).unwrap();
    let _silent = UnixListener::bind(holder.socket()).unwrap();

    let start = Instant::now();
    holder.verify().expect_code(0);

    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
