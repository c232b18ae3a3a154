//! Charts, seen from Python.

use aikit_components::plot::{self, Drawing};
use aikit_core::{Error, Value};
use pyo3::prelude::*;

use crate::{convert::PyValue, errors, interpreter};

/// A chart, which is drawn whenever it is asked for.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Plot(plot::Plot);

impl Plot {
    fn written<T: Send>(&self, py: Python<'_>, write: fn(&Drawing) -> T) -> PyResult<T> {
        let written = interpreter::detached(py, || self.0.draw().map(|drawing| write(&drawing)));
        errors::raise(py, written)
    }
}

#[pymethods]
impl Plot {
    /// A chart of the options of `plot`, `data` among them.
    #[new]
    fn new(py: Python<'_>, options: PyValue) -> PyResult<Self> {
        let chart = interpreter::detached(py, || match options.0 {
            Value::Map(options) => plot::Plot::new(options),
            other => {
                let message = format!("the options of a plot are of type {}", other.type_name());
                Err(Error::internal(message))
            }
        });
        errors::raise(py, chart.map(Self))
    }

    /// Its kind and title.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The drawing as SVG.
    fn svg(&self, py: Python<'_>) -> PyResult<String> {
        self.written(py, Drawing::svg)
    }

    /// The description that Vega-Lite draws.
    fn vega_lite(&self, py: Python<'_>) -> PyResult<PyValue> {
        self.written(py, Drawing::vega_lite).map(PyValue)
    }

    /// The drawing in characters.
    fn text(&self, py: Python<'_>) -> PyResult<String> {
        self.written(py, Drawing::text)
    }

    /// All three, by media type.
    fn bundle(&self, py: Python<'_>) -> PyResult<PyValue> {
        let bundle = self.written(py, Drawing::bundle)?;
        Ok(PyValue(Value::Map(bundle)))
    }
}
