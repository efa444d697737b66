//! Tables of comma-separated values, read row by row, none of them longer than a bound.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    rc::Rc,
};

use super::DataError;

/// The largest row, and the largest line of text: as much as the tokenizer takes, with room for escapes.
pub(super) const MAX_ROW_BYTES: u64 = 16 << 20;

/// A file that is there and no larger than `limit`.
pub(super) fn open(path: &Path, limit: u64, hint: &'static str) -> Result<File, DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source, hint };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() > limit {
        return Err(DataError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(file)
}

/// A table with a header.
pub(super) struct Table {
    path: PathBuf,
    reader: csv::Reader<Bounded>,
    row_bytes: Rc<Cell<u64>>,
    header: csv::StringRecord,
    row: csv::StringRecord,
}

/// One row and the line on which it begins.
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
    /// `limit` bounds the file, `hint` says what should be there.
    pub(super) fn open(path: &Path, limit: u64, hint: &'static str) -> Result<Self, DataError> {
        let row_bytes = Rc::new(Cell::new(0));
        // The limit holds even if the file grows meanwhile.
        let file = open(path, limit, hint)?.take(limit);
        let mut reader = csv::Reader::from_reader(Bounded { file, row_bytes: Rc::clone(&row_bytes) });
        let header = reader.headers().map_err(|error| csv_error(path, 1, &error))?.clone();
        Ok(Self { path: path.to_owned(), reader, row_bytes, header, row: csv::StringRecord::new() })
    }

    pub(super) fn header(&self) -> &csv::StringRecord {
        &self.header
    }

    /// Where the one column of this name is; `needs` says which columns the table must have.
    pub(super) fn column(&self, name: &str, needs: &str) -> Result<usize, DataError> {
        let mut found = (0..self.header.len()).filter(|column| self.header[*column] == *name);
        match (found.next(), found.next()) {
            (Some(column), None) => Ok(column),
            (None, _) => Err(self.wrong(format!("there is no column {name:?}; {needs}"))),
            (Some(_), Some(_)) => Err(self.wrong(format!("there are two columns {name:?}; remove one"))),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, DataError> {
        self.row_bytes.set(0);
        let read = self.reader.read_record(&mut self.row);
        let line = self.row.position().map_or(0, csv::Position::line);
        let more = read.map_err(|error| csv_error(&self.path, line, &error))?;
        Ok(more.then_some(Row { line, fields: &self.row }))
    }

    /// An error of the whole file.
    pub(super) fn wrong(&self, problem: String) -> DataError {
        DataError::File { path: self.path.clone(), problem }
    }
}

/// What is wrong with a number's field, without quoting what may be a piece of a prompt.
pub(super) fn describe(field: &str) -> String {
    match field.trim().parse::<f64>() {
        Ok(number) => format!("is {number}"),
        Err(_) if field.trim().is_empty() => "is missing".to_owned(),
        Err(_) => "is not a number".to_owned(),
    }
}

/// Ends a row that never ends, as one with an open quote, before it fills the memory.
struct Bounded {
    file: io::Take<File>,
    row_bytes: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row_bytes.get() > MAX_ROW_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {MAX_ROW_BYTES} bytes, perhaps for a quote that is not closed"),
            ));
        }
        let read = self.file.read(buffer)?;
        self.row_bytes.set(self.row_bytes.get() + read as u64);
        Ok(read)
    }
}

fn csv_error(path: &Path, line: u64, error: &csv::Error) -> DataError {
    let line = error.position().map_or(line, csv::Position::line);
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} fields, the header {expected_len}; complete it or remove it")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text; save the file as UTF-8".to_owned(),
        _ => format!("{error}; save the file as comma-separated values with a header"),
    };
    DataError::Line { path: path.to_owned(), line, problem }
}
