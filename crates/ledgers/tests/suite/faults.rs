//! Processes that are killed, and disks that fail, with a process of its own for the ledger.

use crate::places::{Place, file};
use crate::{claim, is_used, session};
use blindroute_ledgers::SqliteLedger;
use blindroute_runtime::clients::{Asked, Asking, ClientKey, Limits};
use blindroute_runtime::ledger::KEPT;
use blindroute_runtime::{FileLedger, Ledger, Role};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

const KIND: &str = "LEDGER_KIND";
const HOME: &str = "LEDGER_HOME";
/// Fails each sync while the file that `SYNC_FAILS` names exists.
const FAILING_SYNC: &str = "
    #define _GNU_SOURCE
    #include <errno.h>
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static int fails(void) { const char *path = getenv(\"SYNC_FAILS\"); return path && access(path, F_OK) == 0; }
    int fsync(int file) { if (fails()) { errno = EIO; return -1; } return syscall(SYS_fsync, file); }
    int fdatasync(int file) { if (fails()) { errno = EIO; return -1; } return syscall(SYS_fdatasync, file); }
";

/// Not a test by itself: what the processes of the others do. For each number on standard input it claims that session, for "count"
/// it counts a client, for another word it checks the ledger, and says how that went.
#[test]
fn the_other_process() {
    let (Ok(kind), Ok(home)) = (std::env::var(KIND), std::env::var(HOME)) else { return };
    let home = Path::new(&home);
    let ledger: Arc<dyn Ledger> = if kind == "folder" {
        Arc::new(FileLedger::open(home).unwrap())
    } else {
        Arc::new(SqliteLedger::open(&file(home), "server0", KEPT).unwrap())
    };
    let say = |text: &str| {
        // Not by `println`, which the harness keeps for itself.
        let mut out = std::io::stdout();
        out.write_all(format!("\n> {text}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
    };
    say("open");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let said = match line.parse() {
            Ok(number) => ledger.claim(session(number), None).map(|_| "claimed").map_err(|error| error.to_string()),
            Err(_) if line == "count" => counted(&ledger),
            Err(_) => ledger.check().map(|()| "good").map_err(|error| error.to_string()),
        };
        say(said.unwrap_or_else(|error| error.leak()));
    }
}

/// Counts a client beside a ledger in a database.
fn counted(ledger: &Arc<dyn Ledger>) -> Result<&'static str, String> {
    let accounts = Arc::clone(ledger).accounts(Role::Server0).unwrap();
    let limits = Limits { routes_per_day: 100, routes_per_minute: 100 };
    let told = accounts.admit(
        ClientKey::of("clinic"),
        Asking { asked: Asked { routes: 1, bits: 0.0 }, limits, now: SystemTime::now() },
    );
    told.map(|told| told.map_or("refused", |_| "counted")).map_err(|error| error.to_string())
}

/// That process.
struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(place: &Place, mut command: Command) -> Self {
        let (kind, home) = match place {
            Place::Folder(home) => ("folder", home),
            Place::Sqlite(home) => ("sqlite", home),
            Place::Postgres(..) => panic!("the server writes, not this process"),
        };
        command.env(KIND, kind).env(HOME, home.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut other = Self { child, input, output };
        assert_eq!(other.answer(), "open");
        other
    }

    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the other process ended");
            if let Some(answer) = line.strip_prefix("> ") {
                return answer.trim_end().to_owned();
            }
        }
    }

    fn say(&mut self, word: &str) -> String {
        writeln!(self.input, "{word}").unwrap();
        self.answer()
    }

    fn claim(&mut self, number: u64) -> String {
        self.say(&number.to_string())
    }

    fn check(&mut self) -> String {
        self.say("check")
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The same program, doing the part of the other process, behind `sh -c BEFORE`.
fn program(before: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" --exact faults::the_other_process --nocapture"));
    command.arg(std::env::current_exe().unwrap());
    command
}

#[test]
fn case_01_a_process_that_is_killed_after_a_claim_has_claimed_it() {
    for place in ["folder", "sqlite"].map(Place::of) {
        for round in 0..3 {
            let mut other = Other::start(&place, program(""));
            assert_eq!(other.claim(round), "claimed");
            other.kill();
        }
        let ledger = place.open().unwrap();
        assert!((0..3).all(|number| is_used(&*ledger, number)));
        assert_eq!((ledger.standing().term, claim(&*ledger, 3)), (4, 4));
    }
}

#[test]
fn case_40_a_full_disk_closes_the_ledger_until_a_restart_and_nothing_is_reused() {
    // In blocks of 512 bytes: the size of the largest file. The signal of a file that gets larger is ignored.
    for (place, blocks) in [(Place::of("folder"), 40), (Place::of("sqlite"), 1024)] {
        let mut other = Other::start(&place, program(&format!("ulimit -f {blocks}; trap '' XFSZ;")));
        let claimed = (0..).take_while(|number| other.claim(*number) == "claimed").count() as u64;
        assert!(claimed > 10, "{claimed}");
        let error = other.claim(claimed + 1);
        assert!(error.contains("stopped after a failed write") && error.contains("restart"), "{error}");
        assert_eq!(other.check(), error);
        other.kill();
        closed_and_recovered(&place, claimed);
    }
}

#[test]
fn case_40_a_sync_that_fails_closes_the_ledger_until_a_restart_and_nothing_is_reused() {
    let home = tempfile::tempdir().unwrap();
    let (source, library, fails) = (home.path().join("sync.c"), home.path().join("sync.so"), home.path().join("fails"));
    std::fs::write(&source, FAILING_SYNC).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: there is no C compiler cc for a library whose syncs fail");
    }
    // What is written first then: a claim, or what a client asks for, which is in the same file.
    for (kind, first) in [("folder", "5"), ("sqlite", "5"), ("sqlite", "count")] {
        let (place, mut command) = (Place::of(kind), program(""));
        command.env("LD_PRELOAD", &library).env("SYNC_FAILS", &fails);
        let mut other = Other::start(&place, command);
        assert!((0..5).all(|number| other.claim(number) == "claimed"));
        assert_eq!(other.check(), "good");
        if kind == "sqlite" {
            assert_eq!(other.say("count"), "counted");
        }
        std::fs::write(&fails, b"").unwrap();
        let error = other.say(first);
        assert!(error.contains("failed"), "{error}");
        // It works again, but what was written in between may be lost.
        std::fs::remove_file(&fails).unwrap();
        let error = other.claim(6);
        assert!(error.contains("stopped after a failed write"), "{error}");
        assert_eq!(other.check(), error);
        other.kill();
        closed_and_recovered(&place, 5);
    }
}

/// All that was claimed is refused, and the rest can be claimed once.
fn closed_and_recovered(place: &Place, claimed: u64) {
    let ledger = place.open().unwrap();
    assert!((0..claimed).all(|number| is_used(&*ledger, number)));
    // The claim that failed may be on disk.
    ledger.claim(session(claimed), None).ok();
    claim(&*ledger, claimed + 1);
    assert!(is_used(&*ledger, claimed) && is_used(&*ledger, claimed + 1));
}
