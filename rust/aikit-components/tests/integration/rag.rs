//! `Rag` on real files, behind the real path guard.

mod answer;
mod cancelled;
mod evaluated;
mod faults;
mod hybrid;
mod ingest;
mod keyword;
mod pages;
mod quality;
mod search;
mod tracked;

use std::{path::Path, sync::Arc};

use aikit_components::{
    rag::{Hit, IngestOptions, IngestReport, Rag, RagOptions, SearchOptions, Source},
    security::{
        policy::{Profile, TablePolicy},
        sandbox::PathGuard,
    },
};
use aikit_core::{Context, Result, services::Services, tool::ToolContext};

use crate::support::wait;

/// A call that may read what is below `folder`, which is its working directory.
pub(crate) fn context_in(folder: &Path) -> ToolContext {
    let roots = vec![folder.canonicalize().unwrap()];
    let policy = Arc::new(TablePolicy::new(
        Profile::Notebook,
        roots.clone(),
        Vec::new(),
    ));
    let files = PathGuard::new(&roots, policy, None).unwrap();
    ToolContext {
        context: Context::default(),
        services: Arc::new(Services {
            files: Some(Arc::new(files)),
            ..Services::default()
        }),
    }
}

pub(crate) fn open(options: RagOptions) -> Result<Rag> {
    wait(async move { Rag::open(&Context::default(), options).await })
}

pub(crate) fn ingest(rag: &Rag, cx: &ToolContext, sources: Vec<Source>) -> Result<IngestReport> {
    ingest_with(rag, cx, sources, IngestOptions::default())
}

pub(crate) fn ingest_with(
    rag: &Rag,
    cx: &ToolContext,
    sources: Vec<Source>,
    options: IngestOptions,
) -> Result<IngestReport> {
    let (rag, cx) = (rag.clone(), cx.clone());
    wait(async move { rag.ingest(&cx, sources, options).await })
}

pub(crate) fn search(rag: &Rag, cx: &ToolContext, query: &str, k: usize) -> Result<Vec<Hit>> {
    let (rag, cx, query) = (rag.clone(), cx.clone(), query.to_owned());
    wait(async move {
        rag.search(
            &cx,
            &query,
            SearchOptions {
                k,
                ..SearchOptions::default()
            },
        )
        .await
    })
}

pub(crate) fn path(path: &str) -> Source {
    Source::Path(path.to_owned())
}

pub(crate) fn sources(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.source.as_str()).collect()
}
