//! Where models may be: the policy decides over every address a request would go to.

use std::sync::Arc;

use aikit_components::{
    config::{ModelsConfig, Variables},
    http::GuardedClient,
    models::Catalogue,
    security::policy::{Profile, TablePolicy},
};
use aikit_core::{
    Error, ErrorKind,
    services::{ModelOptions, Models as _},
};

use crate::support::{
    asking, catalogue, complete,
    server::{HELLO, Reply, Server},
};

/// The error of asking the model at `base_url`, before anything is sent.
fn refusal(catalogue: &Catalogue, base_url: &str) -> Error {
    let options = ModelOptions {
        base_url: Some(base_url.to_owned()),
        ..ModelOptions::default()
    };
    let model = catalogue.chat(Some("tiny"), options).unwrap();
    complete(model, asking("hi")).unwrap_err()
}

#[test]
fn no_model_is_asked_for_at_a_metadata_or_private_address() {
    let forbidden = [
        "http://169.254.169.254/v1",
        "http://[fe80::1]/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://192.168.7.7:8080/v1",
        "http://user:secret@10.0.0.7/v1",
    ];
    for base_url in forbidden {
        let error = refusal(&catalogue(), base_url);
        assert_eq!(error.kind(), ErrorKind::Denied, "{base_url}: {error}");
        assert!(error.hint().is_some() && !error.message().contains("secret"));
    }
}

#[test]
fn a_served_session_reaches_models_on_the_allow_list_and_the_owners_own() {
    let server = Server::start(vec![Reply::json(200, HELLO), Reply::json(200, HELLO)]);
    let address = server.base_url.clone();
    let in_session = |variables: Variables| {
        let policy = TablePolicy::new(Profile::Served, Vec::new(), Vec::new())
            .with_model_hosts(Catalogue::owners_hosts(&variables));
        let http = GuardedClient::new(Arc::new(policy), None);
        Catalogue::new(variables, ModelsConfig::default(), Arc::new(http)).unwrap()
    };
    let error = refusal(&in_session(Variables::none()), &address);
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(
        error.hint().unwrap().contains("AIKIT_SECURITY__HOSTS"),
        "{error:?}"
    );
    let own = address.clone();
    let catalogue = in_session(Variables::of([("OPENAI_COMPATIBLE_BASE_URL", own)]));
    for base_url in [None, Some(address)] {
        let options = ModelOptions {
            base_url,
            ..ModelOptions::default()
        };
        let model = catalogue.chat(Some("openai-compatible:tiny"), options);
        complete(model.unwrap(), asking("hi")).unwrap();
    }
    assert_eq!(server.requests().len(), 2);
    // Even the owner cannot name the metadata service.
    let catalogue = in_session(Variables::of([(
        "OPENAI_COMPATIBLE_BASE_URL",
        "http://169.254.169.254/v1",
    )]));
    let model = catalogue.chat(Some("openai-compatible:tiny"), ModelOptions::default());
    let error = complete(model.unwrap(), asking("hi")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}
