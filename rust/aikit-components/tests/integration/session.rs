//! A session as the tests need it: tools, policy and guards over a temporary working directory.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use aikit_components::{
    config,
    http::GuardedClient,
    security::{
        hosts::HostRule,
        policy::{Profile, TablePolicy},
        process::ProcessGuard,
        questions::QuestionGuard,
        roots,
        sandbox::PathGuard,
    },
    tools::{self, Registry},
};
use aikit_core::{
    Context, Result, Value,
    context::{Caller, Overrides},
    services::{Ask, Files, Question, Services},
    tool::ToolContext,
};
use futures::future::BoxFuture;

use crate::support::wait;

/// The questions that were asked, each answered with the same word.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) answer: String,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Ask for Answers {
    fn ask<'a>(&'a self, _: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        self.asked.lock().unwrap().push(question.prompt);
        Box::pin(async { Ok(self.answer.clone()) })
    }
}

/// Answers every question with the question in capitals.
#[derive(Debug)]
struct Loud;

impl Ask for Loud {
    fn ask<'a>(&'a self, _: &'a Context, question: Question) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move { Ok(question.prompt.to_uppercase()) })
    }
}

/// What a test sets.
#[derive(Debug, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) caller: Caller,
    pub(crate) hosts: &'a [&'a str],
    pub(crate) ask: Option<Arc<Answers>>,
    /// Whether somebody answers with the question in capitals.
    pub(crate) loud: bool,
    pub(crate) served: bool,
}

/// A notebook session over `folder`.
pub(crate) fn open(folder: &Path, setup: Setup<'_>) -> ToolContext {
    let roots = roots::resolve(&[folder.to_owned()]).unwrap();
    let hosts = setup
        .hosts
        .iter()
        .map(|it| HostRule::parse(it).unwrap())
        .collect();
    let profile = if setup.served {
        Profile::Served
    } else {
        Profile::Notebook
    };
    let policy = Arc::new(TablePolicy::new(profile, roots.clone(), hosts));
    let ask = setup.ask.map(|it| it as Arc<dyn Ask>);
    let ask = ask.or_else(|| setup.loud.then(|| Arc::new(Loud) as Arc<dyn Ask>));
    let files = PathGuard::new(&roots, policy.clone(), ask.clone()).unwrap();
    let files: Arc<dyn Files> = Arc::new(files);
    let processes = ProcessGuard::new(
        policy.clone(),
        ask.clone(),
        files.clone(),
        (roots[0].clone(), config::environment()),
    );
    let http = GuardedClient::new(policy.clone(), ask.clone());
    let services = Services {
        policy: Some(policy),
        files: Some(files),
        processes: Some(Arc::new(processes)),
        http: Some(Arc::new(http)),
        ask: ask.map(|it| Arc::new(QuestionGuard::new(it)) as Arc<dyn Ask>),
        ..Services::default()
    };
    let overrides = Overrides {
        caller: Some(setup.caller),
        ..Overrides::default()
    };
    ToolContext {
        context: Context::create(overrides),
        services: Arc::new(services),
    }
}

/// Calls a built-in tool and waits.
pub(crate) fn invoke(cx: &ToolContext, tool: &str, args: Value) -> Result<Value> {
    let tool = Registry::with_built_ins().find(tool)?;
    let cx = cx.clone();
    wait(async move { tools::invoke(&cx, &tool, args).await })
}
