use proptest::prelude::*;

use super::*;

const GOOD: &[Section<'static>] = &[Section { name: "a", payload: b"xyz" }, Section { name: "b.c", payload: b"" }];

fn good() -> Vec<u8> {
    write("example", br#"{"v":1}"#, GOOD).unwrap()
}

/// `good()` with a table changed by hand, under a digest that is right again.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let bytes = good();
    let table_end = bytes.len() - 3 - 32;
    let mut table = bytes[..table_end].to_vec();
    change(&mut table);
    let digest = sha256(&table);
    [table.as_slice(), &digest, b"xyz"].concat()
}

/// Offsets in `good()`, from the table in the module's documentation.
const HEADER_LENGTH: usize = 8 + 4 + 1 + 7;
const COUNT: usize = HEADER_LENGTH + 4 + 7;
const FIRST_NAME: usize = COUNT + 4 + 1;
const FIRST_LENGTH: usize = FIRST_NAME + 1;

#[test]
fn what_was_written_is_read_back() {
    let bytes = good();
    let read = read(&bytes, "example").unwrap();
    assert_eq!(read.header(), br#"{"v":1}"#);
    assert_eq!(read.section("a").unwrap(), b"xyz");
    assert_eq!(read.section("b.c").unwrap(), b"");
    assert_eq!(read.sections().len(), 2);
    assert!(matches!(read.section("c"), Err(ContainerError::Missing { .. })));
    assert_eq!(bytes, good());
}

/// The format itself: if this changes, so must [`VERSION`].
#[test]
fn frozen_bytes() {
    assert_eq!(
        base16ct::lower::encode_string(&good()),
        "626c6e6472746500\
         01000000\
         076578616d706c65\
         070000007b2276223a317d\
         02000000\
         016103000000000000003608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282\
         03622e630000000000000000e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\
         6d261cac5c4ae8bb56ae303a20b39c0a601b6247520c99c1ef7f8e5b15bbc8fb\
         78797a"
    );
}

#[test]
fn each_fault_has_its_own_error() {
    let problem = |bytes: &[u8]| read(bytes, "example").unwrap_err();
    assert!(matches!(problem(b""), ContainerError::NotOurs));
    assert!(matches!(problem(b"PK\x03\x04 a zip file"), ContainerError::NotOurs));
    assert!(matches!(problem(&good()[..11]), ContainerError::Truncated { what: "the version", .. }));
    assert!(matches!(problem(&good()[..good().len() - 1]), ContainerError::Truncated { needed: 3, left: 2, .. }));
    assert!(matches!(problem(&[good(), vec![0]].concat()), ContainerError::Leftover { extra: 1 }));
    let version = forged(|table| table[8] = 2);
    assert!(matches!(problem(&version), ContainerError::Version { found: 2, expected: VERSION }));
    assert!(matches!(read(&good(), "other").unwrap_err(), ContainerError::Kind { .. }));
    let mut altered = good();
    altered[HEADER_LENGTH + 6] ^= 1;
    assert!(matches!(problem(&altered), ContainerError::HeaderDigest { .. }));
    let mut altered = good();
    *altered.last_mut().unwrap() ^= 1;
    assert!(matches!(problem(&altered), ContainerError::SectionDigest { ref name, .. } if name == "a"));
}

#[test]
fn hostile_tables_with_right_digests_are_errors() {
    let problem = |change: fn(&mut Vec<u8>)| read(&forged(change), "example").unwrap_err();
    let header = problem(|table| table[HEADER_LENGTH..HEADER_LENGTH + 4].fill(0xff));
    assert!(matches!(header, ContainerError::Limit { what: "the header's bytes", .. }));
    let count = problem(|table| table[COUNT..COUNT + 4].fill(0xff));
    assert!(matches!(count, ContainerError::Limit { what: "the number of sections", .. }));
    let count = problem(|table| table[COUNT] = 200);
    assert!(matches!(count, ContainerError::Truncated { .. } | ContainerError::Name { .. }));
    let length = problem(|table| table[FIRST_LENGTH..FIRST_LENGTH + 8].fill(0xff));
    assert!(matches!(length, ContainerError::Limit { what: "a section's bytes", .. }));
    let length = problem(|table| table[FIRST_LENGTH + 2] = 1);
    assert!(matches!(length, ContainerError::Truncated { what: "a section", .. }));
    let length = problem(|table| table[FIRST_LENGTH] = 2);
    assert!(matches!(length, ContainerError::Leftover { extra: 1 }));
    let name = problem(|table| table[FIRST_NAME] = 0xff);
    assert!(matches!(name, ContainerError::Name { .. }));
    let digest = problem(|table| table[FIRST_LENGTH + 8] ^= 1);
    assert!(matches!(digest, ContainerError::SectionDigest { .. }));
    let twice = [Section { name: "a", payload: b"x" }, Section { name: "a", payload: b"y" }];
    assert!(matches!(write("example", b"", &twice), Err(ContainerError::Duplicate { .. })));
    assert!(matches!(write("", b"", &[]), Err(ContainerError::Name { .. })));
    assert!(matches!(write("two words", b"", &[]), Err(ContainerError::Name { .. })));
}

#[test]
fn two_sections_of_one_name_are_refused_when_read() {
    let twice = forged(|table| {
        let second = FIRST_LENGTH + 8 + 32;
        table.splice(second..second + 4, [1, b'a']);
    });
    assert!(matches!(read(&twice, "example"), Err(ContainerError::Duplicate { .. })));
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let error = read_file(std::path::Path::new("no/such.blindroute")).unwrap_err();
    assert!(matches!(error, ContainerError::Io(_)) && error.to_string().contains("check that it is there"));
}

proptest! {
    #[test]
    fn any_flipped_bit_is_an_error(at in 0..good().len(), bit in 0..8u32) {
        let mut bytes = good();
        bytes[at] ^= 1 << bit;
        prop_assert!(read(&bytes, "example").is_err());
    }

    #[test]
    fn any_missing_or_extra_byte_is_an_error(at in 0..good().len(), byte: u8) {
        let mut bytes = good();
        bytes.remove(at);
        prop_assert!(read(&bytes, "example").is_err());
        prop_assert!(read(&good()[..at], "example").is_err());
        let mut bytes = good();
        bytes.insert(at, byte);
        prop_assert!(read(&bytes, "example").is_err());
    }

    #[test]
    fn any_bytes_are_read_without_panic(tail in prop::collection::vec(any::<u8>(), 0..200), keep in 0usize..100) {
        let bytes = [&good()[..keep], &tail].concat();
        let _ = read(&bytes, "example");
    }

    #[test]
    fn any_contents_are_read_back(
        header in prop::collection::vec(any::<u8>(), 0..50),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
    ) {
        let names: Vec<String> = (0..payloads.len()).map(|index| format!("section.{index}")).collect();
        let sections: Vec<Section<'_>> =
            names.iter().zip(&payloads).map(|(name, payload)| Section { name, payload }).collect();
        let bytes = write("example", &header, &sections).unwrap();
        let read = read(&bytes, "example").unwrap();
        prop_assert_eq!(read.header(), header);
        for (name, payload) in names.iter().zip(&payloads) {
            prop_assert_eq!(read.section(name).unwrap(), payload.as_slice());
        }
    }
}
