//! CSV with one line per method.

use super::super::{Evaluation, Measure, Measures, Row};

impl Evaluation {
    /// Comma-separated values: a header, and one line per method with each measure, its deviation over seeds and the ends of its
    /// interval. Infinite values, and values that do not apply, are empty.
    pub fn to_csv(&self) -> String {
        let mut header: Vec<String> =
            ["data", "split", "date", "prompts", "group", "name", "seeds"].map(str::to_owned).into();
        for measure in Measure::ALL {
            let key = measure.key();
            header.extend([key.to_owned(), format!("{key}_deviation"), format!("{key}_low"), format!("{key}_high")]);
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut bytes = writer.write_record(&header);
        for row in &self.rows {
            bytes = bytes.and_then(|()| writer.write_record(self.line(row)));
        }
        // Writing to memory does not fail, and the bytes are text.
        bytes
            .ok()
            .and_then(|()| writer.into_inner().ok())
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default()
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let mut line = vec![
            self.about.data.clone(),
            self.about.split.clone(),
            self.about.date.clone().unwrap_or_default(),
            self.prompts.to_string(),
            row.group.to_string(),
            row.name.clone(),
            row.seeds.to_string(),
        ];
        for measure in Measure::ALL {
            let found = Measures::get(&row.measures, measure);
            let (low, high) = found.interval.map_or((None, None), |interval| (interval.low, interval.high));
            line.extend([found.value, found.deviation, low, high].map(number));
        }
        line
    }
}
