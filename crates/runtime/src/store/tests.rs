use super::sealed::{CHUNK, SealedReader, SealedWriter, StreamKey, TAG, sealed_length};
use super::*;
use crate::ledger::{FileLedger, Ledger};
use crate::messages::{EpochId, LedgerId, MaterialGrant, Standing, TermNonce, WireSeed};
use std::io::{Read as _, Write as _};

const KIND: Kind = Kind { version: 10, deployment: Digest([2; 32]), request: Digest([4; 32]) };
const OTHER: Kind = Kind { request: Digest([5; 32]), ..KIND };

/// A store, and the ledger of its server.
struct Home {
    folder: tempfile::TempDir,
    ledger: FileLedger,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = FileLedger::open(&folder.path().join("state")).unwrap();
        Self { folder, ledger }
    }

    fn options(&self, bytes: u64) -> StoreOptions {
        let at = |name: &str| self.folder.path().join(name);
        StoreOptions { folder: at("store"), key: at("store.key"), bytes }
    }

    fn open(&self) -> Arc<Store> {
        Store::open(&self.options(10 << 20), Role::Server0).unwrap()
    }

    fn standing(&self) -> Standing {
        self.ledger.claim(SessionId::generate().unwrap(), None).unwrap().standing()
    }

    fn fill(&self, store: &Arc<Store>, session: u8, kind: Kind) {
        finished(store, session, kind, self.standing()).unwrap().enter();
    }

    fn claim(&self, session: u8) -> Claim {
        self.ledger.claim(use_of(id(session)), None).unwrap()
    }

    /// The files of the store but for those that are always there.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.options(0).folder).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != "lock" && name != MADE_UNDER).collect();
        names.sort();
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.options(0).folder.join(name)
    }
}

fn id(session: u8) -> SessionId {
    SessionId([session; 16])
}

/// Two chunks and a bit.
fn material(session: u8) -> Vec<u8> {
    (0..2 * CHUNK + 77).map(|place| (place * 31) as u8 ^ session).collect()
}

fn finished(store: &Arc<Store>, session: u8, kind: Kind, standing: Standing) -> Result<Stored, StoreError> {
    let mut filling = store.begin(id(session), kind.deployment)?;
    for piece in material(session).chunks(1000) {
        filling.write(piece)?;
    }
    let seeds = (0..4).map(|seed| WireSeed::new([100 + seed; 32])).collect();
    filling.finish(kind, standing, MaterialGrant { session: id(session), epoch: EpochId([3; 16]), seeds })
}

fn read(reader: &mut impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.read_to_end(&mut out).map(|_| out)
}

#[test]
fn what_is_stored_comes_back_once_and_survives_a_restart() {
    let home = Home::new();
    let store = home.open();
    (1..=3).for_each(|session| home.fill(&store, session, if session == 2 { OTHER } else { KIND }));
    let figures = store.figures();
    let on_disk = home.files().iter().map(|name| fs::metadata(home.path(name)).unwrap().len()).sum::<u64>();
    assert_eq!((figures.sessions, figures.bytes, figures.filled), (3, on_disk, 3));
    drop(store);
    let store = home.open();
    assert_eq!(store.figures(), StoreFigures { filled: 0, ..figures });
    assert_eq!((store.count(&KIND), store.count(&OTHER)), (2, 1));
    assert_eq!(store.sessions(), [id(1), id(2), id(3)]);

    let reserved = store.reserve(&KIND).unwrap();
    assert_eq!((reserved.label().session, store.count(&KIND)), (id(1), 1), "the oldest, and nobody else gets it");
    drop(reserved);
    let reserved = store.reserve(&KIND).unwrap();
    let mut taken = reserved.open(&home.claim(1)).unwrap();
    assert_eq!(home.files(), ["2.key", "2.material", "3.key", "3.material"], "its files are gone before it is read");
    assert_eq!((taken.label.kind, taken.grant.session, taken.grant.seeds.len()), (KIND, id(1), 4));
    assert_eq!(taken.grant.seeds[3].expose(), &[103; 32]);
    assert!(read(&mut taken.material).unwrap() == material(1));
    let held = store.figures().bytes;
    taken.material.finish().unwrap();
    assert!(store.figures().bytes < held, "its room is free once it was read");
    assert!(store.reserve_session(&KIND, id(2)).is_none(), "it is of another kind");
    assert!(store.reserve_session(&KIND, id(1)).is_none(), "it was used");
    drop(store);
    let store = home.open();
    assert_eq!(store.sessions(), [id(2), id(3)]);
    assert_eq!(store.keep(|label| label.session == id(2)), 1);
    assert_eq!(home.files(), ["2.key", "2.material"]);
}

#[test]
fn a_chunk_that_is_altered_truncated_exchanged_or_bound_to_something_else_does_not_open() {
    let (key, other) = (StreamKey::new(&[1; 32]), StreamKey::new(&[2; 32]));
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5] {
        let plain = &material(1).repeat(2)[..length];
        let mut writer = SealedWriter::new(Vec::new(), &key, b"bound".to_vec());
        plain.chunks(777).for_each(|piece| writer.write_all(piece).unwrap());
        let (sealed, counted) = writer.finish().unwrap();
        assert_eq!((counted, sealed.len() as u64), (length as u64, sealed_length(length as u64)));
        let open = |sealed: &[u8], key: &StreamKey, bound: &[u8], length: usize| {
            let mut reader = SealedReader::new(std::io::Cursor::new(sealed), key, bound.to_vec(), length as u64);
            read(&mut reader)
                .and_then(|read| if reader.is_at_end()? { Ok(read) } else { Err(io::ErrorKind::Other.into()) })
        };
        assert!(open(&sealed, &key, b"bound", length).unwrap() == plain);
        assert!(open(&sealed, &other, b"bound", length).is_err(), "another key");
        assert!(open(&sealed, &key, b"other", length).is_err(), "bound to something else");
        for at in (0..sealed.len()).step_by(997).chain([sealed.len() - 1]) {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(open(&altered, &key, b"bound", length).is_err(), "byte {at} of {length}");
        }
        let whole = CHUNK + TAG;
        if length >= 2 * CHUNK {
            let mut exchanged = sealed.clone();
            exchanged[..2 * whole].rotate_left(whole);
            assert!(open(&exchanged, &key, b"bound", length).is_err(), "two chunks exchanged");
            // Without its last chunk, whatever length is claimed.
            let last = (sealed.len() - 1) / whole * whole;
            assert!(open(&sealed[..last], &key, b"bound", length).is_err());
            assert!(
                open(&sealed[..last], &key, b"bound", last / whole * CHUNK).is_err(),
                "a chunk that was not the last"
            );
            let repeated = [&sealed[..whole], &sealed[..]].concat();
            assert!(open(&repeated, &key, b"bound", length + CHUNK).is_err(), "a chunk twice");
        }
        if length > 0 {
            let mut reader = SealedReader::new(sealed.as_slice(), &key, b"bound".to_vec(), length as u64);
            reader.read_exact(&mut vec![0; length - 1]).unwrap();
            assert!(!reader.is_at_end().unwrap(), "a byte is left");
        }
    }
}

#[test]
fn material_is_bound_to_its_session_deployment_and_position() {
    let bounds = [
        label::bound_of(id(1), KIND.deployment, 0),
        label::bound_of(id(2), KIND.deployment, 0),
        label::bound_of(id(1), Digest([9; 32]), 0),
        label::bound_of(id(1), KIND.deployment, 1),
    ];
    for (place, bound) in bounds.iter().enumerate() {
        assert!(bounds[..place].iter().all(|other| other != bound), "{place}");
    }
}

#[test]
fn a_damaged_session_is_dropped_and_the_others_stay() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 5] = [
        ("2.key", |path| alter(path, 40)),
        ("2.key", |path| fs::write(path, [0; 400]).unwrap()),
        ("2.key", |path| assert!(fs::copy(path.with_file_name("1.key"), path).is_ok())),
        ("2.material", |path| fs::write(path, [0; 400]).unwrap()),
        ("2.material", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, damage) in damage {
        let home = Home::new();
        let store = home.open();
        (1..=3).for_each(|session| home.fill(&store, session, KIND));
        drop(store);
        damage(&home.path(name));
        let store = home.open();
        assert_eq!((store.sessions(), store.figures().dropped), (vec![id(1), id(3)], 1), "{name}");
        assert_eq!(home.files(), ["1.key", "1.material", "3.key", "3.material"], "{name}");
        drop(store);
    }
    // Of the same length, it is noticed when it is read.
    let home = Home::new();
    let store = home.open();
    home.fill(&store, 1, KIND);
    home.fill(&store, 2, KIND);
    alter(&home.path("1.material"), CHUNK + TAG + 5);
    let mut taken = store.reserve(&KIND).unwrap().open(&home.claim(1)).unwrap();
    assert_eq!(read(&mut taken.material).unwrap_err().kind(), io::ErrorKind::InvalidData);
    // The material of one session under the keys of another one.
    fs::copy(home.path("2.material"), home.path("1.material")).unwrap();
    home.fill(&store, 3, KIND);
    fs::copy(home.path("3.material"), home.path("2.material")).unwrap();
    let mut taken = store.reserve_session(&KIND, id(2)).unwrap().open(&home.claim(2)).unwrap();
    assert_eq!(read(&mut taken.material).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

fn alter(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn whatever_a_crash_leaves_is_removed_and_what_was_whole_stays() {
    let home = Home::new();
    let store = home.open();
    (1..=4).for_each(|session| home.fill(&store, session, KIND));
    // While it was stored: before its keys, and while these were written.
    let mut filling = store.begin(id(9), KIND.deployment).unwrap();
    filling.write(&[1; 3 * CHUNK]).unwrap();
    let unfinished = fs::read(home.path("5.material")).unwrap();
    assert!(unfinished.len() > CHUNK);
    drop(filling);
    assert!(!home.path("5.material").exists(), "what is given up leaves nothing");
    drop(store);
    fs::write(home.path("5.material"), &unfinished).unwrap();
    fs::copy(home.path("4.key"), home.path(".blindroute-0123.partial")).unwrap();
    // While it was used: its keys have their new name, or are gone, and its material is there.
    fs::rename(home.path("1.key"), home.path("1.used")).unwrap();
    fs::remove_file(home.path("2.key")).unwrap();
    let store = home.open();
    assert_eq!((store.sessions(), store.figures().dropped), (vec![id(3), id(4)], 0));
    assert_eq!(home.files(), ["3.key", "3.material", "4.key", "4.material"]);
    let on_disk = home.files().iter().map(|name| fs::metadata(home.path(name)).unwrap().len()).sum::<u64>();
    assert_eq!(store.figures().bytes, on_disk);
    home.fill(&store, 5, KIND);
    assert_eq!(store.sessions(), [id(3), id(4), id(5)]);
}

#[test]
fn the_store_never_grows_over_its_limit() {
    let home = Home::new();
    let one = {
        let store = home.open();
        home.fill(&store, 1, KIND);
        store.figures().bytes
    };
    for room in [0, 1, CHUNK as u64, one - 1] {
        let store = Store::open(&home.options(one + room), Role::Server0).unwrap();
        let error = finished(&store, 2, KIND, home.standing()).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }) && error.is_full(), "{error}");
        assert_eq!((store.figures().bytes, store.sessions()), (one, vec![id(1)]));
        assert_eq!(home.files(), ["1.key", "1.material"]);
    }
    let store = Store::open(&home.options(2 * one), Role::Server0).unwrap();
    home.fill(&store, 2, KIND);
    assert!(store.begin(id(3), KIND.deployment).unwrap_err().is_full());
    drop(store);
    // With less room than before, the newest goes.
    let store = Store::open(&home.options(2 * one - 1), Role::Server0).unwrap();
    assert_eq!((store.sessions(), store.figures().bytes), (vec![id(1)], one));
}

#[test]
fn only_the_claim_of_its_use_opens_it_and_only_while_the_ledger_remembers() {
    let home = Home::new();
    let store = home.open();
    let standing = home.standing();
    let at = |ledger: u8, claimed: u64| Standing {
        ledger: LedgerId([ledger; 16]),
        term: 1,
        nonce: TermNonce([1; 16]),
        claimed,
    };
    let claim = |session: u8, standing| Claim::new(use_of(id(session)), standing);
    let stored = |session, standing| finished(&store, session, KIND, standing).unwrap().enter();
    for (session, claim) in [
        // Of another stored session, of the session itself, of a ledger that was set up anew, that went back, that may have forgotten.
        (1, claim(2, at(7, 11))),
        (2, Claim::new(id(2), at(7, 11))),
        (3, claim(3, at(8, 11))),
        (4, claim(4, at(7, 9))),
        (5, claim(5, at(7, 10 + KEPT))),
    ] {
        stored(session, at(7, 10));
        let error = store.reserve(&KIND).unwrap().open(&claim).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Forgotten), "{session}: {error}");
        assert!(store.sessions().is_empty() && home.files().is_empty(), "{session}");
    }
    stored(6, at(7, 10));
    assert!(store.reserve(&KIND).unwrap().open(&claim(6, at(7, 9 + KEPT))).is_ok());
    // A copy of the folder is refused by the ledger.
    stored(7, standing);
    let [key, material] = ["key", "material"].map(|kind| {
        let name = home.files().into_iter().find(|name| name.ends_with(kind)).unwrap();
        let content = fs::read(home.path(&name)).unwrap();
        (name, content)
    });
    store.reserve(&KIND).unwrap().open(&home.claim(7)).unwrap();
    drop(store);
    [&key, &material].iter().for_each(|(name, content)| fs::write(home.path(name), content).unwrap());
    let store = home.open();
    assert_eq!(store.sessions(), [id(7)]);
    assert!(home.ledger.claim(use_of(id(7)), None).is_err());
    store.reserve(&KIND).unwrap().discard();
    assert!(home.files().is_empty() && store.figures().dropped == 1);
}

#[test]
fn the_key_is_made_kept_apart_and_needed() {
    let home = Home::new();
    let store = home.open();
    home.fill(&store, 1, KIND);
    assert!(matches!(Store::open(&home.options(1 << 20), Role::Server0), Err(StoreError::Locked(_))), "by two");
    drop(store);
    let key = home.options(0).key;
    let bytes = fs::read(&key).unwrap();
    assert_eq!(bytes.len(), 32);
    for name in home.files() {
        let content = fs::read(home.path(&name)).unwrap();
        assert!(!content.windows(32).any(|window| window == bytes || window == [100; 32]), "{name}");
    }
    let refused = |options: &StoreOptions| Store::open(options, Role::Server0).unwrap_err();
    let inside = StoreOptions { key: home.path("store.key"), ..home.options(1 << 20) };
    assert!(matches!(refused(&inside), StoreError::KeyInside { .. }));
    let other = StoreOptions { key: home.folder.path().join("other.key"), ..home.options(1 << 20) };
    assert!(matches!(refused(&other), StoreError::OtherKey { .. }), "its sessions would be lost");
    fs::write(&other.key, [1; 31]).unwrap();
    assert!(matches!(refused(&other), StoreError::NoKey { found: 31, .. }));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files: Vec<u32> = home.files().iter().map(|name| mode(&home.path(name))).collect();
        assert_eq!((mode(&key), mode(&home.options(0).folder), files), (0o600, 0o700, vec![0o600; 2]));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(refused(&home.options(1 << 20)), StoreError::KeyIsOpen { .. }));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    // The other position's store is another one, though all else is the same.
    let store = Store::open(&home.options(10 << 20), Role::Server1).unwrap();
    assert!(store.sessions().is_empty() && store.figures().dropped == 1);
}

#[test]
fn nothing_secret_prints() {
    let home = Home::new();
    let store = home.open();
    home.fill(&store, 1, KIND);
    let (filling, reserved) = (store.begin(id(2), KIND.deployment).unwrap(), store.reserve(&KIND).unwrap());
    let shown = format!("{store:?} {filling:?} {reserved:?}");
    let taken = reserved.open(&home.claim(1)).unwrap();
    let shown = format!("{shown} {:?} {:?}", taken, taken.material);
    assert!(!shown.contains("100, 100") && !shown.contains("64646464"), "{shown}");
}
