//! Pages: HTML from files and from servers, through the guarded client.

use std::fs;

use aikit_components::rag::{Rag, RagOptions};
use aikit_core::{ErrorKind, context::Caller, tool::ToolContext};

use super::{ingest, open, path, search};
use crate::{
    loopback::{Server, ok, redirect},
    session::{self, Setup},
};

const PAGE: &str = "<html><head><title>Owls</title></head><body><nav>Menu Home</nav><main>\
    <h1>All owls</h1><p>Owls hunt mice.</p><h2>Barn owls</h2><p>They nest in barns.</p></main>\
    </body></html>";

fn html(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn here() -> (tempfile::TempDir, ToolContext, Rag) {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), Setup::default());
    (folder, cx, open(RagOptions::default()).unwrap())
}

#[test]
fn a_page_in_a_file_is_read_without_its_navigation() {
    let (folder, cx, rag) = here();
    fs::write(folder.path().join("owls.html"), PAGE).unwrap();
    assert_eq!(ingest(&rag, &cx, vec![path(".")]).unwrap().added, 1);
    let hit = search(&rag, &cx, "nest in barns", 1).unwrap().remove(0);
    assert_eq!(
        (hit.source.as_str(), hit.title.as_deref()),
        ("owls.html", Some("Owls"))
    );
    assert_eq!(hit.headings[..1], ["All owls"]);
    assert!(!hit.text.contains("Menu") && !hit.text.contains('<'));
    let hits = search(&rag, &cx, "menu home", 5).unwrap();
    assert!(hits.iter().all(|hit| hit.scores.keyword.is_none()));
}

#[test]
fn pages_are_fetched_and_one_that_fails_does_not_stop_the_rest() {
    let server = Server::start(|head| match head.split(' ').nth(1).unwrap_or_default() {
        "/owls" => html(PAGE),
        "/notes.md" => ok("# Notes\n\nRivers flow to the sea."),
        "/moved" => redirect(302, "/owls"),
        "/image" => {
            "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 2\r\n\r\n\x01\x02"
                .to_owned()
        }
        _ => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
    });
    let (_folder, cx, rag) = here();
    let pages = ["/owls#top", "/notes.md", "/moved", "/image", "/gone"];
    let sources = || {
        pages
            .iter()
            .map(|it| path(&server.url(it)))
            .collect::<Vec<_>>()
    };
    let report = ingest(&rag, &cx, sources()).unwrap();
    assert_eq!(report.added, 3);
    let failed: Vec<(&str, &str)> = report
        .failed
        .iter()
        .map(|it| (it.source.rsplit('/').next().unwrap(), it.kind.as_str()))
        .collect();
    assert_eq!(failed, [("gone", "not_found"), ("image", "invalid_args")]);
    let hit = search(&rag, &cx, "rivers", 1).unwrap().remove(0);
    assert_eq!(
        (hit.source, hit.title.as_deref()),
        (server.url("/notes.md"), Some("Notes"))
    );
    assert_eq!(ingest(&rag, &cx, sources()).unwrap().unchanged, 3);
    // Pages are below no folder, so no folder makes them gone.
    drop(ingest(&rag, &cx, vec![path(".")]));
    assert_eq!(search(&rag, &cx, "rivers", 1).unwrap().len(), 1);
}

#[test]
fn a_page_that_the_policy_denies_is_not_fetched() {
    let server = Server::start(|_| html(PAGE));
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup {
        caller: Caller::Agent,
        ..Setup::default()
    };
    let cx = session::open(folder.path(), setup);
    let rag = open(RagOptions::default()).unwrap();
    for address in [
        server.url("/owls"),
        "http://169.254.169.254/latest".to_owned(),
    ] {
        let report = ingest(&rag, &cx, vec![path(&address)]).unwrap();
        assert_eq!((report.added, report.failed.len()), (0, 1));
        let kinds = [ErrorKind::Denied.code(), ErrorKind::ApprovalNeeded.code()];
        assert!(
            kinds.contains(&report.failed[0].kind.as_str()),
            "{report:?}"
        );
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}
