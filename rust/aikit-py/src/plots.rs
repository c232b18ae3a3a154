//! Charts, seen from Python.

use aikit_components::plot;
use aikit_core::{Error, Value};
use pyo3::prelude::*;

use crate::{convert::PyValue, errors};

/// A chart that is drawn when it is made.
#[pyclass(frozen, module = "aikit._aikit")]
pub(crate) struct Plot(plot::Plot);

#[pymethods]
impl Plot {
    /// A chart of the options of `plot`, `data` among them.
    #[new]
    fn new(py: Python<'_>, options: PyValue) -> PyResult<Self> {
        let drawn = py.detach(|| match options.0 {
            Value::Map(options) => plot::Plot::new(options),
            other => {
                let message = format!("the options of a plot are of type {}", other.type_name());
                Err(Error::internal(message))
            }
        });
        errors::raise(py, drawn.map(Self))
    }

    /// Its kind and title.
    #[getter]
    fn name(&self) -> String {
        self.0.name()
    }

    /// The drawing as SVG.
    fn svg(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.svg())
    }

    /// The description that Vega-Lite draws.
    fn vega_lite(&self) -> PyValue {
        PyValue(self.0.vega_lite())
    }

    /// The drawing in characters.
    fn text(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.text())
    }
}
