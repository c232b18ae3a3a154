//! The loop of an agent: ask the model, call the tools it asks for, until it answers.

mod step;

use std::sync::{Arc, Mutex, PoisonError};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    agent::{AgentRun, Step, ToolUse},
    context::{Caller, Overrides},
    event::EventKind,
    hook::{AGENT, AGENT_STEP, Hooked, around},
    model::{
        ChatEvent, ChatRequest, ChatResponse, FinishReason, Message, Part, Role, ToolCall,
        ToolResult,
    },
    tool::{DynTool, ToolContext},
    tracker::{Limited, Operation, track},
    value::Map,
};
use futures::{FutureExt as _, StreamExt as _, stream};

use self::step::{Done, StepCall};
use super::{Input, Parts, limits};
use crate::{models, telemetry::genai, tools};

/// Tool calls of one answer that run at the same time.
const PARALLEL_TOOL_CALLS: usize = 4;

/// Runs an agent as one procedure; see [`super::Agent::run`].
pub(super) async fn run(parts: &Parts, cx: &ToolContext, input: Input) -> Result<AgentRun> {
    let operation = Operation::new(format!("agent {}", parts.options.name));
    let operation = operation.with_span(|| {
        let options = &parts.options;
        let (model, instructions) = (options.model.name(), &options.instructions);
        genai::agent(&options.name, model, instructions, &input.prompt)
    });
    track(&cx.context, operation, |inner| async move {
        let cx = cx.with_context(inner);
        let mut call = Call {
            parts,
            cx: &cx,
            done: Mutex::default(),
        };
        let ended = around(&cx.context, &AGENT, &mut call, input).await;
        // Hooks that took too long lose no run either.
        let ended = ended.and_then(|run| cx.context.check().map(|()| run));
        let done = call.done.into_inner();
        let run = ended.map_err(|error| match done.unwrap_or_else(PoisonError::into_inner) {
            Some(run) if error.run().is_none() => with_run(error, &run),
            _ => error,
        })?;
        let pid = cx.context.node().map(|it| it.pid);
        let run = AgentRun { pid, ..run };
        genai::agent_ended(&cx.context, &run);
        tracing::info!(
            agent = run.agent,
            requests = run.usage.requests,
            input_tokens = run.usage.input_tokens,
            output_tokens = run.usage.output_tokens,
            "an agent has answered"
        );
        Ok(run)
    })
    .await
}

/// A run with hooks around it.
struct Call<'a> {
    parts: &'a Parts,
    cx: &'a ToolContext,
    /// The run that hooks look at afterwards; an error of theirs tells what was done.
    done: Mutex<Option<AgentRun>>,
}

impl Hooked for Call<'_> {
    type Input = Input;
    type Output = AgentRun;

    fn show(&self, input: &Input) -> Result<Map> {
        Ok(Map::from_iter([
            (
                "agent".to_owned(),
                Value::from(self.parts.options.name.as_str()),
            ),
            ("input".to_owned(), Value::from(input.prompt.as_str())),
        ]))
    }

    fn change(&self, input: &mut Input, mut changes: Map) -> Result<()> {
        if let Some(prompt) = changes.shift_remove("input") {
            input.prompt = into_text(prompt);
        }
        Ok(())
    }

    async fn call(&mut self, input: Input) -> Result<AgentRun> {
        // Boxed: the loop is large, and agents stand inside agents.
        Box::pin(looped(self.parts, self.cx, input)).await
    }

    fn result(&self, run: &AgentRun) -> Result<Value> {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
        Ok(Value::from(run.output.as_str()))
    }

    fn replace(
        &self,
        input: &Input,
        value: Value,
        previous: Option<&AgentRun>,
    ) -> Result<AgentRun> {
        let output = into_text(value);
        Ok(match previous {
            None => replaced(self.parts, input.clone(), output),
            Some(run) => AgentRun {
                output,
                ..run.clone()
            },
        })
    }
}

fn into_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn replaced(parts: &Parts, input: Input, output: String) -> AgentRun {
    let mut messages = input.history;
    messages.push(Message::text(Role::User, input.prompt));
    messages.push(Message::text(Role::Assistant, output.as_str()));
    AgentRun {
        agent: parts.options.name.clone(),
        output,
        messages,
        ..AgentRun::default()
    }
}

fn with_run(error: Error, run: &AgentRun) -> Error {
    match Value::from_serialize(run) {
        Ok(value) => error.with_run(value),
        // A run is plain data; should that ever fail, the first error says more.
        Err(_) => error,
    }
}

async fn looped(parts: &Parts, cx: &ToolContext, input: Input) -> Result<AgentRun> {
    let options = &parts.options;
    // Arguments that a model chose are never the user's, and the time limit is the run's own.
    let overrides = Overrides {
        caller: Some(Caller::Agent),
        approver: parts.options.approver.clone(),
        timeout: limits::time(&options.limits)?,
        ..Overrides::default()
    };
    let limited = Limited::new(&cx.context, overrides);
    let mut running = Running {
        parts,
        cx: cx.with_context(limited.context().clone()),
        run: AgentRun {
            agent: options.name.clone(),
            messages: input.history,
            ..AgentRun::default()
        },
    };
    let prompt = Message::text(Role::User, input.prompt);
    running.run.messages.push(prompt);
    let outcome = running.until_answer().await;
    // An answer that came too late is in the error, with all that led to it.
    let settled = limited.settle(outcome, |_| {
        limits::out_of_time(&options.limits, &options.name)
    });
    match settled {
        Ok(()) => Ok(running.run),
        Err(error) => Err(with_run(error, &running.run)),
    }
}

/// A run that has not ended.
struct Running<'a> {
    parts: &'a Parts,
    cx: ToolContext,
    run: AgentRun,
}

impl Running<'_> {
    async fn until_answer(&mut self) -> Result<()> {
        loop {
            let done = self.stepped().await?;
            if self.accept(done) {
                return Ok(());
            }
        }
    }

    /// One step with hooks around it: a procedure of its own, below that of the run.
    async fn stepped(&mut self) -> Result<Done> {
        let around_step = self.cx.clone();
        let (number, name) = (self.run.steps.len() + 1, &self.parts.options.name);
        let at = around_step.context.part(Overrides {
            tick: Some(number as u64),
            ..Overrides::default()
        });
        let operation = Operation::new("agent step").with_span(|| genai::step(name, number));
        let running = &mut *self;
        // Boxed: the type would be too deep, and agents stand inside agents.
        let done = track(&at, operation, |inner| {
            let step = async move {
                running.cx = running.cx.with_context(inner.clone());
                let mut step = StepCall::new(running);
                around(&inner, &AGENT_STEP, &mut step, None).await
            };
            step.boxed()
        });
        let done = done.await;
        self.cx = around_step;
        done
    }

    /// Takes what hooks made of a step into the run; answers whether the run is over.
    fn accept(&mut self, done: Done) -> bool {
        let Some(text) = done.given else {
            return done.is_last;
        };
        if let Some(known) = done.in_place_of {
            // The step was left out, or failed: nothing of it stays.
            self.run.messages.truncate(known.messages);
            self.run.steps.truncate(known.steps);
            self.run
                .messages
                .push(Message::text(Role::Assistant, text.as_str()));
            self.run.steps.push(Step {
                text: text.clone(),
                ..Step::default()
            });
            self.run.finish_reason = Some(FinishReason::Stop);
        } else {
            let is_answer = |it: &&mut Message| it.role == Role::Assistant;
            if let Some(message) = self.run.messages.iter_mut().rev().find(is_answer) {
                let is_text = |part: &Part| matches!(part, Part::Text { .. });
                message.parts.retain(|part| !is_text(part));
                message.parts.insert(0, Part::Text { text: text.clone() });
            }
            if let Some(step) = self.run.steps.last_mut() {
                step.text.clone_from(&text);
            }
        }
        self.run.output = text;
        done.is_last
    }

    /// One answer of the model and the tool calls it asks for; answers whether it was the last.
    async fn step(&mut self, messages: Option<Vec<Message>>) -> Result<bool> {
        limits::before_request(&self.parts.options.limits, &self.run)?;
        let response = self.ask(messages).await?;
        self.run.usage += response.usage;
        self.run.output = response.message.to_text();
        self.run.finish_reason = Some(response.finish_reason);
        let calls: Vec<ToolCall> = response.message.tool_calls().cloned().collect();
        let step = Step {
            text: self.run.output.clone(),
            tool_calls: Vec::new(),
            usage: response.usage,
        };
        let allowed = limits::before_tool_calls(&self.parts.options.limits, &self.run, calls.len());
        self.run.steps.push(step);
        self.run.messages.push(response.message);
        self.tell_usage();
        allowed?;
        if calls.is_empty() {
            return Ok(true);
        }
        self.call_tools(calls).await?;
        Ok(false)
    }

    /// One request to the model. It is streamed only when somebody would see the pieces.
    async fn ask(&self, given: Option<Vec<Message>>) -> Result<ChatResponse> {
        let options = &self.parts.options;
        let said = given.as_ref().unwrap_or(&self.run.messages);
        let mut messages = Vec::with_capacity(said.len() + 1);
        if !options.instructions.is_empty() {
            let instructions = options.instructions.as_str();
            messages.push(Message::text(Role::System, instructions));
        }
        messages.extend_from_slice(said);
        let request = ChatRequest {
            messages,
            tools: self.parts.definitions.clone(),
            ..ChatRequest::default()
        };
        if !self.cx.context.is_observed() {
            return models::complete(&self.cx, &options.model, request).await;
        }
        let mut events = models::stream(&self.cx, &options.model, request);
        while let Some(event) = events.next().await {
            match event? {
                ChatEvent::Text(text) => {
                    let data = [("text", Value::from(text))];
                    self.tell(EventKind::AgentTextDelta, data);
                }
                ChatEvent::Done(response) => return Ok(*response),
                _ => {}
            }
        }
        Err(Error::internal("a stream of a model ended without `Done`"))
    }

    /// Calls the tools of one answer, a few at a time, and adds what they answered in the order
    /// of the calls.
    async fn call_tools(&mut self, calls: Vec<ToolCall>) -> Result<()> {
        let mut uses = Vec::with_capacity(calls.len());
        {
            let running = &*self;
            let mut answers = stream::iter(calls)
                .map(|call| running.call_tool(call))
                .buffered(PARALLEL_TOOL_CALLS);
            while let Some(used) = answers.next().await {
                uses.push(used?);
            }
        }
        let result = |used: &ToolUse| {
            Part::ToolResult(ToolResult {
                id: used.id.clone(),
                name: used.name.clone(),
                content: used.result.clone(),
                is_error: used.is_error,
            })
        };
        self.run.messages.push(Message {
            role: Role::Tool,
            parts: uses.iter().map(result).collect(),
        });
        if let Some(step) = self.run.steps.last_mut() {
            step.tool_calls = uses;
        }
        Ok(())
    }

    /// Calls one tool. Only the end of the whole run is an error here; everything else is told to
    /// the model.
    async fn call_tool(&self, call: ToolCall) -> Result<ToolUse> {
        let named = [
            ("id", Value::from(call.id.as_str())),
            ("name", Value::from(call.name.as_str())),
        ];
        let arguments = ("arguments", call.arguments.clone());
        self.tell(
            EventKind::AgentToolCall,
            named.clone().into_iter().chain([arguments]),
        );
        let answer = match self.prepared(&call) {
            Ok((tool, args)) => tools::invoke_as(&self.cx, tool, args, Some(&call.id)).await,
            Err(error) => Err(error),
        };
        self.cx.context.check()?;
        // A user who pressed stop while a function of theirs ran meant the run, not the call; and
        // what a cassette does not have is a fault of the test, which no model can mend.
        let answer = match answer {
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Interrupted | ErrorKind::CassetteMiss
                ) =>
            {
                return Err(error);
            }
            answer => answer,
        };
        let is_error = answer.is_err();
        let result = answer.unwrap_or_else(|error| as_data(&error));
        let told = [
            ("result", result.clone()),
            ("is_error", Value::from(is_error)),
        ];
        self.tell(EventKind::AgentToolResult, named.into_iter().chain(told));
        Ok(ToolUse {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
            result,
            is_error,
        })
    }

    /// The tool that is meant and its arguments.
    fn prepared(&self, call: &ToolCall) -> Result<(&Arc<dyn DynTool>, Value)> {
        let tools = &self.parts.options.tools;
        let Some(tool) = tools.iter().find(|it| it.spec().name == call.name) else {
            let known: Vec<_> = tools.iter().map(|it| it.spec().name.as_str()).collect();
            let message = format!("no tool named `{}`", call.name);
            let hint = match known.as_slice() {
                [] => "there are no tools: answer without them".to_owned(),
                known => format!("the tools are: {}", known.join(", ")),
            };
            return Err(Error::not_found(message).with_hint(hint));
        };
        if let Value::String(text) = &call.arguments {
            let message = format!(
                "the arguments of `{}` are not a JSON object: {text}",
                call.name
            );
            return Err(Error::invalid_args(message).with_hint(tool.spec().usage()));
        }
        Ok((tool, call.arguments.clone()))
    }

    fn tell_usage(&self) {
        let usage = self.run.usage;
        let data = [
            ("requests", Value::from(usage.requests)),
            ("input_tokens", Value::from(usage.input_tokens)),
            ("output_tokens", Value::from(usage.output_tokens)),
            (
                "cached_input_tokens",
                Value::from(usage.cached_input_tokens),
            ),
            ("reasoning_tokens", Value::from(usage.reasoning_tokens)),
        ];
        self.tell(EventKind::AgentUsage, data);
    }

    /// Publishes an event of this run, with the agent's name and the number of the step.
    fn tell(&self, kind: EventKind, data: impl IntoIterator<Item = (&'static str, Value)>) {
        if !self.cx.context.is_observed() {
            return;
        }
        // Text and calls belong to the answer that is not, or is just, the last step.
        let step = match kind {
            EventKind::AgentTextDelta => self.run.steps.len() + 1,
            _ => self.run.steps.len(),
        };
        let common = [
            ("agent", Value::from(self.parts.options.name.as_str())),
            ("step", Value::from(step)),
        ];
        self.cx
            .context
            .emit(kind, Value::map(common.into_iter().chain(data)));
    }
}

/// An error as a tool's result: what went wrong and what the model can do about it.
fn as_data(error: &Error) -> Value {
    let mut told = vec![
        ("kind", Value::from(error.kind().code())),
        ("message", Value::from(error.message())),
    ];
    if let Some(hint) = error.hint() {
        told.push(("hint", Value::from(hint)));
    }
    Value::map([("error", Value::map(told))])
}
