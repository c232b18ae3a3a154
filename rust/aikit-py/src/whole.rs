//! Whole numbers that Python hands over: one out of range is named, not an overflow.

use std::fmt::Display;

use aikit_core::{Error, Result, Value};
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
        let number = self.0.map_err(|given| out_of_range(name, &given))?;
        T::try_from(number).map_err(|_| out_of_range(name, &number))
    }
}

/// The number under `key` of a mapping; `None` when there is none.
///
/// # Errors
///
/// `invalid_args` when it is negative, too large or no whole number.
pub(crate) fn field<T: TryFrom<i64>>(given: &Value, key: &str) -> Result<Option<T>> {
    let Some(value) = given.get(key).filter(|it| !it.is_null()) else {
        return Ok(None);
    };
    let number = value.as_i64().and_then(|it| T::try_from(it).ok());
    number.map(Some).ok_or_else(|| out_of_range(key, value))
}

fn out_of_range(name: &str, given: &dyn Display) -> Error {
    Error::invalid_args(format!("`{name}` is `{given}`"))
        .with_hint("give a whole number that is not negative")
}
