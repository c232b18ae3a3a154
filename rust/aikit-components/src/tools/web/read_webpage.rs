//! `read_webpage`: fetches a page and gives what it says.

use std::{collections::BTreeMap, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, io,
    services::{HttpRequest, HttpResponse, Permission},
    tool::{Tool, ToolContext},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::html::{self, Content, Page};

/// Largest page, after decompression.
const PAGE_BYTES_MAX: u64 = 8 << 20;

/// Longest content that is given, in bytes: the answer must stay below the limit of all answers.
const CONTENT_BYTES_MAX: usize = 512 << 10;

/// Most links that are given.
const LINKS_MAX: usize = 500;

const FETCH_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct ReadWebpage;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// Absolute address, http or https.
    url: String,
    /// CSS selector of the parts to read, such as `article` or `#content h2`.
    selector: Option<String>,
    /// How the content is written: `markdown`, plain `text`, or clean `html`.
    #[serde(default)]
    format: Format,
    /// Whether its links are listed.
    #[serde(default)]
    links: bool,
    /// Whether what the page says about itself is given: description, author, language, …
    #[serde(default)]
    metadata: bool,
    /// Whether navigation, header, footer and asides are left out; not with `selector`.
    #[serde(default = "yes")]
    main_content: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Markdown,
    Text,
    Html,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Output {
    /// Address that answered, after redirects.
    url: String,
    /// Title of the page.
    title: Option<String>,
    /// What the page says; empty where the selector finds nothing.
    content: String,
    /// Links of the content, each address once; null unless asked for.
    links: Option<Vec<Link>>,
    /// What the page says about itself, by name; null unless asked for.
    metadata: Option<BTreeMap<String, String>>,
    /// Whether the content or the links are cut.
    limited: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
struct Link {
    /// What a reader sees of it.
    text: String,
    /// Where it leads.
    url: String,
}

impl Tool for ReadWebpage {
    const NAME: &'static str = "read_webpage";
    const SUMMARY: &'static str =
        "Fetches a web page and gives its main content as Markdown, text or clean HTML.";
    const PERMISSIONS: &'static [Permission] = &[Permission::Network];
    type Args = Args;
    type Output = Output;

    async fn call(&self, cx: &ToolContext, args: Args) -> Result<Output> {
        let address = Url::parse(&args.url).map_err(|error| {
            Error::invalid_args(format!("`{}` is not an absolute URL", args.url))
                .with_hint("write the whole address, such as `https://example.org/page`")
                .with_source(error)
        })?;
        let accept = "text/html, application/xhtml+xml, text/*;q=0.8, */*;q=0.1";
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: address.into(),
            headers: vec![("accept".to_owned(), accept.to_owned())],
            body: None,
            timeout: FETCH_LIMIT,
            max_bytes: PAGE_BYTES_MAX,
        };
        let response = cx.services.http()?.send(&cx.context, request).await?;
        if !(200..300).contains(&response.status) {
            let message = format!("`{}` answered with status {}", args.url, response.status);
            let kind = match response.status {
                404 | 410 => ErrorKind::NotFound,
                _ => ErrorKind::Network,
            };
            return Err(Error::new(kind, message)
                .with_hint("check the address; `request_http` shows the whole answer"));
        }
        io::spawn_blocking(move || read(&args, &response)).await
    }
}

fn read(args: &Args, response: &HttpResponse) -> Result<Output> {
    let content_type = response
        .headers
        .iter()
        .find(|(name, _)| name == "content-type");
    let content_type = content_type.map(|(_, value)| value.to_lowercase());
    let kind = content_type.as_deref().unwrap_or_default();
    let text = html::decode(&response.body, content_type.as_deref());
    let is_html = kind.is_empty() || kind.contains("html") || kind.contains("xml");
    if !is_html {
        return plain(args, response, kind, &text);
    }
    let address = Url::parse(&response.url).ok();
    let page = Page::parse(&text, address.as_ref());
    let found = match &args.selector {
        Some(selector) => page.select(selector)?,
        None if args.main_content => page.main(),
        None => page.whole(),
    };
    let (content, is_cut) = cut(write(&found, args.format));
    let mut limited = is_cut;
    let links = args.links.then(|| {
        let links = found.links();
        limited |= links.len() > LINKS_MAX;
        let links = links.into_iter().take(LINKS_MAX);
        links
            .map(|html::Link { text, url }| Link { text, url })
            .collect()
    });
    Ok(Output {
        url: response.url.clone(),
        title: page.title(),
        content,
        links,
        metadata: args.metadata.then(|| page.metadata()),
        limited,
    })
}

fn write(found: &Content<'_>, format: Format) -> String {
    match format {
        Format::Markdown => found.to_markdown(),
        Format::Text => found.to_text(),
        Format::Html => found.to_html(),
    }
}

/// A text that is no page is given as it is.
fn plain(args: &Args, response: &HttpResponse, kind: &str, text: &str) -> Result<Output> {
    if !kind.starts_with("text/") && !kind.contains("json") {
        let message = format!("`{}` is not a page: its type is `{kind}`", args.url);
        return Err(Error::invalid_args(message)
            .with_hint("fetch it with `request_http`, which gives bytes"));
    }
    if args.selector.is_some() {
        let message = format!("`{}` is no HTML, so a selector finds nothing", args.url);
        return Err(Error::invalid_args(message).with_hint("leave `selector` out"));
    }
    let (content, limited) = cut(text.to_owned());
    Ok(Output {
        url: response.url.clone(),
        title: None,
        content,
        links: args.links.then(Vec::new),
        metadata: args.metadata.then(BTreeMap::new),
        limited,
    })
}

fn cut(mut text: String) -> (String, bool) {
    if text.len() <= CONTENT_BYTES_MAX {
        return (text, false);
    }
    let mut end = CONTENT_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    (text, true)
}
