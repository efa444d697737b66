//! A Postgres server of a test's own.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// Waits for the end of its standard input, which its test holds open, and then stops the server and removes its folder.
const WATCH: &str = "\"$1\" -D \"$2/data\" -k \"$2\" -c listen_addresses= >>\"$2/log\" 2>&1 & server=$!
    echo $server >\"$2/server\"
    cat >/dev/null
    kill -INT $server; wait $server
    [ -e \"$2/keep\" ] || rm -rf \"$2\"";

/// It listens on a socket in its folder only, and ends with the test's process.
pub(crate) struct Server {
    programs: PathBuf,
    home: PathBuf,
    /// Postgres refuses to run as root.
    user: Option<(u32, u32)>,
    watch: Mutex<Option<(Child, ChildStdin)>>,
}

impl Server {
    /// `None`, with a word, where Postgres is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: Postgres is not installed; apt-get install postgresql does it");
            return None;
        };
        let home = tempfile::Builder::new().prefix("blindroute-postgres-").tempdir().unwrap().keep();
        let user = unprivileged(&home);
        if let Some((user, group)) = user {
            chown(&home, Some(user), Some(group)).unwrap();
        }
        let server = Self { programs, home, user, watch: Mutex::new(None) };
        let made = server
            .command("initdb")
            .args(["-A", "trust", "-U", "tester", "-N", "-D"])
            .arg(server.home.join("data"))
            .output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run();
        Some(server)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        self.as_user(&mut command);
        command
    }

    fn as_user(&self, command: &mut Command) {
        command.current_dir(&self.home);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn run(&self) {
        let mut command = Command::new("sh");
        self.as_user(&mut command);
        command.args(["-c", WATCH, "watch"]).arg(self.programs.join("postgres")).arg(&self.home);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        *self.watch.lock().unwrap() = Some((child, stdin));
        for _ in 0..600 {
            if self.try_sql("SELECT 1") {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("Postgres does not start: {}", std::fs::read_to_string(self.home.join("log")).unwrap_or_default());
    }

    /// Ends the server and all of its processes at once, as a failure of the machine does.
    pub(crate) fn kill(&self) {
        std::fs::write(self.home.join("keep"), b"").unwrap();
        let server = std::fs::read_to_string(self.home.join("server")).unwrap().trim().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap_or_default();
        let killed = Command::new("kill").arg("-9").arg(&server).args(children.split_whitespace()).status().unwrap();
        assert!(killed.success());
        if let Some((mut child, stdin)) = self.watch.lock().unwrap().take() {
            drop(stdin);
            child.wait().unwrap();
        }
        std::fs::remove_file(self.home.join("keep")).unwrap();
        std::fs::remove_file(self.home.join("data/postmaster.pid")).ok();
    }

    pub(crate) fn address(&self) -> String {
        format!("postgres://tester@/postgres?host={}", self.home.display())
    }

    pub(crate) fn sql(&self, statements: &str) {
        assert!(self.try_sql(statements), "{statements}");
    }

    fn try_sql(&self, statements: &str) -> bool {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.arg("-q").arg("-v").arg("ON_ERROR_STOP=1").arg("-h").arg(&self.home).args(["-U", "tester", "postgres"]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
        child.wait_with_output().unwrap().status.success()
    }
}

/// Those of the newest version.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    std::env::split_paths(&path)
        .chain(folders.into_iter().rev())
        .find(|folder| ["postgres", "initdb", "psql"].iter().all(|program| folder.join(program).is_file()))
}

/// The user to run as: nobody in particular if the tests run as root.
fn unprivileged(home: &Path) -> Option<(u32, u32)> {
    if std::fs::metadata(home).unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":x:"))?;
        let mut numbers = line.split(':').map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    of("postgres").or_else(|| of("nobody"))
}
