//! `kernel_info_*` messages.

use serde::{Deserialize, Serialize};

/// A client asks who we are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct KernelInfoRequest {}

/// Who we are.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "status", rename = "ok")]
pub struct KernelInfoReply {
    /// Version of the messaging specification.
    pub protocol_version: String,
    /// Name of the kernel.
    pub implementation: String,
    /// Version of the kernel.
    pub implementation_version: String,
    /// The language of the cells.
    pub language_info: LanguageInfo,
    /// One line for consoles.
    pub banner: String,
    /// Whether `debug_request` is answered.
    pub debugger: bool,
    /// Optional parts of the specification which the kernel has.
    pub supported_features: Vec<String>,
    /// Entries for a help menu.
    pub help_links: Vec<HelpLink>,
}

/// The language of the cells.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LanguageInfo {
    /// Name in lower case.
    pub name: String,
    /// Version of the language.
    pub version: String,
    /// MIME type of its source.
    pub mimetype: String,
    /// Extension of its files, with the dot.
    pub file_extension: String,
    /// Name of the Pygments lexer.
    pub pygments_lexer: String,
    /// Name of the `CodeMirror` mode.
    pub codemirror_mode: String,
}

/// One entry of a help menu.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct HelpLink {
    /// What the menu shows.
    pub text: String,
    /// Where it leads.
    pub url: String,
}
