//! A model whose answers a function of a script or a program computes.

use std::sync::Arc;

use aikit_core::{
    Error, ErrorKind, Result, Value,
    context::Context,
    model::{ChatEvent, ChatModel, ChatRequest, ChatResponse},
    script::Callable,
};
use futures::{FutureExt as _, future::BoxFuture, stream::BoxStream};

use super::{
    answer::{Answer, messages_value, tools_value},
    scripted::in_pieces,
};

/// Asks a function for each answer. It gets one argument, `{messages, tools}`, and answers a text
/// or `{text, tool_calls}`.
#[derive(Clone, Debug)]
pub struct FunctionModel {
    name: String,
    function: Arc<dyn Callable>,
}

impl FunctionModel {
    /// Makes a model of `function`; its full name is `function:NAME`.
    pub fn new(name: &str, function: Arc<dyn Callable>) -> Self {
        let name = format!("function:{name}");
        Self { name, function }
    }

    /// The function stands for a model, so what it raises is a fault of the model, unless it says
    /// itself what it is.
    fn fault(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::ToolFailed | ErrorKind::Script) {
            return error;
        }
        Error::new(
            ErrorKind::Model,
            format!("`{}`: {}", self.name, error.message()),
        )
        .with_traceback(error.traceback().to_vec())
        .with_source(error)
    }

    async fn answer(&self, cx: &Context, request: ChatRequest) -> Result<ChatResponse> {
        let argument = Value::map([
            ("messages", messages_value(&request.messages)?),
            ("tools", tools_value(&request.tools)),
        ]);
        let answered = cx.within(self.function.call(cx, vec![argument])).await?;
        let answered = answered.map_err(|error| self.fault(error))?;
        let answer = Answer::parse(answered).map_err(|error| {
            let message = format!("`{}`: {error}", self.name);
            Error::new(ErrorKind::BadResponse, message).with_hint(error.hint().unwrap_or_default())
        })?;
        // Each request of a conversation is longer than the one before, so the ids differ.
        let prefix = format!("call_{}", request.messages.len());
        Ok(answer.into_response(&self.name, &request, &prefix))
    }
}

impl ChatModel for FunctionModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn complete<'a>(
        &'a self,
        cx: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<ChatResponse>> {
        self.answer(cx, request).boxed()
    }

    fn stream<'a>(
        &'a self,
        cx: &'a Context,
        request: ChatRequest,
    ) -> BoxFuture<'a, Result<BoxStream<'static, Result<ChatEvent>>>> {
        async move { Ok(in_pieces(self.answer(cx, request).await?)) }.boxed()
    }
}
