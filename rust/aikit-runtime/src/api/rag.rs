//! `RAG`: documents go in, the chunks that fit a question come out.

use std::sync::Arc;

use aikit_components::rag::{
    self, AskOptions, Embedder, EvaluateOptions, FUSIONS, GONE, IngestOptions, Judged, K_DEFAULT,
    MODES, Rag, RagOptions, Record, SearchOptions, Source, ToolOptions,
};
use aikit_core::{Error, Result, Value, services::ModelOptions, value::Map};

use super::{
    ApiClass, ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session, model,
    optional, ready, required, secret, tool,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new("RAG", "Retrieval: ingest documents, search their chunks.")
};

const OPEN: &[Param] = &[
    optional(
        "embedder",
        Kind::Either(&[Kind::String, Kind::Function]),
        "`lexical` (the default: words, not meaning), `minilm` (meaning; needs the extra of that \
         name), `local:PATH` (a model's folder), `provider:model`, or a function that takes a list \
         of texts and gives a list of vectors.",
    )
    .one_of(&["lexical", "minilm"]),
    optional(
        "dim",
        Kind::Integer,
        "Length of the vectors of an embedder function.",
    ),
    optional(
        "embedder_name",
        Kind::String,
        "What the store remembers of an embedder function; change it with the vectors.",
    ),
    optional(
        "base_url",
        Kind::String,
        "Address of the provider of the embedder.",
    ),
    secret(
        "api_key",
        Kind::String,
        "Key of the provider of the embedder.",
    ),
    optional(
        "index",
        Kind::String,
        "`flat` (exact, the default) or `hnsw` (a graph).",
    )
    .one_of(&["flat", "hnsw"]),
    optional(
        "chunker",
        Kind::String,
        "`tokens` (the default), `markdown` (sections) or `whole`.",
    )
    .one_of(&["tokens", "markdown", "whole"]),
    optional(
        "chunk_size_tokens",
        Kind::Integer,
        "Most tokens of a chunk.",
    ),
    optional(
        "chunk_overlap_tokens",
        Kind::Integer,
        "Tokens that two chunks of one section share; an eighth of the chunk size, at most 64, when left out.",
    ),
    optional(
        "language",
        Kind::String,
        "Language of the documents, for searches by words: `english`, `german` and others, or \
         `none`. An index keeps its own, which is `english` when none is given.",
    ),
];

const INGEST: &[Param] = &[
    optional(
        "gone",
        Kind::String,
        "What happens to documents whose file is gone: `delete` or `keep`.",
    )
    .one_of(GONE),
    optional(
        "metadata",
        Kind::Table,
        "What is known about every document of this call.",
    ),
];

const SEARCH: &[Param] = &[K, MODE, FUSION, DENSE_WEIGHT, MIN_SCORE, FILTER];

const K: Param = optional(
    "k",
    Kind::Integer,
    "Number of hits, 1 to 1000; 5 when left out.",
);

const MODE: Param = optional(
    "mode",
    Kind::String,
    "`hybrid` (vectors and words, the default), `dense` (vectors) or `keyword` (words).",
)
.one_of(MODES);

const FUSION: Param = optional(
    "fusion",
    Kind::String,
    "How a hybrid search makes one order of two: `convex` (scores, the default) or `rrf` (ranks).",
)
.one_of(FUSIONS);

const DENSE_WEIGHT: Param = optional(
    "dense_weight",
    Kind::Number,
    "Share of the vectors in a hybrid score, 0 to 1; 0.5 when left out. With `lexical` they then \
     count for what the words did not find, a tenth.",
);

const MIN_SCORE: Param = optional(
    "min_score",
    Kind::Number,
    "Hits with a lower score are left out.",
);

const FILTER: Param = optional(
    "filter",
    Kind::Table,
    "Which documents are searched, by their metadata: `{year = {gte = 2024}, lang = \"en\"}`. \
     Operators are `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `one_of`, `none_of`, `exists`; `all_of`, \
     `any_of` and `negate` combine filters.",
);

const ASK: &[Param] = &[
    optional(
        "model",
        model::MODEL,
        "The model that answers; the configured one when left out.",
    ),
    optional(
        "instructions",
        Kind::String,
        "What the model is told beside how it answers, such as a language or a length.",
    ),
    optional("max_tokens", Kind::Integer, "Longest answer in tokens."),
    K,
    MODE,
    FUSION,
    DENSE_WEIGHT,
    MIN_SCORE,
    FILTER,
];

const EVALUATE: &[Param] = &[
    optional(
        "at",
        Kind::Either(&[Kind::Integer, Kind::List(&Kind::Integer)]),
        "Where results are cut, 1 to 1000; 1, 5 and 10 when left out.",
    ),
    optional(
        "level",
        Kind::String,
        "What the judgements name: `document` (the default) or `chunk`.",
    )
    .one_of(&["document", "chunk"]),
    MODE,
    FUSION,
    DENSE_WEIGHT,
    MIN_SCORE,
    FILTER,
];

/// Name of the class.
const NAME: &str = "RAG";

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "Documents, their chunks and an index over them.",
    constructor: None,
    methods: &[
        ApiFunction {
            name: "ingest",
            summary: "Takes documents in; what has not changed is skipped.",
            params: &[
                required(
                    "sources",
                    Kind::Either(&[
                        Kind::String,
                        Kind::List(&Kind::Either(&[Kind::String, Kind::Table])),
                    ]),
                    "A file, a folder, a glob (`docs/*.md` is one folder, `docs/**/*.md` everything below), the address of a page (`https://…`), or a list of them and of records `{id, text, metadata}`.",
                ),
                optional("options", Kind::Options(INGEST), "How to ingest."),
            ],
            returns: "a record with `added`, `updated`, `unchanged`, `deleted`, `failed`, \
                      `skipped` (files that no loader reads: `source` and `reason` each), \
                      `chunks`, `embedded`",
            example: "RAG.open():ingest({{id = 'a', text = 'owls hunt at night'}}).added",
            call: Call::Host(|session, args| Box::pin(ingest(session.clone(), args))),
        },
        ApiFunction {
            name: "search",
            summary: "Finds the chunks that fit a question, best first.",
            params: &[
                required("query", Kind::String, "The question."),
                optional("options", Kind::Options(SEARCH), "How to search."),
            ],
            returns: "a list of records with `id`, `text`, `score`, `scores`, `source`, `title`, \
                      `headings`, `metadata`",
            example: "print(#RAG.open():search('anything'))",
            call: Call::Host(|session, args| Box::pin(search(session.clone(), args))),
        },
        ApiFunction {
            name: "ask",
            summary: "Answers a question from the documents, with citations that were looked up.",
            params: &[
                required("question", Kind::String, "The question."),
                optional("options", Kind::Options(ASK), "How to answer."),
            ],
            returns: "a record with `text`, `answered`, `citations` (`number`, `id`, `quote`, \
                      `source`, `title`, `headings`, `start`, `end`, `metadata` each), \
                      `unverified`, `draft`, `hits`, `usage`, `model`",
            example: "RAG.open():ask('what is honey?', {model = Model('scripted:none', {answers = {}})}).answered",
            call: Call::Host(|session, args| Box::pin(ask(session.clone(), args))),
        },
        ApiFunction {
            name: "evaluate",
            summary: "Asks judged questions and measures what is found.",
            params: &[
                required(
                    "qrels",
                    Kind::List(&Kind::Table),
                    "Records with `query` and `relevant`: an id, a list of ids, or a table from ids \
                     to grades.",
                ),
                optional("options", Kind::Options(EVALUATE), "How to evaluate."),
            ],
            returns: "a record with `queries`, `at` (`k`, `recall`, `precision`, `mrr`, `ndcg` \
                      each), `latency` (`mean_ms`, `p50_ms`, `p95_ms`) and `missed`",
            example: "RAG.open():evaluate({{query = 'owls', relevant = 'a'}}, {at = 5}).at[1].recall",
            call: Call::Host(|session, args| Box::pin(evaluate(session.clone(), args))),
        },
        ApiFunction {
            name: "delete",
            summary: "Deletes documents with all their chunks.",
            params: &[required(
                "ids",
                Kind::Either(&[Kind::String, Kind::List(&Kind::String)]),
                "Id or path of a document, or a list of them.",
            )],
            returns: "how many there were",
            example: "RAG.open():delete({'none'})",
            call: Call::Host(|session, args| Box::pin(delete(session.clone(), args))),
        },
        ApiFunction {
            name: "stats",
            summary: "Says what the index holds.",
            params: &[],
            returns: "a record with `documents`, `chunks`, `embedder`, `dim`, `index`, `path`",
            example: "RAG.open():stats().documents",
            call: Call::Host(|session, args| Box::pin(stats(session.clone(), args))),
        },
        ApiFunction {
            name: "as_tool",
            summary: "Makes a tool of the search, for an agent.",
            params: &[
                optional(
                    "name",
                    Kind::String,
                    "Its name; `search_documents` when left out.",
                ),
                optional("summary", Kind::String, "What can be found here."),
                optional(
                    "k",
                    Kind::Integer,
                    "Hits of a call that names no number, 1 to 1000; 5 when left out.",
                ),
            ],
            returns: "a `Tool`",
            example: "RAG.open():as_tool().name",
            call: Call::Host(|session, args| ready(as_tool(session, args))),
        },
    ],
    fields: &[(
        "path",
        "The file of the store; nothing when it is in memory.",
    )],
};

const FUNCTIONS: &[ApiFunction] = &[ApiFunction {
    name: "open",
    summary: "Opens an index, or makes it.",
    params: &[
        optional(
            "place",
            Kind::String,
            "A name (kept in `.aikit/rag/NAME.db`) or a path below the working directory; in \
             memory when left out.",
        ),
        optional("options", Kind::Options(OPEN), "How to open it."),
    ],
    returns: "a `RAG`",
    example: "RAG.open():stats().embedder",
    call: Call::Host(|session, args| Box::pin(open(session.clone(), args))),
}];

async fn open(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let place = args.string("place");
    let folder = &session.components().working_directory;
    let path = place
        .map(|place| rag::store_path(folder, &place))
        .transpose()?;
    let defaults = RagOptions::default();
    let options = RagOptions {
        embedder: embedder(&session, &mut given)?,
        index: given.string("index").unwrap_or(defaults.index),
        chunker: given.string("chunker").unwrap_or(defaults.chunker),
        chunk_size_tokens: given
            .size("chunk_size_tokens")?
            .unwrap_or(defaults.chunk_size_tokens),
        chunk_overlap_tokens: given.size("chunk_overlap_tokens")?,
        language: given.string("language"),
        path,
    };
    let path = options.path.as_ref().map(|path| path.display().to_string());
    let opened = Rag::open(&args.cx, options).await?;
    let fields = Map::from_iter([("path".to_owned(), Value::from(path))]);
    session.insert(NAME, fields, Arc::new(opened))
}

fn embedder(session: &Session, given: &mut Args) -> Result<Embedder> {
    let dimension = given.size("dim")?;
    let given_name = given.string("embedder_name");
    let place = ModelOptions {
        base_url: given.string("base_url"),
        api_key: given.string("api_key"),
        extra: Map::new(),
    };
    match given.take("embedder") {
        None => Ok(Embedder::lexical()),
        Some(Arg::Callable(function)) => {
            let dimension = dimension.ok_or_else(|| {
                Error::invalid_args("an embedder function needs `dim`")
                    .with_hint("give the length of its vectors, such as `dim = 384`")
            })?;
            let name = given_name.unwrap_or_else(|| function.name().to_owned());
            Ok(Embedder::function(&name, dimension, function))
        }
        Some(other) => {
            let name = other.into_value();
            let name = name.as_ref().and_then(Value::as_str).unwrap_or_default();
            Embedder::named(name, place, &session.components().services)
        }
    }
}

async fn ingest(session: Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let options = IngestOptions::from_value(read(&mut args.options("options"), INGEST))?;
    let sources = match args.take("sources") {
        Some(Arg::List(items)) => items,
        one => one.into_iter().collect(),
    };
    let sources: Result<Vec<Source>> = sources
        .into_iter()
        .map(|item| match item.into_value().unwrap_or_default() {
            Value::String(path) => Ok(Source::Path(path)),
            record => record
                .deserialize::<Record>()
                .map(Source::Record)
                .map_err(|error| {
                    Error::invalid_args(format!("a record is malformed: {}", error.message()))
                        .with_hint("write `{id = \"…\", text = \"…\", metadata = {…}}`")
                }),
        })
        .collect();
    let report = opened
        .ingest(&session.tool_context(&args.cx), sources?, options)
        .await?;
    Value::from_serialize(&report).map(Return::Value)
}

/// The options that were given, by the names of `params`.
fn read(given: &mut Args, params: &[Param]) -> Value {
    let mut options = Map::new();
    for param in params {
        match given.value(param.name) {
            Value::Null => {}
            value => drop(options.insert(param.name.to_owned(), value)),
        }
    }
    Value::Map(options)
}

fn how_to_search(given: &mut Args) -> Result<SearchOptions> {
    let k = given.size("k")?.unwrap_or(K_DEFAULT);
    Ok(SearchOptions {
        k,
        ..SearchOptions::from_value(read(given, SEARCH))?
    })
}

async fn search(session: Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let options = how_to_search(&mut args.options("options"))?;
    let query = args.required_string("query")?;
    let hits = opened
        .search(&session.tool_context(&args.cx), &query, options)
        .await?;
    Value::from_serialize(&hits).map(Return::Value)
}

async fn ask(session: Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let question = args.required_string("question")?;
    let mut given = args.options("options");
    let model = model::resolve(&session, given.take("model"))?;
    let options = AskOptions {
        search: how_to_search(&mut given)?,
        instructions: given.string("instructions").unwrap_or_default(),
        max_tokens: given.size("max_tokens")?.map(|tokens| tokens as u64),
    };
    let cx = session.tool_context(&args.cx);
    let answer = opened.ask(&cx, &model, &question, options).await?;
    Value::from_serialize(&answer).map(Return::Value)
}

async fn evaluate(session: Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let judged = args.items("qrels").into_iter();
    let judged = judged.map(|it| it.into_value().unwrap_or_default());
    let judged = Judged::parse_all(Value::List(judged.collect()))?;
    let mut given = args.options("options");
    let options = EvaluateOptions {
        search: how_to_search(&mut given)?,
        ..EvaluateOptions::parse(given.value("at"), &given.value("level"))?
    };
    let cx = session.tool_context(&args.cx);
    let evaluation = opened.evaluate(&cx, judged, options).await?;
    Value::from_serialize(&evaluation).map(Return::Value)
}

async fn delete(session: Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let ids = match args.take("ids") {
        Some(Arg::List(ids)) => ids,
        one => one.into_iter().collect(),
    };
    let ids = ids.into_iter().filter_map(Arg::into_value);
    let ids = ids
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect();
    let deleted = opened.delete(&args.cx, ids).await?;
    Ok(Return::Value(Value::from(deleted)))
}

async fn stats(session: Session, args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let stats = opened.stats(&args.cx).await?;
    Value::from_serialize(&stats).map(Return::Value)
}

fn as_tool(session: &Session, mut args: Args) -> Result<Return> {
    let opened = session.object::<Rag>(args.this)?;
    let default = ToolOptions::default();
    let options = ToolOptions {
        name: args.string("name").unwrap_or(default.name),
        summary: args.string("summary").unwrap_or(default.summary),
        k: args.size("k")?.unwrap_or(default.k),
    };
    tool::hand_out(session, opened.as_tool(options)?)
}
