//! Accounts of clients, which the lanes of one operator share.

use crate::places::{Place, file, target};
use crate::server::Server;
use blindroute_ledgers::{PostgresLedger, SqliteLedger};
use blindroute_runtime::clients::{Account, Accounts, Asked, Asking, ClientKey, ClientsError, Counts, Limits, Refusal};
use blindroute_runtime::ledger::KEPT;
use blindroute_runtime::{Ledger, LedgerError, Role};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMITS: Limits = Limits { routes_per_day: 10, routes_per_minute: 8 };

const ONE: Asked = Asked { routes: 1, bits: 0.0 };

/// A database of a test's own, since others end all connections.
enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(Server),
}

impl Database {
    fn each(test: impl Fn(&Self)) {
        eprintln!("with sqlite");
        test(&Self::Sqlite(tempfile::tempdir().unwrap()));
        if let Some(server) = Server::start() {
            eprintln!("with postgres");
            test(&Self::Postgres(server));
        }
    }

    /// The accounts of a role beside the ledger of a lane, which is held as long as they are.
    fn accounts(&self, name: &str, role: Role) -> Arc<dyn Accounts> {
        let ledger: Arc<dyn Ledger> = match self {
            Self::Sqlite(home) => Arc::new(SqliteLedger::open(&file(home.path()), name, KEPT).unwrap()),
            Self::Postgres(server) => Arc::new(PostgresLedger::open(target(server), name, KEPT).unwrap()),
        };
        ledger.accounts(role).unwrap()
    }

    fn look(&self, role: Role, clients: &[ClientKey]) -> Result<Vec<Account>, LedgerError> {
        match self {
            Self::Sqlite(home) => SqliteLedger::accounts_in(&file(home.path()), role, clients),
            Self::Postgres(server) => PostgresLedger::accounts_in(&target(server), role, clients),
        }
    }

    fn change(&self, statement: &str) {
        match self {
            Self::Sqlite(home) => {
                let connection = rusqlite::Connection::open(file(home.path())).unwrap();
                connection.execute(&format!("UPDATE clients SET {statement}"), []).map(drop).unwrap();
            }
            Self::Postgres(server) => server.sql(&format!("UPDATE blindroute_clients SET {statement}")),
        }
    }
}

fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(20_000 * 24 * 3600 + 12 * 3600)
}

fn ask(accounts: &dyn Accounts, name: &str, routes: u32, seconds: u64) -> Result<Counts, Refusal> {
    let (asked, now) = (Asked { routes, bits: 2.5 }, noon() + Duration::from_secs(seconds));
    accounts
        .admit(ClientKey::of(name), Asking { asked, limits: LIMITS, now })
        .unwrap()
        .map(|account| account.counts(now))
}

#[test]
fn lanes_count_a_client_together_and_other_roles_and_clients_apart() {
    Database::each(|database| {
        assert_eq!(database.look(Role::Server0, &[ClientKey::of("clinic")]).unwrap(), [Account::default()]);
        let [one, two] = ["lane-0", "lane-1"].map(|lane| database.accounts(lane, Role::Server0));
        let other = database.accounts("lane-0-of-server1", Role::Server1);
        assert_eq!(ask(&*one, "clinic", 5, 0), Ok(Counts { today: 5, ever: 5, bits: 2.5 }));
        assert_eq!(ask(&*two, "clinic", 4, 0), Err(Refusal::Minute), "3 of 8 are left");
        assert_eq!(ask(&*two, "clinic", 4, 10), Ok(Counts { today: 9, ever: 9, bits: 5.0 }));
        assert_eq!(ask(&*one, "clinic", 2, 60), Err(Refusal::Day));
        assert_eq!(ask(&*one, "clinic", 1, 60), Ok(Counts { today: 10, ever: 10, bits: 7.5 }));
        assert_eq!(ask(&*two, "clinic", 1, 24 * 3600), Ok(Counts { today: 1, ever: 11, bits: 10.0 }));
        assert_eq!(ask(&*two, "bank", 8, 0), Ok(Counts { today: 8, ever: 8, bits: 2.5 }));
        assert_eq!(ask(&*other, "clinic", 8, 0), Ok(Counts { today: 8, ever: 8, bits: 2.5 }));
        let told = |role| {
            let accounts = database.look(role, &["clinic", "bank", "nobody"].map(ClientKey::of)).unwrap();
            accounts.iter().map(|account| account.counts(noon()).ever).collect::<Vec<_>>()
        };
        assert_eq!((told(Role::Server0), told(Role::Server1)), (vec![11, 8, 0], vec![8, 0, 0]));
        assert_eq!(one.of(ClientKey::of("bank")).unwrap().counts(noon()).today, 8);
        // They outlive the processes.
        drop((one, two));
        let again = database.accounts("lane-0", Role::Server0);
        assert_eq!(ask(&*again, "bank", 3, 60), Err(Refusal::Day));
    });
}

#[test]
fn of_many_threads_in_two_lanes_no_more_are_admitted_than_may_be() {
    Database::each(|database| {
        let lanes = ["lane-0", "lane-1"].map(|lane| database.accounts(lane, Role::Server1));
        let limits = Limits { routes_per_day: 60, routes_per_minute: 1000 };
        let admitted: usize = std::thread::scope(|scope| {
            let one = |thread: usize| {
                let (accounts, client) = (Arc::clone(&lanes[thread % 2]), ClientKey::of("clinic"));
                let ask = move |_| accounts.admit(client, Asking { asked: ONE, limits, now: noon() }).unwrap().is_ok();
                scope.spawn(move || (0..20).map(ask).filter(|admitted| *admitted).count())
            };
            let threads: Vec<_> = (0..6).map(one).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 60);
        assert_eq!(lanes[0].of(ClientKey::of("clinic")).unwrap().counts(noon()).ever, 60);
    });
}

#[test]
fn an_account_that_is_none_of_ours_lets_nobody_in() {
    Database::each(|database| {
        let accounts = database.accounts("lane-0", Role::Server0);
        ask(&*accounts, "clinic", 1, 0).unwrap();
        database.change(if matches!(database, Database::Sqlite(_)) { "account = x'00'" } else { "account = '\\x00'" });
        let client = ClientKey::of("clinic");
        let errors = [
            accounts.admit(client, Asking { asked: ONE, limits: LIMITS, now: noon() }).unwrap_err().to_string(),
            accounts.of(client).unwrap_err().to_string(),
            database.look(Role::Server0, &[client]).unwrap_err().to_string(),
        ];
        assert!(errors.iter().all(|error| error.contains("remove its row")), "{errors:?}");
        assert!(ask(&*accounts, "bank", 1, 0).is_ok());
    });
}

#[test]
fn a_database_that_is_away_admits_nobody_until_it_is_back() {
    let Some(server) = Server::start() else { return };
    let database = Database::Postgres(server);
    let Database::Postgres(server) = &database else { return };
    let accounts = database.accounts("lane-0", Role::Server0);
    ask(&*accounts, "clinic", 8, 0).unwrap();
    server.kill();
    let told = accounts.admit(ClientKey::of("clinic"), Asking { asked: ONE, limits: LIMITS, now: noon() });
    assert!(matches!(told, Err(ClientsError::Accounts(_))), "{told:?}");
    server.run();
    // What was admitted is still counted.
    assert_eq!(ask(&*accounts, "clinic", 3, 60), Err(Refusal::Day));
    assert_eq!(ask(&*accounts, "clinic", 2, 60), Ok(Counts { today: 10, ever: 10, bits: 5.0 }));
}

#[test]
fn a_ledger_in_a_folder_has_no_accounts() {
    assert!(Place::of("folder").open().unwrap().accounts(Role::Server0).is_none());
}
