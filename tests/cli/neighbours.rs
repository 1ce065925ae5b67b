//! Other users of the same machine, and other programs of the same user.
//!
//! Only root can be somebody else: elsewhere these tests skip what takes that.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, Run, VAULT};
use crate::outside;
use crate::provider::{Config, Endpoint, Provider};
use crate::scene::Scene;

/// The user `nobody`.
const STRANGER: u32 = 65534;

#[test]
fn a_vault_of_another_user_is_refused_also_by_root() {
    if !is_root() {
        return;
    }
    let scene = Scene::new();
    let asked = scene.provider.count(Endpoint::Token);
    for path in [scene.home.vault_dir(), scene.home.vault_dir().join("profiles"), scene.home.profile("work")]
    {
        chown(&path, Some(STRANGER), None).unwrap();
        let before = scene.home.files("data").len();

        for command in [&["token", "work", "--refresh"][..], &["edit", "work", "--set", "X=account"]] {
            scene
                .home
                .run(command)
                .expect_code(6)
                .expect_said("belongs to another user")
                .expect_said("without sudo");
        }

        assert_eq!(scene.home.files("data").len(), before, "{}", path.display());
        chown(&path, Some(0), None).unwrap();
    }
    assert_eq!(scene.provider.count(Endpoint::Token), asked);
}

#[test]
fn root_makes_no_vault_in_the_home_of_somebody_else() {
    if !is_root() {
        return;
    }
    let home = Home::new();
    chown(home.path(""), Some(STRANGER), None).unwrap();

    for command in [
        &["init"][..],
        &["add-profile", "work", "--client-id", "x", "--client-auth", "none", "--flow", "none"],
    ] {
        home.run(command).expect_code(6).expect_said("belongs to another user").expect_said("without sudo");
    }

    let entries: Vec<_> = fs::read_dir(home.path("")).unwrap().map(|entry| entry.unwrap()).collect();
    let names: Vec<_> = entries.iter().map(|entry| entry.file_name()).collect();
    assert!(names.iter().all(|name| name == "run" || name == "identity.txt"), "{names:?}");
}

#[test]
fn another_user_can_read_nothing_while_it_is_written() {
    if !is_root() {
        return;
    }
    let Some(python) = python_of_everybody() else { return };
    let scene = Scene::new();
    // Everything that the user could have left open, the program must not rely upon.
    for folder in ["", "data", "cache", "state"] {
        fs::set_permissions(scene.home.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let script = "import glob, sys, os\n\
        print('ready', flush=True)\n\
        tries = 0\n\
        while os.getppid() != 1 and not os.path.exists(sys.argv[1] + '/stop'):\n\
        \x20 for name in glob.glob(sys.argv[1] + '/**', recursive=True) + sys.argv[2:]:\n\
        \x20  if os.path.basename(name) in ('', 'data', 'cache', 'state', 'vault'): continue\n\
        \x20  tries += 1\n\
        \x20  try:\n\
        \x20   open(name).close()\n\
        \x20   print('READ', name)\n\
        \x20  except OSError: pass\n\
        print('tries', tries)\n";
    let known: Vec<PathBuf> =
        ["data", "cache", "state"].iter().flat_map(|folder| scene.home.files(folder)).collect();
    let temporary =
        known.iter().flat_map(|path| [".tmp", ".next"].map(|end| format!("{}{end}", path.display())));
    let stranger = as_stranger(&python)
        .args(["-c", script])
        .arg(scene.home.path(""))
        .args(&known)
        .args(temporary)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    for _ in 0..20 {
        open_umask(&scene.home, &["token", "work", "--refresh"]).expect_code(0);
        open_umask(&scene.home, &["edit", "work", "--set", "X=account"]).expect_code(0);
    }
    fs::write(scene.home.path("stop"), "").unwrap();

    let said = String::from_utf8(stranger.wait_with_output().unwrap().stdout).unwrap();
    let tries: usize = said.split("tries ").nth(1).expect(&said).trim().parse().unwrap();
    assert!(tries > 1_000, "{said}");
    let read: Vec<&str> = said.lines().filter(|line| line.starts_with("READ")).collect();
    let ours =
        |line: &&&str| ["identity.txt", "stop", ".secret", "api-key"].iter().all(|own| !line.contains(own));
    assert_eq!(read.iter().filter(ours).count(), 0, "{read:?}");
}

#[test]
fn every_file_is_private_in_the_very_call_that_makes_it() {
    if !outside::have(&["strace"]) {
        return;
    }
    let scene = Scene::new();
    let trace = scene.home.path("trace");
    let mut makes = Vec::new();
    let commands: [&[&str]; 4] = [
        &["token", "work", "--refresh"],
        &["rename", "work", "new"],
        &["--vault-dir", "second", "init"],
        &["unlock", "--for", "1s"],
    ];
    for arguments in commands {
        let mut command = Command::new("sh");
        scene.home.prepare(&mut command);
        command.args(["-c", "umask 000; exec strace -f -qq -e trace=openat,open,creat,mkdir,mkdirat,chmod,fchmod,fchmodat,bind -o \"$@\"", "sh"]);
        command.arg(&trace).arg(VAULT).args(arguments);
        Run::of(arguments, command.output().unwrap()).expect_code(0);
        makes.extend(fs::read_to_string(&trace).unwrap().lines().map(str::to_owned));
    }

    let made: Vec<&String> = makes
        .iter()
        .filter(|line| line.contains("O_CREAT") || line.contains("mkdir"))
        .filter(|line| !line.contains("EEXIST"))
        .collect();
    assert!(made.len() > 10, "{made:#?}");
    for line in made {
        let private = if line.contains("mkdir") { ", 0700)" } else { ", 0600)" };
        assert!(line.contains(private), "{line}");
        assert!(line.contains("mkdir") || line.contains("O_NOFOLLOW"), "{line}");
        assert!(line.contains("/vault-test-"), "outside of the user's own directories: {line}");
    }
    // A socket has the mode that the umask leaves; nobody else comes into its folder.
    let later = makes.iter().filter(|line| line.contains("chmod") && !line.contains("/run/vault/agent\""));
    let later: Vec<&String> = later.collect();
    assert!(later.is_empty(), "made first, closed later: {later:?}");
}

#[test]
fn links_at_the_names_of_temporary_files_lead_nowhere() {
    let scene = Scene::new();
    let home = &scene.home;
    let victim = home.write("victim", "as it was");
    let id = crate::scene::read(&home.profile("work"))["id"].as_str().unwrap().to_owned();
    let vault = fs::read_dir(home.path("state/vault")).unwrap().map(|entry| entry.unwrap().path());
    let vault = vault.filter(|path| path.is_dir()).max_by_key(|path| path.as_os_str().len()).unwrap();
    let mut planted = Vec::new();
    for path in ["data", "cache", "state"].iter().flat_map(|folder| home.files(folder)) {
        for end in [".tmp", ".next"] {
            planted.push(PathBuf::from(format!("{}{end}", path.display())));
        }
    }
    planted.push(vault.join("next/profile-work.json"));
    planted.push(vault.join(format!("marks/{id}.json.tmp")));
    fs::create_dir_all(vault.join("next")).unwrap();
    planted.retain(|path| symlink(&victim, path).is_ok());
    assert!(planted.len() > 15, "{planted:?}");

    // Some refuse, some take the link away: none writes to where it leads.
    for arguments in [
        &["token", "work", "--refresh"][..],
        &["edit", "work", "--set", "X=account"],
        &["rename", "other", "third"],
        &["use", "work"],
        &["verify", "--accept-rollback"],
    ] {
        let run = home.run(arguments);
        assert!([0, 6, 10].contains(&run.code), "{arguments:?}: {}", run.stderr);
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "as it was");
    assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn another_program_of_the_user_cannot_look_into_a_process_that_waits() {
    let Some(python) = python_of_everybody() else { return };
    let provider = Provider::start(Config::default());
    let nobody = Nobody::new(&provider);
    let (mut login, url) = nobody.start_login();

    let script = "import os, sys, ctypes\n\
        pid = int(sys.argv[1])\n\
        for name in ('mem', 'environ', 'maps'):\n\
        \x20try:\n\
        \x20 open(f'/proc/{pid}/{name}', 'rb').read(1)\n\
        \x20 print('READ', name)\n\
        \x20except OSError as error: print('refused', name)\n\
        attached = ctypes.CDLL(None, use_errno=True).ptrace(16, pid, 0, 0)\n\
        print('ATTACHED' if attached == 0 else 'refused ptrace')\n";
    let look = |pid: u32| {
        let mut command = nobody.as_them(&python);
        let output = command.args(["-c", script, &pid.to_string()]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut ordinary = nobody.as_them(Path::new("sleep")).arg("600").spawn().unwrap();
    let control = look(ordinary.id());
    ordinary.kill().unwrap();
    ordinary.wait().unwrap();

    assert_eq!(look(login.id()), "refused mem\nrefused environ\nrefused maps\nrefused ptrace\n");
    assert!(control.contains("READ environ"), "the same look at another process succeeds: {control}");
    let environ = fs::metadata(format!("/proc/{}/environ", login.id())).unwrap();
    assert_eq!(environ.uid(), 0);

    let answered = crate::provider::browser::consent(&url).unwrap();
    assert_eq!(answered.status, 200);
    assert!(login.wait().unwrap().success());
}

#[test]
fn programs_that_lie_in_the_working_directory_are_not_run() {
    let provider = Provider::start(Config::default());
    let mut home = Home::logged_in(&provider);
    let folder = home.path("downloads");
    fs::create_dir(&folder).unwrap();
    let marker = home.path("was-run");
    for name in
        ["xdg-open", "gio", "gnome-open", "kde-open", "wslview", "age-plugin-evil", "sh", "dbus-launch"]
    {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name} >>{}\n", marker.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let evil = age::plugin::Identity::default_for_plugin("evil").unwrap();
    let plugin = home.write("plugin.txt", format!("{evil}\n"));
    home.set("DISPLAY", ":99");
    let run = |home: &Home, arguments: &[&str]| {
        let output = home.command(arguments).current_dir(&folder).output().unwrap();
        Run::of(arguments, output)
    };

    run(&home, &["login", "work", "--timeout", "1s"]).expect_code(12);
    home.set("VAULT_IDENTITY_FILE", plugin.to_str().unwrap());
    run(&home, &["init", "--vault-dir", "other", "--identity", plugin.to_str().unwrap()]).expect_code(4);

    assert!(!marker.exists(), "{}", fs::read_to_string(&marker).unwrap());
}

#[test]
fn a_process_that_is_made_to_crash_leaves_no_core() {
    let provider = Provider::start(Config::default());
    let nobody = Nobody::new(&provider);
    let (mut login, _) = nobody.start_login();

    kill_process(Pid::from_child(&login), Signal::ABORT).unwrap();
    let status = login.wait().unwrap();

    use std::os::unix::process::ExitStatusExt;
    assert_eq!(status.signal(), Some(6), "{status:?}");
    assert!(!status.core_dumped());
    let cores: Vec<_> = fs::read_dir(nobody.home.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("core"))
        .collect();
    assert!(cores.is_empty(), "{cores:?}");
}

/// A user who is not root, whoever runs the tests, with a profile `work`.
struct Nobody {
    home: Home,
    program: PathBuf,
}

impl Nobody {
    fn new(provider: &Provider) -> Self {
        let home = Home::logged_in(provider);
        if !rustix::process::geteuid().is_root() {
            return Self { home, program: VAULT.into() };
        }
        // The folder of the build may be one that only root can enter.
        let program = home.path("vault-program");
        fs::copy(VAULT, &program).unwrap();
        give_away(&home.path(""));
        Self { home, program }
    }

    fn as_them(&self, program: &Path) -> Command {
        let is_root = rustix::process::geteuid().is_root();
        let mut command = if is_root { as_stranger(program) } else { Command::new(program) };
        self.home.prepare(&mut command);
        command
    }

    /// A login that waits for the browser, and where that must go.
    fn start_login(&self) -> (Child, String) {
        use std::io::BufRead;
        let mut command = self.as_them(Path::new("sh"));
        command.args(["-c", "ulimit -c unlimited; exec \"$0\" login work --no-browser"]).arg(&self.program);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines.find_map(|line| {
            let line = line.unwrap();
            line.contains("response_type=code").then(|| line.trim().to_owned())
        });
        std::thread::spawn(move || lines.for_each(drop));
        (child, url.expect("it shows the address"))
    }
}

/// `program`, run by `nobody`.
fn as_stranger(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

/// A Python that is not in the home of the person who runs the tests.
fn python_of_everybody() -> Option<PathBuf> {
    let system = PathBuf::from("/usr/bin/python3");
    if system.exists() { Some(system) } else { outside::program("python3") }
}

/// A Python that another user runs, if there can be one here.
pub fn python_of_a_stranger() -> Option<Command> {
    if !is_root() {
        return None;
    }
    python_of_everybody().map(|python| as_stranger(&python))
}

/// A program of the system that another user runs, if there can be one here.
pub fn as_a_stranger(name: &str) -> Option<Command> {
    if !is_root() {
        return None;
    }
    outside::program(name).map(|program| as_stranger(&program))
}

fn give_away(path: &Path) {
    chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        outside::leave_out("only root can be somebody else");
    }
    is_root
}

/// Runs the program where new files are open to everybody unless it says otherwise.
fn open_umask(home: &Home, arguments: &[&str]) -> Run {
    let mut command = Command::new("sh");
    home.prepare(&mut command);
    command.args(["-c", "umask 000; exec \"$0\" \"$@\"", VAULT]).args(arguments);
    Run::of(arguments, command.output().unwrap())
}
