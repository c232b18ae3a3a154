//! `kernel_info`: who we are.

use crate::{
    handlers::Desk,
    wire::{
        header::PROTOCOL_VERSION,
        kernel_info::{KernelInfoReply, LanguageInfo},
    },
};

/// What the enhancement proposal 91 calls shells that run side by side.
const SUBSHELLS: &str = "kernel subshells";

pub(super) fn reply(desk: &Desk) -> KernelInfoReply {
    let language = desk.engine.language();
    let features = if desk.engine.has_shells() {
        vec![SUBSHELLS.to_owned()]
    } else {
        Vec::new()
    };
    let version = env!("CARGO_PKG_VERSION");
    KernelInfoReply {
        protocol_version: PROTOCOL_VERSION.to_owned(),
        implementation: "aikit".to_owned(),
        implementation_version: version.to_owned(),
        banner: format!("aikit {version}: {} {}", language.name, language.version),
        language_info: LanguageInfo {
            name: language.name.to_owned(),
            version: language.version,
            mimetype: language.mimetype.to_owned(),
            file_extension: language.file_extension.to_owned(),
            pygments_lexer: language.pygments_lexer.to_owned(),
            codemirror_mode: language.codemirror_mode.to_owned(),
        },
        debugger: false,
        supported_features: features,
        help_links: Vec::new(),
    }
}
