//! `Artifact`: stored outputs with a name, a media type and metadata.

use std::sync::Arc;

use aikit_components::{
    artifacts::{Artifact, ArtifactFilter, ArtifactInfo, Artifacts, PutOptions},
    state::Scope,
};
use aikit_core::{Error, Result, Value, value::Map};

use super::{
    ApiClass, ApiFunction, ApiModule, Args, Call, Kind, Param, Return, Session, optional, required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new(
        NAME,
        "Stored outputs with a name, a media type and metadata; equal contents are kept once.",
    )
};

/// Name of the module and of the class.
const NAME: &str = "Artifact";

/// The field by which an object shows itself.
const SHOWN: &str = "__mime";

const SCOPE: Param = optional(
    "scope",
    Kind::String,
    "Whose they are, as in `State.scope`; `global` when left out.",
);

const PUT: &[Param] = &[
    optional(
        "mime",
        Kind::String,
        "Media type; it follows from the content and the name when left out.",
    ),
    optional("tags", Kind::List(&Kind::String), "Words to find it by."),
    optional("metadata", Kind::Table, "What is known about it."),
    optional(
        "file",
        Kind::String,
        "Path of a file whose content is stored, in place of a value.",
    ),
    SCOPE,
];

const LIST: &[Param] = &[
    optional("tag", Kind::String, "Those that have this tag."),
    optional("prefix", Kind::String, "Those whose names begin so."),
    SCOPE,
];

const WHERE: Param = optional("options", Kind::Options(&[SCOPE]), "Where to look.");

const ARTIFACT_NAME: Param = required("name", Kind::String, "Its name.");

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "put",
        summary: "Stores a content under a name, in place of what was there.",
        params: &[
            ARTIFACT_NAME,
            optional(
                "value",
                Kind::Any,
                "A text, bytes, or data that JSON can hold, up to 64 MiB.",
            ),
            optional("options", Kind::Options(PUT), "How to store it."),
        ],
        returns: "a record with `name`, `hash`, `version`, `size_bytes`, `mime`, `tags`, \
                  `metadata`, `created_s`",
        example: "Artifact.put('report.md', '# Done', {tags = {'draft'}}).mime",
        call: Call::Host(|session, args| Box::pin(put(session.clone(), args))),
    },
    ApiFunction {
        name: "get",
        summary: "Reads an artifact; a notebook shows it by its media type.",
        params: &[ARTIFACT_NAME, WHERE],
        returns: "an `Artifact`",
        example: "Artifact.put('answer', {n = 42}) print(Artifact.get('answer').value.n)",
        call: Call::Host(|session, args| Box::pin(get(session.clone(), args))),
    },
    ApiFunction {
        name: "list",
        summary: "Lists the artifacts by their names.",
        params: &[optional("options", Kind::Options(LIST), "Which ones.")],
        returns: "a list of records as `put` gives them",
        example: "print(#Artifact.list{tag = 'none'})",
        call: Call::Host(|session, args| Box::pin(list(session.clone(), args))),
    },
    ApiFunction {
        name: "delete",
        summary: "Deletes an artifact, and its content when no other has the same.",
        params: &[ARTIFACT_NAME, WHERE],
        returns: "whether there was one",
        example: "Artifact.delete('none')",
        call: Call::Host(|session, args| Box::pin(delete(session.clone(), args))),
    },
];

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "An artifact with its content.",
    constructor: None,
    methods: &[],
    fields: &[
        ("name", "Its name."),
        ("value", "The content: a text, data, or bytes."),
        ("mime", "Media type."),
        ("size_bytes", "Size of the content."),
        ("hash", "BLAKE3 of the content, in hexadecimal digits."),
        ("version", "How often something was put under this name."),
        ("tags", "Words to find it by."),
        ("metadata", "What is known about it."),
        ("created_s", "When it was put, in seconds since 1970 UTC."),
    ],
};

async fn opened(session: &Session, args: &Args, given: &mut Args) -> Result<Artifacts> {
    let scope = given.string("scope").map(|text| text.parse::<Scope>());
    let scope = scope.transpose()?.unwrap_or_default();
    Artifacts::open(&args.cx, &session.components().project, scope).await
}

async fn put(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let artifacts = opened(&session, &args, &mut given).await?;
    let (name, value) = (args.required_string("name")?, args.value("value"));
    let options = PutOptions {
        mime: given.string("mime"),
        tags: given.strings("tags"),
        metadata: match given.value("metadata") {
            Value::Map(metadata) => metadata,
            _ => Map::new(),
        },
    };
    let stored: ArtifactInfo = match given.string("file") {
        None => artifacts.put(&args.cx, &name, &value, options).await?,
        Some(path) if value.is_null() => {
            let cx = session.tool_context(&args.cx);
            artifacts.put_file(&cx, &name, &path, options).await?
        }
        Some(_) => {
            let message = format!("the artifact `{name}` is given a value and a file");
            return Err(Error::invalid_args(message).with_hint("give one of them"));
        }
    };
    Value::from_serialize(&stored).map(Return::Value)
}

async fn get(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let artifacts = opened(&session, &args, &mut given).await?;
    let name = args.required_string("name")?;
    let found: Artifact = artifacts.get(&args.cx, &name).await?;
    let mut fields = match found.to_value()? {
        Value::Map(fields) => fields,
        _ => Map::new(),
    };
    fields.insert(SHOWN.to_owned(), Value::Map(found.bundle()));
    session.insert(NAME, fields, Arc::new(found))
}

async fn list(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let artifacts = opened(&session, &args, &mut given).await?;
    let filter = ArtifactFilter {
        tag: given.string("tag"),
        prefix: given.string("prefix").unwrap_or_default(),
    };
    let found = artifacts.list(&args.cx, &filter).await?;
    Value::from_serialize(&found).map(Return::Value)
}

async fn delete(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let artifacts = opened(&session, &args, &mut given).await?;
    let name = args.required_string("name")?;
    let deleted = artifacts.delete(&args.cx, &name).await?;
    Ok(Return::Value(Value::from(deleted)))
}
