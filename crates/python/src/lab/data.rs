//! Data sets.

use super::faults;
use super::matrix::{Table, matrix};
use crate::bundle::{PyBundle, floats};
use crate::fault;
use crate::process::enter;
use blindroute_lab::data::{Dataset, Prompt, Split, check, units_warning};
use blindroute_routing::bundle::Model;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::path::PathBuf;
use std::sync::Arc;

/// Prompts, models, and the score of each model on each prompt.
#[pyclass(name = "DataSet", module = "blindroute._engine", frozen)]
pub(crate) struct PyDataSet {
    pub(crate) set: Arc<Dataset>,
    /// What reports call it: the folder's name.
    pub(crate) name: String,
}

/// A name, a price, and its unit.
type Priced = (String, f64, String);
/// Id, text, source and split.
type Given = (String, String, String, Option<String>);

#[pymethods]
impl PyDataSet {
    /// Reads a folder.
    #[staticmethod]
    fn load(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        enter(py)?;
        let set = py.detach(|| Dataset::load(&folder)).map_err(|error| faults::data(py, &error))?;
        let name = folder.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self { set: Arc::new(set), name })
    }

    /// Takes what is given, in `tables` the scores and, if they are known, the costs of answers. Prompts without a split get one by their text and the seed.
    #[new]
    fn new(
        py: Python<'_>,
        models: Vec<Priced>,
        prompts: Vec<Given>,
        tables: (Table, Option<Table>),
        name: String,
        seed: u64,
    ) -> PyResult<Self> {
        enter(py)?;
        let (scores, query_costs) = tables;
        let models = models.into_iter().map(|(name, price, unit)| Model { name, price, unit }).collect();
        let prompts = prompts.into_iter().enumerate().map(|(place, (id, text, source, split))| {
            let split = match split {
                Some(split) => split.parse().map_err(|()| {
                    let expected = "expected \"train\", \"valid\" or \"test\"";
                    fault::input(py, "split", &format!("the split of prompt {place} is {split:?}, {expected}"))
                })?,
                None => Split::of_text(&text, seed),
            };
            Ok(Prompt { id, text, source, split })
        });
        let prompts = prompts.collect::<PyResult<Vec<_>>>()?;
        let scores = matrix(py, scores, "scores")?;
        let query_costs = query_costs.map(|costs| matrix(py, costs, "query_costs")).transpose()?;
        let set = Dataset::new(models, prompts, scores, query_costs).map_err(|error| faults::data(py, &error))?;
        Ok(Self { set: Arc::new(set), name })
    }

    /// Writes it to a new or empty folder.
    fn save(&self, py: Python<'_>, folder: PathBuf) -> PyResult<()> {
        enter(py)?;
        py.detach(|| self.set.save(&folder)).map_err(|error| faults::data(py, &error))
    }

    /// What may be wrong with it, as JSON; lengths and repetitions are as this bundle's tokenizer reads the prompts.
    fn check(&self, py: Python<'_>, bundle: &PyBundle) -> PyResult<String> {
        enter(py)?;
        let tokenizer = bundle.bundle.tokenizer().map_err(|error| fault::bundle(py, &error))?;
        let check = py.detach(|| self.set.check(&[tokenizer]));
        Ok(serde_json::to_string(&check).unwrap_or_default())
    }

    /// What would be wrong with a folder, as JSON; also of one that `load` refuses for missing scores or empty splits.
    #[staticmethod]
    fn check_folder(py: Python<'_>, folder: PathBuf, bundle: &PyBundle) -> PyResult<String> {
        enter(py)?;
        let tokenizer = bundle.bundle.tokenizer().map_err(|error| fault::bundle(py, &error))?;
        let found = py.detach(|| check(&folder, &[tokenizer])).map_err(|error| faults::data(py, &error))?;
        Ok(serde_json::to_string(&found).unwrap_or_default())
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The pool: names, prices and units.
    #[getter]
    fn models(&self) -> Vec<Priced> {
        self.set.models().iter().map(|model| (model.name.clone(), model.price, model.unit.clone())).collect()
    }

    /// The prompts with id, text, source and split.
    #[getter]
    fn prompts(&self) -> Vec<(&str, &str, &str, String)> {
        let prompts = self.set.prompts().iter();
        prompts
            .map(|Prompt { id, text, source, split }| (id.as_str(), text.as_str(), source.as_str(), split.to_string()))
            .collect()
    }

    /// How many prompts there are.
    #[getter]
    fn len(&self) -> usize {
        self.set.prompts().len()
    }

    /// `[prompts, models]`, 32-bit numbers.
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        floats(py, self.set.scores().data())
    }

    /// The same of the costs of answers.
    fn query_costs<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.set.query_costs().map(|costs| floats(py, costs.data()))
    }

    /// A warning if prices cannot be compared.
    #[getter]
    fn warning(&self) -> Option<String> {
        units_warning(self.set.models())
    }
}
