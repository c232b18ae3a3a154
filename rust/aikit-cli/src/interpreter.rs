//! What the Python package says of the interpreter that runs the command.

use std::path::PathBuf;

/// The interpreter, and where Jupyter looks for kernels with it.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// The program.
    pub executable: PathBuf,
    /// Its version, such as `3.12.1`.
    pub version: String,
    /// Folders in which Jupyter looks for kernel specs, in its order.
    pub kernel_folders: Vec<PathBuf>,
}
