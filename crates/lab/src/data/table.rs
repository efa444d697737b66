//! Tables of comma-separated values, read row by row with a limit on the length of a row.

use super::DataError;
use super::text::Text;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The largest row and the largest line of text: the limit of the tokenizer, with room for escapes.
pub(super) const MAX_ROW_BYTES: u64 = 16 << 20;

/// A table with a header.
pub(super) struct Table {
    path: PathBuf,
    reader: csv::Reader<Bounded>,
    read: Rc<RefCell<LinesRead>>,
    header: csv::StringRecord,
    row: csv::StringRecord,
}

/// A row, and the line on which it begins.
pub(super) struct Row<'a> {
    pub(super) line: u64,
    fields: &'a csv::StringRecord,
}

impl Row<'_> {
    pub(super) fn field(&self, column: usize) -> &str {
        &self.fields[column]
    }
}

impl Table {
    /// Opens a table of at most `limit` bytes. `hint` says what is expected there.
    pub(super) fn open(path: &Path, limit: u64, hint: &'static str) -> Result<Self, DataError> {
        let read = Rc::new(RefCell::new(LinesRead::default()));
        let file = Text::open(path, limit, hint)?;
        let mut reader = csv::Reader::from_reader(Bounded { file, read: Rc::clone(&read) });
        let header = reader.headers().map_err(|error| csv_error(path, 1, &error))?.clone();
        let table = Self { path: path.to_owned(), reader, read, header, row: csv::StringRecord::new() };
        for (separator, name) in [(';', "semicolons"), ('\t', "tabs")] {
            if table.header.len() == 1 && table.header[0].contains(separator) {
                let problem = format!("its columns are separated by {name}; save it with commas between them");
                return Err(table.wrong(problem));
            }
        }
        Ok(table)
    }

    pub(super) fn header(&self) -> &csv::StringRecord {
        &self.header
    }

    /// The index of the column with this name. `needs` says which columns the table must have.
    pub(super) fn column(&self, name: &str, needs: &str) -> Result<usize, DataError> {
        let mut found = (0..self.header.len()).filter(|column| self.header[*column] == *name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (None, _) => Err(self.wrong(format!("there is no column {name:?}; {needs}"))),
            (Some(_), Some(_)) => Err(self.wrong(format!("there are two columns {name:?}; remove one"))),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, DataError> {
        self.read.borrow_mut().row_bytes = 0;
        let start = self.reader.position().byte();
        let read = self.reader.read_record(&mut self.row);
        let line = self.read.borrow_mut().line_at(start);
        let more = read.map_err(|error| csv_error(&self.path, line, &error))?;
        Ok(more.then_some(Row { line, fields: &self.row }))
    }

    /// An error about the whole file.
    pub(super) fn wrong(&self, problem: String) -> DataError {
        DataError::File { path: self.path.clone(), problem }
    }
}

/// What is wrong with the field of a number. Only numbers are quoted, because other text may be a part of a prompt.
pub(super) fn describe(field: &str) -> String {
    match field.trim().parse::<f64>() {
        Ok(number) => format!("is {number}"),
        Err(_) if field.trim().is_empty() => "is missing".to_owned(),
        Err(_) => "is not a number".to_owned(),
    }
}

/// The lines of the bytes read so far, from which the line of a row is found. The parser's own count is wrong if lines end with a
/// carriage return or if blank lines were skipped.
#[derive(Default)]
struct LinesRead {
    /// Bytes read since the row began.
    row_bytes: u64,
    /// All bytes read.
    bytes: u64,
    /// Line breaks among them.
    breaks: u64,
    /// Whether the current line is not blank so far.
    begun: bool,
    /// The offsets and numbers (from 1) of lines that are not blank, from the current row on.
    starts: VecDeque<(u64, u64)>,
    /// The last number that was returned.
    last: u64,
}

impl LinesRead {
    fn add(&mut self, bytes: &[u8]) {
        self.row_bytes += bytes.len() as u64;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.begun && !matches!(line[0], b'\n' | b'\r') {
                self.starts.push_back((self.bytes, self.breaks + 1));
                self.begun = true;
            }
            self.bytes += line.len() as u64;
            if line.last() == Some(&b'\n') {
                self.breaks += 1;
                self.begun = false;
            }
        }
    }

    /// The number of the first line that is not blank and begins at or after this offset. The parser's offset may still be before
    /// the end of the previous line.
    fn line_at(&mut self, place: u64) -> u64 {
        while self.starts.front().is_some_and(|(start, _)| *start < place) {
            self.starts.pop_front();
        }
        self.last = self.starts.front().map_or(self.last, |(_, line)| *line);
        self.last
    }
}

/// Stops reading a row that is too long, such as one with an open quote, before it fills the memory.
struct Bounded {
    file: Text,
    read: Rc<RefCell<LinesRead>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut lines = self.read.borrow_mut();
        if lines.row_bytes > MAX_ROW_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {MAX_ROW_BYTES} bytes, perhaps because of a quote that is not closed"),
            ));
        }
        let read = self.file.read(buffer)?;
        lines.add(&buffer[..read]);
        Ok(read)
    }
}

fn csv_error(path: &Path, line: u64, error: &csv::Error) -> DataError {
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} fields, the header {expected_len}; complete it or remove it")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text; save the file as UTF-8".to_owned(),
        _ => format!("{error}; save the file as comma-separated values with a header"),
    };
    DataError::Line { path: path.to_owned(), line, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_line_numbers_of_an_editor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let lines = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut table = Table::open(&path, 1 << 20, "").unwrap();
            let mut lines = Vec::new();
            while let Some(row) = table.next().unwrap() {
                lines.push((row.line, row.field(0).to_owned()));
            }
            lines
        };
        let text = "\u{feff}id,text\na,1\nb,\"x\ny\"\n\nc,2\nd,3";
        let expected: Vec<(u64, String)> =
            [(2, "a"), (3, "b"), (6, "c"), (7, "d")].map(|(line, id)| (line, id.to_owned())).into();
        assert_eq!(lines(text), expected);
        assert_eq!(lines(&text.replace('\n', "\r\n")), expected);
        // Longer than the buffer.
        let long: String = (0..20_000).map(|row| format!("{row},1\r\n")).collect();
        let found = lines(&("id,text\r\n".to_owned() + &long));
        assert!(found.len() == 20_000 && found.iter().all(|(line, id)| (line - 2).to_string() == *id));
    }

    #[test]
    fn errors_name_the_line_or_the_separator() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let error = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut table = match Table::open(&path, 1 << 20, "") {
                Ok(table) => table,
                Err(error) => return error.to_string(),
            };
            loop {
                match table.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return String::new(),
                    Err(error) => return error.to_string(),
                }
            }
        };
        assert!(error("id,a\r\nx,1\r\ny\r\n").contains("line 3: the row has 1 fields, the header 2"));
        assert!(error("id;a;b\nx;1;0\n").contains("its columns are separated by semicolons; save it with commas"));
        assert!(error("id\ta\nx\t1\n").contains("separated by tabs"));
    }
}
