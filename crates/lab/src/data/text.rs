//! Opening text files with a size limit and without a byte order mark.

use super::DataError;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

/// The byte order mark of UTF-8, which editors and spreadsheets on Windows write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF_16: &str = "it is UTF-16 text; save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8";

/// A text file after its byte order mark. It never reads more than its limit, even if the file grows.
pub(crate) struct Text {
    /// The bytes that were read to find a mark and belong to the text.
    beginning: Cursor<Vec<u8>>,
    rest: io::Take<File>,
}

impl Text {
    /// Opens a file of at most `limit` bytes. `hint` says what is expected there.
    pub(crate) fn open(path: &Path, limit: u64, hint: &'static str) -> Result<Self, DataError> {
        let io = |source| DataError::Io { path: path.to_owned(), source, hint };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(io::ErrorKind::IsADirectory.into()));
        }
        if metadata.len() > limit {
            return Err(DataError::TooLarge { path: path.to_owned(), limit });
        }
        let mut rest = file.take(limit);
        let mut beginning = Vec::new();
        rest.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut beginning).map_err(io)?;
        if beginning == BYTE_ORDER_MARK {
            beginning.clear();
        }
        if beginning.starts_with(b"\xff\xfe") || beginning.starts_with(b"\xfe\xff") {
            return Err(DataError::File { path: path.to_owned(), problem: UTF_16.to_owned() });
        }
        Ok(Self { beginning: Cursor::new(beginning), rest })
    }

    /// Reads a whole file.
    pub(crate) fn read(path: &Path, limit: u64, hint: &'static str) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        let read = Self::open(path, limit, hint)?.read_to_end(&mut bytes);
        read.map_err(|source| DataError::Io { path: path.to_owned(), source, hint })?;
        Ok(bytes)
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.beginning.read(buffer)? {
            0 => self.rest.read(buffer),
            read => Ok(read),
        }
    }
}

/// What is wrong with a line or file that is not JSON, for some frequent reasons, or else `otherwise`. No text is quoted.
pub(crate) fn not_json(text: &[u8], otherwise: &str) -> String {
    if has_bare(text, &[b"NaN", b"Infinity"]) {
        return "holds NaN or Infinity, which JSON does not have; remove the entry or correct it".to_owned();
    }
    if text.trim_ascii_start().starts_with(b"[") {
        return "is a list; write one object per line (jq -c '.[]' FILE converts it)".to_owned();
    }
    if has_lone_surrogate(text) {
        return "holds half of a surrogate pair (as \\ud800), which is not valid text; replace it with \\ufffd"
            .to_owned();
    }
    otherwise.to_owned()
}

/// Whether one half of a surrogate pair is escaped without the other half.
fn has_lone_surrogate(text: &[u8]) -> bool {
    let unit = |place: usize| {
        let hex = text.get(place..place + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let mut place = 0;
    while place < text.len() {
        place += match (text[place], unit(place)) {
            (b'\\', Some(0xd800..=0xdbff)) if matches!(unit(place + 6), Some(0xdc00..=0xdfff)) => 12,
            (b'\\', Some(0xd800..=0xdfff)) => return true,
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    false
}

/// Whether one of these words is outside of all strings.
fn has_bare(text: &[u8], words: &[&[u8]]) -> bool {
    let (mut in_string, mut place) = (false, 0);
    while place < text.len() {
        match text[place] {
            b'\\' if in_string => place += 1,
            b'"' => in_string = !in_string,
            _ if !in_string && words.iter().any(|word| text[place..].starts_with(word)) => return true,
            _ => {}
        }
        place += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_skipped_and_utf_16_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Text::read(&path, 100, "a hint").map_err(|error| error.to_string())
        };
        assert_eq!(read(b"\xef\xbb\xbfid,a\n").as_deref(), Ok(&b"id,a\n"[..]));
        for short in [&b""[..], b"a", b"ab", b"\xef\xbb", b"a long text"] {
            assert_eq!(read(short).as_deref(), Ok(short));
        }
        for marked in [&b"\xff\xfei\0d\0"[..], b"\xfe\xff\0i\0d"] {
            assert!(read(marked).unwrap_err().contains("it is UTF-16 text; save it as UTF-8"));
        }
        assert!(read(&[b'a'; 101]).unwrap_err().contains("larger than 100 bytes"));
        let error = Text::read(folder.path(), 100, "a hint").unwrap_err().to_string();
        assert!(error.contains("is a directory") && error.contains("a hint"), "{error}");
    }

    #[test]
    fn frequent_faults_of_json_have_their_own_errors() {
        assert!(not_json(br#"{"score": -Infinity}"#, "x").contains("NaN or Infinity"));
        assert!(not_json(br#"{"score": NaN}"#, "x").contains("NaN or Infinity"));
        assert_eq!(not_json(br#"{"prompt": "is \"NaN a number"#, "x"), "x");
        for (line, lone) in [
            (r#"{"prompt": "a\ud83d"}"#, true),
            (r#"{"prompt": "\ude00\ud83d"}"#, true),
            (r#"{"prompt": "\ud83d\ude00 \\ud800 \u00e9"#, false),
        ] {
            assert_eq!(not_json(line.as_bytes(), "x").contains("half of a surrogate pair"), lone, "{line}");
        }
        assert!(not_json(br#"[{"prompt": "a"}]"#, "x").contains("is a list"));
    }
}
