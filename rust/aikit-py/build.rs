//! Puts the functions that a session of the kernel uses side by side in the extension of a release
//! (docs/decisions/0014-functions-in-the-order-of-use.md), where the linker can.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The list, a linker script; `make order` writes it.
const LIST: &str = "start.ld";

fn main() {
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-changed=build.rs");
    let is_for_linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|it| it == "linux");
    let is_release = env::var("PROFILE").is_ok_and(|it| it == "release");
    if !is_for_linux || !is_release {
        return;
    }
    let (Some(folder), Some(out)) = (variable("CARGO_MANIFEST_DIR"), variable("OUT_DIR")) else {
        return;
    };
    let argument = format!("-Wl,-T,{}", PathBuf::from(folder).join(LIST).display());
    if links(&argument, Path::new(&out)) {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    } else {
        println!(
            "cargo::warning=the linker takes no list of functions: a kernel needs more memory"
        );
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Whether the linker of this build takes the argument: linkers differ, and a list that one cannot
/// read is no reason to fail.
fn links(argument: &str, folder: &Path) -> bool {
    let source = folder.join("probe.rs");
    let text = "#[unsafe(no_mangle)] pub extern \"C\" fn probe() {}";
    let (Some(compiler), Some(target)) = (variable("RUSTC"), variable("TARGET")) else {
        return false;
    };
    let mut command = Command::new(compiler);
    command
        .args(["--edition=2024", "--crate-type=cdylib", "--target", &target])
        .args(["-C", &format!("link-arg={argument}"), "-o"])
        .arg(folder.join("probe.so"))
        .arg(&source);
    if let Some(linker) = variable("RUSTC_LINKER") {
        command.args(["-C", &format!("linker={linker}")]);
    }
    let flags = variable("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    command.args(flags.split('\x1f').filter(|it| !it.is_empty()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    fs::write(&source, text).is_ok() && command.status().is_ok_and(|it| it.success())
}
