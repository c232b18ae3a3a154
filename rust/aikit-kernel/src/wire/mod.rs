//! The Jupyter messages as plain data; no behaviour, no sockets.

pub mod comm;
pub mod complete;
pub mod display;
pub mod execute;
pub mod frame;
pub mod header;
pub mod history;
pub mod input;
pub mod inspect;
pub mod is_complete;
pub mod kernel_info;
pub mod lifecycle;
pub mod status;
pub mod subshell;
mod surrogates;

use bytes::Bytes;
use serde_json::Value;

use self::{
    comm::{CommClose, CommInfoReply, CommInfoRequest, CommMsg, CommOpen},
    complete::{CompleteReply, CompleteRequest},
    display::{ClearOutput, DisplayData, ExecuteResult, Stream, UpdateDisplayData},
    execute::{ExecuteError, ExecuteInput, ExecuteReply, ExecuteRequest},
    history::{HistoryReply, HistoryRequest},
    input::{InputReply, InputRequest},
    inspect::{InspectReply, InspectRequest},
    is_complete::{IsCompleteReply, IsCompleteRequest},
    kernel_info::{KernelInfoReply, KernelInfoRequest},
    lifecycle::{InterruptReply, InterruptRequest, ShutdownReply, ShutdownRequest},
    status::{IopubWelcome, Status},
    subshell::{
        CreateSubshellReply, CreateSubshellRequest, DeleteSubshellReply, DeleteSubshellRequest,
        ListSubshellReply, ListSubshellRequest,
    },
};

/// A JSON object.
pub type Object = serde_json::Map<String, Value>;

// One row per message; the enum, its names, its parser and its conversions follow.
macro_rules! messages {
    ($($(#[$doc:meta])* $payload:ident => $name:literal,)+) => {
        /// Content of a Jupyter message.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Content {
            $($(#[$doc])* $payload($payload),)+
            /// A message this kernel does not know, or a reply that is none of the above; kept so
            /// that it can be reported.
            Unknown {
                /// Its `msg_type`.
                msg_type: String,
                /// Its content, unread.
                content: Object,
            },
        }

        impl Content {
            /// Every known `msg_type`, in table order.
            pub const NAMES: &[&str] = &[$($name),+];

            /// The `msg_type` of the header.
            pub fn msg_type(&self) -> &str {
                match self {
                    $(Self::$payload(_) => $name,)+
                    Self::Unknown { msg_type, .. } => msg_type,
                }
            }

            /// Reads the content of a message of type `msg_type`.
            ///
            /// # Errors
            ///
            /// When the bytes are not JSON, or the content of a known message does not fit its
            /// type.
            pub fn parse(msg_type: &str, content: &[u8]) -> serde_json::Result<Self> {
                Ok(match msg_type {
                    $($name => Self::$payload(serde_json::from_slice(content)?),)+
                    _ => Self::Unknown {
                        msg_type: msg_type.to_owned(),
                        content: serde_json::from_slice(content)?,
                    },
                })
            }

            /// Writes the content.
            ///
            /// # Errors
            ///
            /// When a payload cannot be written as JSON.
            pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
                match self {
                    $(Self::$payload(payload) => serde_json::to_vec(payload),)+
                    Self::Unknown { content, .. } => serde_json::to_vec(content),
                }
            }
        }

        $(impl From<$payload> for Content {
            fn from(payload: $payload) -> Self {
                Self::$payload(payload)
            }
        })+
    };
}

impl Content {
    /// Binary data that travels behind the message; only comms have some.
    pub fn buffers(&self) -> &[Bytes] {
        match self {
            Self::CommOpen(it) => &it.buffers,
            Self::CommMsg(it) => &it.buffers,
            Self::CommClose(it) => &it.buffers,
            _ => &[],
        }
    }

    /// Takes the binary data that came behind the message, where it has a place for it.
    pub fn set_buffers(&mut self, buffers: Vec<Bytes>) {
        match self {
            Self::CommOpen(it) => it.buffers = buffers,
            Self::CommMsg(it) => it.buffers = buffers,
            Self::CommClose(it) => it.buffers = buffers,
            _ => {}
        }
    }
}

messages! {
    /// See [`ExecuteRequest`].
    ExecuteRequest => "execute_request",
    /// See [`ExecuteReply`].
    ExecuteReply => "execute_reply",
    /// See [`ExecuteInput`].
    ExecuteInput => "execute_input",
    /// See [`ExecuteResult`].
    ExecuteResult => "execute_result",
    /// See [`ExecuteError`].
    ExecuteError => "error",
    /// See [`Stream`].
    Stream => "stream",
    /// See [`DisplayData`].
    DisplayData => "display_data",
    /// See [`UpdateDisplayData`].
    UpdateDisplayData => "update_display_data",
    /// See [`ClearOutput`].
    ClearOutput => "clear_output",
    /// See [`Status`].
    Status => "status",
    /// See [`IopubWelcome`].
    IopubWelcome => "iopub_welcome",
    /// See [`KernelInfoRequest`].
    KernelInfoRequest => "kernel_info_request",
    /// See [`KernelInfoReply`].
    KernelInfoReply => "kernel_info_reply",
    /// See [`CompleteRequest`].
    CompleteRequest => "complete_request",
    /// See [`CompleteReply`].
    CompleteReply => "complete_reply",
    /// See [`InspectRequest`].
    InspectRequest => "inspect_request",
    /// See [`InspectReply`].
    InspectReply => "inspect_reply",
    /// See [`IsCompleteRequest`].
    IsCompleteRequest => "is_complete_request",
    /// See [`IsCompleteReply`].
    IsCompleteReply => "is_complete_reply",
    /// See [`HistoryRequest`].
    HistoryRequest => "history_request",
    /// See [`HistoryReply`].
    HistoryReply => "history_reply",
    /// See [`CommInfoRequest`].
    CommInfoRequest => "comm_info_request",
    /// See [`CommInfoReply`].
    CommInfoReply => "comm_info_reply",
    /// See [`CommOpen`].
    CommOpen => "comm_open",
    /// See [`CommMsg`].
    CommMsg => "comm_msg",
    /// See [`CommClose`].
    CommClose => "comm_close",
    /// See [`InputRequest`].
    InputRequest => "input_request",
    /// See [`InputReply`].
    InputReply => "input_reply",
    /// See [`InterruptRequest`].
    InterruptRequest => "interrupt_request",
    /// See [`InterruptReply`].
    InterruptReply => "interrupt_reply",
    /// See [`ShutdownRequest`].
    ShutdownRequest => "shutdown_request",
    /// See [`ShutdownReply`].
    ShutdownReply => "shutdown_reply",
    /// See [`CreateSubshellRequest`].
    CreateSubshellRequest => "create_subshell_request",
    /// See [`CreateSubshellReply`].
    CreateSubshellReply => "create_subshell_reply",
    /// See [`DeleteSubshellRequest`].
    DeleteSubshellRequest => "delete_subshell_request",
    /// See [`DeleteSubshellReply`].
    DeleteSubshellReply => "delete_subshell_reply",
    /// See [`ListSubshellRequest`].
    ListSubshellRequest => "list_subshell_request",
    /// See [`ListSubshellReply`].
    ListSubshellReply => "list_subshell_reply",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, name) in Content::NAMES.iter().enumerate() {
            assert!(!Content::NAMES[..index].contains(name), "{name}");
        }
    }

    #[test]
    fn an_unknown_message_keeps_its_type_and_content() {
        let content = Content::parse("make_tea_request", br#"{"milk":true}"#).unwrap();
        assert_eq!(content.msg_type(), "make_tea_request");
        assert_eq!(content.to_bytes().unwrap(), br#"{"milk":true}"#);
    }

    #[test]
    fn an_execute_request_takes_the_defaults_of_the_specification() {
        let content = Content::parse("execute_request", br#"{"code":"1"}"#).unwrap();
        let expected = ExecuteRequest {
            code: "1".to_owned(),
            silent: false,
            store_history: true,
            user_expressions: Object::new(),
            allow_stdin: false,
            stop_on_error: true,
        };
        assert_eq!(content, Content::from(expected));
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        let error = Content::parse("execute_request", br#"{"code":1}"#).unwrap_err();
        assert!(error.is_data());
        assert!(error.to_string().contains("expected a string"), "{error}");
    }
}
