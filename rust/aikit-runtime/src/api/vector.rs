//! `VectorIndex`: the nearest of many vectors, without documents.

use std::sync::Arc;

use aikit_components::vector;
use aikit_core::{
    Error, ErrorKind, Result, Value, io,
    storage::{Metric, VectorIndex},
    value::Map,
};

use super::{
    ApiClass, ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session, optional,
    ready, required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    classes: &[CLASS],
    ..ApiModule::new(NAME, "The nearest of many vectors, without documents.")
};

/// Hits of a search that names no number.
const K_DEFAULT: usize = 10;

/// Name of the class.
const NAME: &str = "VectorIndex";

const OPTIONS: &[Param] = &[
    required("dim", Kind::Integer, "Length of every vector."),
    optional(
        "metric",
        Kind::String,
        "`cosine` (the default), `dot` or `l2`.",
    )
    .one_of(&["cosine", "dot", "l2"]),
    optional(
        "index",
        Kind::String,
        "`flat` (exact, the default) or `hnsw` (a graph).",
    )
    .one_of(&["flat", "hnsw"]),
];

const IDS: Param = required(
    "ids",
    Kind::List(&Kind::Integer),
    "Whole numbers that are not negative.",
);

const SEARCH: &[Param] = &[optional(
    "k",
    Kind::Integer,
    "Number of hits, at least 1; 10 when left out.",
)];

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "Vectors with ids, in memory.",
    constructor: Some(ApiFunction {
        name: NAME,
        summary: "Makes an empty index.",
        params: &[required(
            "options",
            Kind::Options(OPTIONS),
            "What it holds.",
        )],
        returns: "a `VectorIndex`",
        example: "VectorIndex{dim = 3, metric = 'cosine'}.dim",
        call: Call::Host(|session, args| ready(make(session, args))),
    }),
    methods: &[
        ApiFunction {
            name: "add",
            summary: "Adds vectors; one whose id is there already is replaced.",
            params: &[
                IDS,
                required(
                    "vectors",
                    Kind::List(&Kind::List(&Kind::Number)),
                    "One vector for each id.",
                ),
            ],
            returns: "how many vectors the index holds",
            example: "VectorIndex{dim = 2}:add({1, 2}, {{1, 0}, {0, 1}})",
            call: Call::Host(|session, args| Box::pin(add(session.clone(), args))),
        },
        ApiFunction {
            name: "search",
            summary: "Finds the vectors nearest to one, best first.",
            params: &[
                required("vector", Kind::List(&Kind::Number), "What to look for."),
                optional("options", Kind::Options(SEARCH), "How to search."),
            ],
            returns: "a list of records with `id` and `score`; a higher score is nearer",
            example: "print(#VectorIndex{dim = 2}:search({1, 0}, {k = 3}))",
            call: Call::Host(|session, args| Box::pin(search(session.clone(), args))),
        },
        ApiFunction {
            name: "delete",
            summary: "Deletes vectors by their ids.",
            params: &[IDS],
            returns: "how many there were",
            example: "VectorIndex{dim = 2}:delete({7})",
            call: Call::Host(|session, args| Box::pin(delete(session.clone(), args))),
        },
    ],
    fields: &[
        ("dim", "Length of every vector."),
        ("metric", "How nearness is measured."),
    ],
};

/// What the session keeps for a handle.
type Kept = Arc<dyn VectorIndex>;

fn make(session: &Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let dimension = given.size("dim")?.unwrap_or_default();
    let metric = given.string("metric");
    let metric = metric.map_or(Ok(Metric::default()), |name| Metric::parse(&name))?;
    let kind = given.string("index").unwrap_or_else(|| "flat".to_owned());
    let index = vector::open(&kind, dimension, metric)?;
    let fields = Map::from_iter([
        ("dim".to_owned(), Value::from(dimension)),
        ("metric".to_owned(), Value::from(metric.name())),
    ]);
    session.insert::<Kept>(NAME, fields, Arc::new(index))
}

fn ids(args: &mut Args) -> Result<Vec<u64>> {
    let items = args.items("ids").into_iter();
    items
        .map(|item| {
            let id = item.into_value().unwrap_or_default();
            let number = id.as_i64().and_then(|id| u64::try_from(id).ok());
            number.ok_or_else(|| {
                Error::invalid_args(format!("`{id}` is no id of a vector"))
                    .with_hint("use whole numbers from 0 on")
            })
        })
        .collect()
}

/// The numbers of one vector.
fn numbers(value: &Value) -> Vec<f32> {
    let items = value.as_list().unwrap_or_default().iter();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an index holds numbers of single precision"
    )]
    let numbers = items.map(|number| number.as_f64().unwrap_or(f64::NAN) as f32);
    numbers.collect()
}

async fn add(session: Session, mut args: Args) -> Result<Return> {
    let index = session.object::<Kept>(args.this)?;
    let ids = ids(&mut args)?;
    let vectors = args.items("vectors");
    if vectors.len() != ids.len() {
        let message = format!("there are {} ids for {} vectors", ids.len(), vectors.len());
        return Err(Error::invalid_args(message).with_hint("give one id for each vector"));
    }
    let added = io::spawn_blocking(move || {
        let rows = rows(&**index, vectors)?;
        index.add(&ids, &rows)?;
        Ok(index.len())
    });
    args.cx
        .within(added)
        .await?
        .map(|count| Return::Value(Value::from(count)))
}

/// The numbers of all vectors, one after the other. Memory follows what was given, never what the
/// dimension says: vectors that are too short are found before anything is reserved for them.
fn rows(index: &dyn VectorIndex, vectors: Vec<Arg>) -> Result<Vec<f32>> {
    let mut rows = Vec::new();
    for vector in vectors {
        let row = numbers(&vector.into_value().unwrap_or_default());
        check_length(index, row.len())?;
        rows.try_reserve(row.len()).map_err(|error| {
            Error::new(
                ErrorKind::LimitExceeded,
                "the vectors need more memory than there is",
            )
            .with_hint("add them in several calls")
            .with_source(error)
        })?;
        rows.extend(row);
    }
    Ok(rows)
}

async fn search(session: Session, mut args: Args) -> Result<Return> {
    let index = session.object::<Kept>(args.this)?;
    let k = args.options("options").size("k")?.unwrap_or(K_DEFAULT);
    if k == 0 {
        return Err(Error::invalid_args("`k` is `0`").with_hint("ask for at least 1 hit"));
    }
    let query = numbers(&args.value("vector"));
    check_length(&**index, query.len())?;
    let found = io::spawn_blocking(move || index.search(&query, k, None));
    let hits = args.cx.within(found).await??;
    let records = hits.into_iter().map(|hit| {
        Value::map([
            ("id", Value::from(hit.id)),
            ("score", Value::from(hit.score)),
        ])
    });
    Ok(Return::Value(records.collect()))
}

async fn delete(session: Session, mut args: Args) -> Result<Return> {
    let index = session.object::<Kept>(args.this)?;
    let ids = ids(&mut args)?;
    // A graph may be built anew.
    let deleted = io::spawn_blocking(move || Ok(index.delete(&ids)));
    let deleted = args.cx.within(deleted).await??;
    Ok(Return::Value(Value::from(deleted)))
}

fn check_length(index: &dyn VectorIndex, length: usize) -> Result<()> {
    if length == index.dimension() {
        return Ok(());
    }
    let message = format!(
        "a vector has {length} numbers, but the index holds vectors of {}",
        index.dimension()
    );
    Err(Error::invalid_args(message).with_hint("make an index with that `dim`"))
}
