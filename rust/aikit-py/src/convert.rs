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
    read(object, 0).map_err(|Misfit { path, why }| {
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

fn read(object: &Bound<'_, PyAny>, depth: usize) -> Read {
    if depth > DEPTH_MAX {
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
        read_integer(object)
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Ok(Value::Float(number.value()))
    } else if let Ok(dict) = object.cast::<PyDict>() {
        read_dict(dict, depth)
    } else if let Ok(list) = object.cast::<PyList>() {
        read_items(list.iter(), depth)
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        read_items(tuple.iter(), depth)
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        Ok(Value::Bytes(bytes.as_bytes().to_vec().into()))
    } else if object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>() {
        let bytes = object.py().get_type::<PyBytes>().call1((object,))?;
        let bytes: Vec<u8> = bytes.extract()?;
        Ok(Value::Bytes(bytes.into()))
    } else {
        read_by_protocol(object, depth)
    }
}

fn read_text(text: &Bound<'_, PyString>) -> Read {
    text.to_str()
        .map(Value::from)
        .map_err(|_| Misfit::new("a text has half of a surrogate pair, which is no Unicode"))
}

fn read_integer(object: &Bound<'_, PyAny>) -> Read {
    object.extract::<i64>().map(Value::Int).map_err(|_| {
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

fn read_dict(dict: &Bound<'_, PyDict>, depth: usize) -> Read {
    let mut map = Map::with_capacity(dict.len());
    for (key, item) in dict {
        let Ok(name) = key.cast::<PyString>() else {
            let kind = key.get_type().name()?;
            return Err(Misfit::new(format!(
                "the key `{key}` is of type {kind}; keys are of type str"
            )));
        };
        let name = name.to_str()?.to_owned();
        let value = read(&item, depth + 1).map_err(|misfit| misfit.inside(format!(".{name}")))?;
        map.insert(name, value);
    }
    Ok(Value::Map(map))
}

fn read_items<'py>(items: impl Iterator<Item = Bound<'py, PyAny>>, depth: usize) -> Read {
    items
        .enumerate()
        .map(|(index, item)| {
            read(&item, depth + 1).map_err(|misfit| misfit.inside(format!("[{index}]")))
        })
        .collect::<Result<_, _>>()
        .map(Value::List)
}

/// What is not built in is read by what it offers, so that nothing has to be imported.
fn read_by_protocol(object: &Bound<'_, PyAny>, depth: usize) -> Read {
    let py = object.py();
    let kind = object.get_type();
    if kind.hasattr(intern!(py, "__dataclass_fields__"))? {
        let mut map = Map::new();
        for name in object
            .getattr(intern!(py, "__dataclass_fields__"))?
            .try_iter()?
        {
            let name: String = name?.extract()?;
            let value = read(&object.getattr(name.as_str())?, depth + 1)
                .map_err(|misfit| misfit.inside(format!(".{name}")))?;
            map.insert(name, value);
        }
        return Ok(Value::Map(map));
    }
    // pydantic, our own results, numpy, pathlib, datetime: in this order.
    for method in ["model_dump", "to_dict", "tolist", "__fspath__", "isoformat"] {
        if kind.hasattr(method)? {
            return read(&object.call_method0(method)?, depth + 1);
        }
    }
    if kind.hasattr(intern!(py, "__members__"))? {
        return read(&object.getattr(intern!(py, "value"))?, depth + 1);
    }
    Err(Misfit::new(format!(
        "an object of type {} is not data",
        kind.name()?
    )))
}
