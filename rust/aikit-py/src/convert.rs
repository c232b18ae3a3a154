//! Value ↔ Python objects: what a call takes and gives.

use aikit_core::{Error, Result, Value, value::Map};
use pyo3::{
    IntoPyObjectExt as _, intern,
    prelude::*,
    types::{
        PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString,
        PyTuple,
    },
};

use crate::{errors, interpreter};

/// Levels of nesting that are taken; more is most likely an object that contains itself.
const DEPTH_MAX: usize = 128;

/// A [`Value`] as an argument or a result of a function of `_aikit`.
pub(crate) struct PyValue(pub(crate) Value);

impl<'py> FromPyObject<'_, 'py> for PyValue {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        from_python(&object)
            .map(Self)
            .map_err(|error| errors::to_python(object.py(), &error))
    }
}

impl<'py> IntoPyObject<'py> for PyValue {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        to_python(py, &self.0)
    }
}

/// Makes the Python object of a value: `None`, `bool`, `int`, `float`, `str`, `bytes`, `list`
/// or `dict`.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(value) => value.into_bound_py_any(py),
        Value::Int(value) => value.into_bound_py_any(py),
        Value::Float(value) => value.into_bound_py_any(py),
        Value::String(text) => text.into_bound_py_any(py),
        Value::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Value::List(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| to_python(py, item))
                .collect::<PyResult<_>>()?;
            Ok(PyList::new(py, items)?.into_any())
        }
        Value::Map(map) => {
            let dict = PyDict::new(py);
            for (key, item) in map {
                dict.set_item(key, to_python(py, item)?)?;
            }
            Ok(dict.into_any())
        }
    }
}

/// Reads a Python object: plain data, dataclasses, pydantic models, numpy arrays and scalars,
/// paths, dates and enumerations.
///
/// # Errors
///
/// `invalid_args` names what cannot be data and where it stands.
pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> Result<Value> {
    let _visit = interpreter::enter(object.py());
    read(object, At::default()).map_err(|Misfit { path, why }| {
        let place = path.into_iter().rev().collect::<String>();
        let place = if place.is_empty() {
            String::new()
        } else {
            format!(" at `{}`", place.trim_start_matches('.'))
        };
        Error::invalid_args(format!("{why}{place}")).with_hint(
            "pass None, bool, int, float, str, bytes, lists, dicts with str keys, dataclasses, \
             pydantic models or numpy arrays",
        )
    })
}

/// Reads arguments once more for a schema that they did not fit, with numbers that fit it by their
/// size in the place of those that JSON does not have: infinities, NaN, integers of more than 64
/// bits. `None` where there is none of these.
///
/// In `low` NaN is smaller than every bound of a schema, in `high` it is larger, so that it fits
/// only where nothing is asked of its size.
pub(crate) fn stand_ins(object: &Bound<'_, PyAny>) -> Option<[Value; 2]> {
    let _visit = interpreter::enter(object.py());
    let mut value = read(object, At::loose()).ok()?;
    let mut high = value.clone();
    let has_low = stand_in(&mut value, -NAN_STAND_IN);
    stand_in(&mut high, NAN_STAND_IN);
    (has_low || from_python(object).is_err()).then_some([value, high])
}

/// The error that names what [`stand_ins`] stood for.
pub(crate) fn without_stand_ins(error: &Error) -> Error {
    let message = error
        .message()
        .replace(&(-NAN_STAND_IN).to_string(), "nan")
        .replace(&NAN_STAND_IN.to_string(), "nan")
        .replace(&INFINITY_STAND_IN.to_string(), "inf");
    Error::new(error.kind(), message).with_hint(error.hint().unwrap_or_default())
}

/// No whole numbers, so that they are no integers to a schema.
const INFINITY_STAND_IN: f64 = 4_503_599_627_370_495.5;
const NAN_STAND_IN: f64 = 4_503_599_627_370_494.5;

fn stand_in(value: &mut Value, nan: f64) -> bool {
    match value {
        Value::Float(number) if number.is_finite() => false,
        Value::Float(number) => {
            *number = match *number {
                f64::INFINITY => INFINITY_STAND_IN,
                f64::NEG_INFINITY => -INFINITY_STAND_IN,
                _ => nan,
            };
            true
        }
        // All of them, not up to the first.
        Value::List(items) => items
            .iter_mut()
            .map(|it| stand_in(it, nan))
            .fold(false, |any, it| any | it),
        Value::Map(map) => map
            .values_mut()
            .map(|it| stand_in(it, nan))
            .fold(false, |any, it| any | it),
        _ => false,
    }
}

/// Where in an object the reader is, and how it reads.
#[derive(Clone, Copy, Default)]
struct At {
    depth: usize,
    /// Whether an integer that does not fit becomes the nearest float.
    is_loose: bool,
}

impl At {
    const fn loose() -> Self {
        Self {
            depth: 0,
            is_loose: true,
        }
    }

    const fn inside(self) -> Self {
        Self {
            depth: self.depth + 1,
            is_loose: self.is_loose,
        }
    }
}

/// Why an object is not data, and the way to it from inside out.
struct Misfit {
    path: Vec<String>,
    why: String,
}

impl Misfit {
    fn new(why: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            why: why.into(),
        }
    }

    fn inside(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }
}

impl From<PyErr> for Misfit {
    fn from(error: PyErr) -> Self {
        Self::new(format!("an object could not be read: {error}"))
    }
}

type Read = Result<Value, Misfit>;

fn read(object: &Bound<'_, PyAny>, at: At) -> Read {
    if at.depth > DEPTH_MAX {
        let why = format!("the data is nested deeper than {DEPTH_MAX} levels, or contains itself");
        return Err(Misfit::new(why));
    }
    if object.is_none() {
        Ok(Value::Null)
    } else if let Ok(value) = object.cast::<PyBool>() {
        Ok(Value::Bool(value.is_true()))
    } else if let Ok(text) = object.cast::<PyString>() {
        read_text(text)
    } else if object.cast::<PyInt>().is_ok() {
        read_integer(object, at)
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Ok(Value::Float(number.value()))
    } else if let Ok(dict) = object.cast::<PyDict>() {
        read_dict(dict, at)
    } else if let Ok(list) = object.cast::<PyList>() {
        read_items(list.iter(), at)
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        read_items(tuple.iter(), at)
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        Ok(Value::Bytes(bytes.as_bytes().to_vec().into()))
    } else if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
        let bytes = object.py().get_type::<PyBytes>().call1((object,))?;
        let bytes: Vec<u8> = bytes.extract()?;
        Ok(Value::Bytes(bytes.into()))
    } else {
        read_by_protocol(object, at)
    }
}

fn read_text(text: &Bound<'_, PyString>) -> Read {
    text.to_str()
        .map(Value::from)
        .map_err(|_| Misfit::new("a text has half of a surrogate pair, which is no Unicode"))
}

fn read_integer(object: &Bound<'_, PyAny>, at: At) -> Read {
    if let Ok(number) = object.extract::<i64>() {
        return Ok(Value::Int(number));
    }
    if at.is_loose {
        let bound = if object.lt(0)? { f64::MIN } else { f64::MAX };
        return Ok(Value::Float(object.extract::<f64>().unwrap_or(bound)));
    }
    Err({
        let digits = object.to_string();
        let shown: String = digits.chars().take(24).collect();
        let more = if shown.len() < digits.len() {
            "…"
        } else {
            ""
        };
        Misfit::new(format!(
            "the integer `{shown}{more}` does not fit in 64 bits: pass it as a float or a string"
        ))
    })
}

fn read_dict(dict: &Bound<'_, PyDict>, at: At) -> Read {
    let mut map = Map::with_capacity(dict.len());
    for (key, item) in dict {
        let Ok(name) = key.cast::<PyString>() else {
            let kind = key.get_type().name()?;
            return Err(Misfit::new(format!(
                "the key `{key}` is of type {kind}; keys are of type str"
            )));
        };
        let name = name.to_str()?.to_owned();
        let value = read(&item, at.inside()).map_err(|misfit| misfit.inside(format!(".{name}")))?;
        map.insert(name, value);
    }
    Ok(Value::Map(map))
}

fn read_items<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, at: At) -> Read {
    items
        .enumerate()
        .map(|(index, item)| {
            read(&item, at.inside()).map_err(|misfit| misfit.inside(format!("[{index}]")))
        })
        .collect::<Result<_, _>>()
        .map(Value::List)
}

/// What is not built in is read by what it offers, so that nothing has to be imported.
fn read_by_protocol(object: &Bound<'_, PyAny>, at: At) -> Read {
    let py = object.py();
    let kind = object.get_type();
    if kind.hasattr(intern!(py, "__dataclass_fields__"))? {
        let mut map = Map::new();
        for name in object
            .getattr(intern!(py, "__dataclass_fields__"))?
            .try_iter()?
        {
            let name: String = name?.extract()?;
            let value = read(&object.getattr(name.as_str())?, at.inside())
                .map_err(|misfit| misfit.inside(format!(".{name}")))?;
            map.insert(name, value);
        }
        return Ok(Value::Map(map));
    }
    // pydantic, our own results, numpy, pathlib, datetime: in this order.
    for method in ["model_dump", "to_dict", "tolist", "__fspath__", "isoformat"] {
        if kind.hasattr(method)? {
            return read(&object.call_method0(method)?, at.inside());
        }
    }
    if kind.hasattr(intern!(py, "__members__"))? {
        return read(&object.getattr(intern!(py, "value"))?, at.inside());
    }
    Err(Misfit::new(format!(
        "an object of type {} is not data",
        kind.name()?
    )))
}
