//! The kernel spec's files and the command line, seen from Python.

use pyo3::{prelude::*, types::PyBytes};

use crate::{errors, packages};

macro_rules! kernelspec_file {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../kernelspec/data/share/jupyter/kernels/aikit/",
                $name
            ))
            .as_slice(),
        )
    };
}

const KERNELSPEC: [(&str, &[u8]); 4] = [
    kernelspec_file!("kernel.json"),
    kernelspec_file!("logo-32x32.png"),
    kernelspec_file!("logo-64x64.png"),
    kernelspec_file!("logo-svg.svg"),
];

/// The files of the kernel spec by their names; they are part of the extension, so that a wheel
/// needs no data folder to install another one.
#[pyfunction]
pub(crate) fn kernelspec_files(
    py: Python<'_>,
) -> std::collections::BTreeMap<&'static str, Bound<'_, PyBytes>> {
    KERNELSPEC
        .into_iter()
        .map(|(name, content)| (name, PyBytes::new(py, content)))
        .collect()
}

/// Runs one command of the command line; `argv` begins with the program's name. `interpreter` is
/// the program that runs it, its version, and the folders in which Jupyter looks for kernels.
/// Answers the exit status.
#[pyfunction]
#[pyo3(signature = (argv, interpreter=None))]
pub(crate) fn run_command(
    py: Python<'_>,
    argv: Vec<String>,
    interpreter: Option<(String, String, Vec<String>)>,
) -> u8 {
    packages::register();
    let interpreter = interpreter.map(|(executable, version, folders)| aikit_cli::Interpreter {
        executable: executable.into(),
        version,
        kernel_folders: folders.into_iter().map(Into::into).collect(),
    });
    py.detach(|| aikit_cli::run(argv, interpreter.as_ref()))
}

/// Raises `InvalidArgsError` with the nearest profile when there is none of that name.
#[pyfunction]
pub(crate) fn check_profile(py: Python<'_>, name: &str) -> PyResult<()> {
    aikit_cli::check_profile(name).map_err(|error| errors::to_python(py, &error))
}
