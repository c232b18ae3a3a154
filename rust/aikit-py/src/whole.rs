//! Whole numbers that Python hands over: one out of range is named, not an overflow.

use aikit_core::{Error, Result};
use pyo3::{exceptions::PyOverflowError, inspect::PyStaticExpr, prelude::*};

/// A Python `int` of any size.
pub(crate) struct Whole(std::result::Result<u64, String>);

impl<'py> FromPyObject<'_, 'py> for Whole {
    type Error = PyErr;

    const INPUT_TYPE: PyStaticExpr = <u64 as FromPyObject<'_, '_>>::INPUT_TYPE;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.extract::<u64>() {
            Ok(number) => Ok(Self(Ok(number))),
            Err(error) if error.is_instance_of::<PyOverflowError>(object.py()) => {
                Ok(Self(Err(object.to_string())))
            }
            // What is no integer stays the `TypeError` that names the argument.
            Err(error) => Err(error),
        }
    }
}

impl Whole {
    /// The number of the argument `name`.
    ///
    /// # Errors
    ///
    /// `invalid_args` when it is negative or too large.
    pub(crate) fn named<T: TryFrom<u64>>(self, name: &str) -> Result<T> {
        let out_of_range = |given: String| {
            Error::invalid_args(format!("`{name}` is `{given}`"))
                .with_hint("give a whole number that is not negative")
        };
        let number = self.0.map_err(out_of_range)?;
        T::try_from(number).map_err(|_| out_of_range(number.to_string()))
    }
}
