//! The guarded client: which addresses it reaches in which spelling, and what redirects carry.

use std::{sync::Arc, time::Duration};

use aikit_core::{
    ErrorKind, Result,
    context::Caller,
    services::{HttpRequest, HttpResponse},
};

use crate::{
    loopback::{Server, ok, redirect},
    session::{self, Answers, Setup},
    support::wait,
};

fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        timeout: Duration::from_secs(10),
        max_bytes: 1000,
    }
}

fn send(setup: Setup<'_>, request: HttpRequest) -> Result<HttpResponse> {
    let folder = tempfile::tempdir().unwrap();
    let cx = session::open(folder.path(), setup);
    wait(async move { cx.services.http()?.send(&cx.context, request).await })
}

fn get(url: &str) -> Result<HttpResponse> {
    send(Setup::default(), request("GET", url))
}

#[test]
fn private_metadata_and_reserved_addresses_are_denied_in_every_spelling() {
    for host in [
        "169.254.169.254",
        "169.254.169.254.",
        "0251.0376.0251.0376",
        "0xa9.0xfe.0xa9.0xfe",
        "0xa9fea9fe",
        "2852039166",
        "169.254.43518",
        "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
        "169%2e254%2e169%2e254",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0",
        "[::]",
        "255.255.255.255",
        "224.0.0.1",
        "10.0.0.1",
        "012.0.0.1",
        "0xa.1",
        "167772161",
        "172.16.0.1",
        "192.168.0.1",
        "3232235521",
        "192.168.1",
        "100.64.0.1",
        "[::ffff:10.0.0.1]",
        "[fc00::1]",
        "[fec0::1]",
        "[2002:c0a8:1::]",
        "[64:ff9b::10.0.0.1]",
    ] {
        for scheme in ["http", "https", "HTTP"] {
            let error = get(&format!("{scheme}://{host}:9/latest")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied, "{host}: {error:?}");
        }
    }
}

#[test]
fn loopback_is_reached_by_the_user_in_every_spelling_and_by_no_agent() {
    let server = Server::start(|_| ok("here"));
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "0177.0.0.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
    ] {
        let url = format!("http://{host}:{}/", server.port);
        assert_eq!(get(&url).unwrap().body, "here", "{host}");
        let agent = || Setup {
            caller: Caller::Agent,
            ..Setup::default()
        };
        let error = send(agent(), request("GET", &url)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{host}");
    }
    assert_eq!(server.requests().len(), 8, "a denied request is never sent");
}

#[test]
fn an_agent_reaches_what_is_listed_and_asks_before_it_sends() {
    let server = Server::start(|_| ok("here"));
    let hosts = [format!("127.0.0.1:{}", server.port)];
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let agent = |ask| Setup {
        caller: Caller::Agent,
        hosts: &hosts,
        ask,
        ..Setup::default()
    };
    let url = server.url("/");
    assert_eq!(send(agent(None), request("GET", &url)).unwrap().status, 200);
    let error = send(agent(None), request("POST", &url)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ApprovalNeeded);
    for (answer, allowed) in [("yes", true), ("no", false), ("", false)] {
        let ask = Arc::new(Answers {
            answer: answer.to_owned(),
            ..Answers::default()
        });
        let outcome = send(agent(Some(Arc::clone(&ask))), request("DELETE", &url));
        assert_eq!(outcome.is_ok(), allowed, "{answer}");
        assert!(ask.asked.lock().unwrap()[0].contains("127.0.0.1"));
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_agent_asks_before_it_sends_a_body_whatever_the_method() {
    let server = Server::start(|head| match head {
        it if it.contains(" /elsewhere ") => redirect(307, "/there"),
        _ => ok("here"),
    });
    let hosts = [format!("127.0.0.1:{}", server.port)];
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let agent = |answer: Option<&str>| Setup {
        caller: Caller::Agent,
        hosts: &hosts,
        ask: answer.map(|it| {
            Arc::new(Answers {
                answer: it.to_owned(),
                ..Answers::default()
            })
        }),
        ..Setup::default()
    };
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT"] {
        let mut secret = request(method, &server.url("/"));
        secret.body = Some("a secret".into());
        let error = send(agent(None), secret.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApprovalNeeded, "{method}");
        let error = send(agent(Some("no")), secret).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{method}");
    }
    assert!(
        server.requests().is_empty(),
        "what is not allowed is never sent"
    );

    let setup = agent(Some("yes"));
    let ask = setup.ask.clone().unwrap();
    let mut secret = request("GET", &server.url("/elsewhere"));
    secret.body = Some("a secret".into());
    assert_eq!(send(setup, secret).unwrap().status, 200);
    let asked = ask.asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "each hop carries the body: {asked:?}");
    let port = server.port;
    let prompt = |path: &str| {
        format!(
            "  | a secret\nAllow once: the agent wants to send 8 bytes to `127.0.0.1`, port {port}, \
             with GET to `http://127.0.0.1:{port}{path}`?"
        )
    };
    assert_eq!(*asked, [prompt("/elsewhere"), prompt("/there")]);
}

#[test]
fn every_hop_of_a_redirect_is_checked() {
    for target in [
        "http://169.254.169.254/latest",
        "//169.254.169.254/latest",
        "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/",
        "http://10.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1/",
    ] {
        let server = Server::start(move |head| match head {
            it if it.starts_with("get /first") => redirect(302, "/second"),
            _ => redirect(307, target),
        });
        let error = get(&server.url("/first")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{target}: {error:?}");
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_redirect_to_another_origin_carries_no_credentials() {
    let other = Server::start(|_| ok("there"));
    let location = other.url("/there");
    let first = Server::start(move |head| match head {
        it if it.starts_with("get /same") => redirect(302, "/again"),
        _ => redirect(302, &location),
    });
    let secret = ["authorization", "cookie", "x-api-key", "x-custom"];
    let mut request = request("GET", &first.url("/same"));
    request.headers = secret
        .iter()
        .map(|it| ((*it).to_owned(), "secret".to_owned()))
        .collect();
    request
        .headers
        .push(("accept".to_owned(), "text/plain".to_owned()));
    assert_eq!(send(Setup::default(), request).unwrap().body, "there");
    let within = &first.requests()[1];
    assert!(
        secret
            .iter()
            .all(|it| within.contains(&format!("{it}: secret"))),
        "{within}"
    );
    let across = &other.requests()[0];
    assert!(!across.contains("secret"), "{across}");
    assert!(across.contains("accept: text/plain"), "{across}");
}

#[test]
fn a_redirect_keeps_or_changes_the_method_as_its_status_says() {
    for (method, status, expected) in [
        ("POST", 301, "get"),
        ("POST", 302, "get"),
        ("POST", 303, "get"),
        ("PUT", 303, "get"),
        ("HEAD", 303, "head"),
        ("PUT", 302, "put"),
        ("POST", 307, "post"),
        ("PATCH", 308, "patch"),
    ] {
        let server = Server::start(move |head| {
            if head.contains(" /first ") {
                redirect(status, "/second")
            } else {
                ok("")
            }
        });
        let mut request = request(method, &server.url("/first"));
        request.body = (method != "HEAD").then(|| "text".into());
        let response = send(Setup::default(), request).unwrap();
        assert_eq!(response.url, server.url("/second"));
        let second = &server.requests()[1];
        assert!(
            second.starts_with(&format!("{expected} /second")),
            "{method} {status}: {second}"
        );
        let has_body = second.ends_with("\n\ntext");
        assert_eq!(
            has_body,
            !matches!(expected, "get" | "head"),
            "{method} {status}: {second}"
        );
    }
}

#[test]
fn more_than_ten_redirects_are_too_many() {
    let server = Server::start(|_| redirect(302, "/again"));
    let error = get(&server.url("/")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn an_answer_at_the_limit_is_taken_and_one_beyond_is_not() {
    let server = Server::start(|head| {
        let length = if head.starts_with("get /small") {
            1000
        } else {
            1001
        };
        ok(&"x".repeat(length))
    });
    assert_eq!(get(&server.url("/small")).unwrap().body.len(), 1000);
    let error = get(&server.url("/large")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_server_that_is_not_there_is_an_error_of_the_network() {
    // The port was free a moment ago and nobody listens on it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = get(&format!("http://127.0.0.1:{port}/")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error.message().contains("127.0.0.1") && error.hint().is_some(),
        "{error:?}"
    );
}
