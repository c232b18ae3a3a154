//! Runs a jq filter within bounds.
//!
//! jaq, the implementation, cannot be interrupted. So the parsed filter and the standard
//! definitions are rewritten: wherever a filter can loop or recurse (the body of each definition,
//! what follows a pipe, what is folded or collected) it first takes a step of the budget.

use aikit_core::{Error, ErrorKind, Result, Value, value::Map};
use jaq_core::{
    Compiler, Ctx, Exn, Lut, Native, ValXs, Vars,
    box_iter::box_once,
    data::{DataT, HasLut},
    load::{
        Arena, File, Lexer, Loader, Parser,
        lex::StrPart,
        parse::{BinaryOp, Def, Pattern, Term},
    },
    native::v,
    ops::Math,
    path::{Part, Path},
    unwrap_valr,
};
use jaq_json::{Num, Val};

use crate::tools::computation::Budget;

/// Largest text or number of items that a filter may build.
const VALUE_SIZE_MAX: usize = 16 << 20;

/// Most results of a filter.
const RESULTS_MAX: usize = 100_000;

/// Most values inside all results together.
const NODES_MAX: usize = 1_000_000;

/// Deepest nesting of a result; jq itself stops reading at 10,000.
const DEPTH_MAX: usize = 128;

/// Longest filter in bytes.
const FILTER_BYTES_MAX: usize = 10_000;

/// Native filters that would tell what is outside the data, or have no use here.
const LEFT_OUT: [&str; 9] = [
    "env",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "localtime",
    "mktime",
    "now",
    "strflocaltime",
];

const STEP: &str = "__step";
const MULTIPLY: &str = "__multiply";
const FACTOR: &str = "$__factor";
const MAIN: &str = "__main";

/// What native filters are given.
struct Bounded;

#[derive(Clone)]
struct Given<'a> {
    lut: &'a Lut<Bounded>,
    budget: &'a Budget,
}

impl DataT for Bounded {
    type V<'a> = Val;
    type Data<'a> = Given<'a>;
}

impl<'a> HasLut<'a, Bounded> for Given<'a> {
    fn lut(&self) -> &'a Lut<Bounded> {
        self.lut
    }
}

/// All results of the filter `query` for `data`.
pub(super) fn run(query: &str, data: &Value, budget: &Budget) -> Result<Vec<Value>> {
    let input = from_value(data);
    let arena = Arena::default();
    let main = Def {
        name: MAIN,
        args: Vec::new(),
        body: parse(query)?,
    };
    let mut defs: Vec<Def<&str>> = standard();
    defs.push(main);
    let modules = Loader::new(defs.into_iter().map(bounded))
        .load(
            &arena,
            File {
                code: MAIN,
                path: (),
            },
        )
        .map_err(|_| Error::internal("the standard filters of jq do not load"))?;
    let natives = jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs());
    let natives = natives
        .filter(|it| !LEFT_OUT.contains(&it.0))
        .chain(own_natives());
    let filter = Compiler::default()
        .with_funs(natives)
        .compile(modules)
        .map_err(|errors| {
            let unknown = errors
                .iter()
                .flat_map(|(_, them)| them)
                .map(|(name, what)| format!("{} `{name}`", what.as_str()));
            let unknown = unknown.collect::<Vec<_>>().join(", ");
            Error::invalid_args(format!("the filter uses an unknown {unknown}"))
                .with_hint("`keys`, `map(f)`, `select(f)`, `group_by(f)` and the like are known")
        })?;
    let given = Given {
        lut: &filter.lut,
        budget,
    };
    let results = filter
        .id
        .run((Ctx::<Bounded>::new(given, Vars::new([])), input))
        .map(unwrap_valr);
    collect(results, budget)
}

fn standard() -> Vec<Def<&'static str>> {
    let defs = jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs());
    defs.filter(|it| !LEFT_OUT.contains(&it.name)).collect()
}

fn collect(results: impl Iterator<Item = jaq_json::ValR>, budget: &Budget) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    let mut nodes = 0;
    for result in results {
        budget.step()?;
        let result = result.map_err(|error| {
            Error::invalid_args(format!("the filter does not fit the data: {error}"))
                .with_hint("look at the data with `keys` or `type` first; `?` skips what fails")
        })?;
        if values.len() == RESULTS_MAX {
            return Err(too_large("gives too many results"));
        }
        values.push(to_value(&result, &mut nodes, 0)?);
    }
    Ok(values)
}

fn parse(query: &str) -> Result<Term<&str>> {
    let wrong = |rest: &str| {
        let position = query.len().saturating_sub(rest.len());
        let near: String = rest.chars().take(20).collect();
        let place = if near.is_empty() {
            "its end".to_owned()
        } else {
            format!("`{near}`")
        };
        Error::invalid_args(format!(
            "the filter cannot be read at {place} (byte {position})"
        ))
        .with_hint("write a jq filter such as `.items[] | .name`")
    };
    if query.len() > FILTER_BYTES_MAX {
        return Err(Error::invalid_args(format!(
            "`query` is longer than {FILTER_BYTES_MAX} bytes"
        )));
    }
    let tokens = Lexer::new(query)
        .lex()
        .map_err(|errors| wrong(errors.first().map_or("", |(_, rest)| rest)))?;
    Parser::new(&tokens).parse(Parser::term).map_err(|errors| {
        let found = errors.first().and_then(|(_, found)| found.as_ref());
        wrong(found.map_or("", |token| offset(query, token.0)))
    })
}

/// What of `query` begins where `part` begins.
fn offset<'a>(query: &'a str, part: &str) -> &'a str {
    query
        .get(jaq_core::load::span(query, part).start..)
        .unwrap_or_default()
}

fn bounded(def: Def<&str>) -> Def<&str> {
    Def {
        body: stepped(rewrite(def.body)),
        ..def
    }
}

/// `if __step then TERM else . end`: the term stays the last thing done, so recursion at the end
/// of a definition still takes no stack; and it may stand in a path.
fn stepped(term: Term<&str>) -> Term<&str> {
    let step = Term::Call(STEP, Vec::new());
    Term::IfThenElse(vec![(step, term)], Some(Box::new(Term::Id)))
}

/// A source of many values that takes a step for each.
fn metered(source: Term<&str>) -> Term<&str> {
    let after = Box::new(stepped(Term::Id));
    Term::BinOp(Box::new(rewrite(source)), BinaryOp::Pipe(None), after)
}

fn rewrite(term: Term<&str>) -> Term<&str> {
    let again = |term: Box<Term<_>>| Box::new(rewrite(*term));
    match term {
        Term::Str(format, parts) => {
            let part = |part| match part {
                StrPart::Term(term) => StrPart::Term(rewrite(term)),
                other => other,
            };
            Term::Str(format, parts.into_iter().map(part).collect())
        }
        Term::Arr(items) => Term::Arr(items.map(|it| Box::new(metered(*it)))),
        Term::Obj(members) => {
            let member = |(key, value): (_, Option<_>)| (rewrite(key), value.map(rewrite));
            Term::Obj(members.into_iter().map(member).collect())
        }
        Term::Neg(inner) => Term::Neg(again(inner)),
        Term::BinOp(left, operator, right) => rewrite_operator(*left, operator, *right),
        Term::Label(name, inner) => Term::Label(name, again(inner)),
        Term::Fold(name, source, pattern, args) => Term::Fold(
            name,
            Box::new(metered(*source)),
            rewrite_pattern(pattern),
            args.into_iter().map(|it| stepped(rewrite(it))).collect(),
        ),
        Term::TryCatch(inner, catch) => Term::TryCatch(again(inner), catch.map(again)),
        Term::IfThenElse(branches, otherwise) => {
            let branch = |(test, then)| (rewrite(test), rewrite(then));
            Term::IfThenElse(
                branches.into_iter().map(branch).collect(),
                otherwise.map(again),
            )
        }
        Term::Def(defs, rest) => Term::Def(defs.into_iter().map(bounded).collect(), again(rest)),
        Term::Call(name, args) => Term::Call(name, args.into_iter().map(rewrite).collect()),
        Term::Path(inner, Path(parts)) => {
            let part = |(part, optional)| {
                let part = match part {
                    Part::Index(index) => Part::Index(rewrite(index)),
                    Part::Range(from, upto) => Part::Range(from.map(rewrite), upto.map(rewrite)),
                };
                (part, optional)
            };
            Term::Path(again(inner), Path(parts.into_iter().map(part).collect()))
        }
        leaf @ (Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_)) => leaf,
    }
}

fn rewrite_operator<'s>(
    left: Term<&'s str>,
    operator: BinaryOp<&'s str>,
    right: Term<&'s str>,
) -> Term<&'s str> {
    let (left, right) = (rewrite(left), rewrite(right));
    let binary = |left, operator, right| Term::BinOp(Box::new(left), operator, Box::new(right));
    match operator {
        BinaryOp::Pipe(pattern) => binary(
            left,
            BinaryOp::Pipe(pattern.map(rewrite_pattern)),
            stepped(right),
        ),
        // A text times a number repeats the text, at once and however long.
        BinaryOp::Math(Math::Mul) => Term::Call(MULTIPLY, vec![left, right]),
        BinaryOp::UpdateMath(Math::Mul) => {
            let product = Term::Call(MULTIPLY, vec![Term::Id, Term::Var(FACTOR)]);
            let update = binary(left, BinaryOp::Update, product);
            binary(
                right,
                BinaryOp::Pipe(Some(Pattern::Var(FACTOR))),
                stepped(update),
            )
        }
        other => binary(left, other, right),
    }
}

fn rewrite_pattern(pattern: Pattern<&str>) -> Pattern<&str> {
    match pattern {
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(rewrite_pattern).collect()),
        Pattern::Obj(members) => {
            let member = |(key, value)| (rewrite(key), rewrite_pattern(value));
            Pattern::Obj(members.into_iter().map(member).collect())
        }
        name @ Pattern::Var(_) => name,
    }
}

fn own_natives() -> [jaq_core::native::Fun<Bounded>; 2] {
    [
        (
            STEP,
            v(0),
            Native::new(|(cx, input)| {
                let budget = cx.data().budget;
                let outcome = budget.step().and_then(|()| check_size(&input, budget));
                one(outcome.map(|()| Val::Bool(true)))
            }),
        ),
        (
            MULTIPLY,
            v(2),
            Native::new(|(mut cx, _)| {
                let (right, left) = (cx.pop_var(), cx.pop_var());
                let budget = cx.data().budget;
                match check_product(&left, &right, budget) {
                    Ok(()) => box_once((left * right).map_err(Exn::from)),
                    Err(error) => one(Err(error)),
                }
            }),
        ),
    ]
}

fn one<'a>(outcome: Result<Val>) -> ValXs<'a, Val> {
    let failed = |error: Error| Exn::from(jaq_json::Error::new(text(error.message())));
    box_once(outcome.map_err(failed))
}

fn check_size(value: &Val, budget: &Budget) -> Result<()> {
    let size = match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(items) => items.len(),
        Val::Obj(members) => members.len(),
        Val::Null | Val::Bool(_) | Val::Num(_) => 0,
    };
    if size <= VALUE_SIZE_MAX {
        return Ok(());
    }
    Err(budget.stop(too_large("builds too large a value")))
}

fn check_product(left: &Val, right: &Val, budget: &Budget) -> Result<()> {
    let (text, times) = match (left, right) {
        (Val::TStr(text) | Val::BStr(text), Val::Num(times))
        | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => (text.len(), times),
        _ => return Ok(()),
    };
    #[expect(clippy::cast_precision_loss, reason = "a bound needs no last digit")]
    let size = text as f64 * times.to_string().parse::<f64>().unwrap_or(f64::INFINITY);
    #[expect(clippy::cast_precision_loss, reason = "a bound needs no last digit")]
    if size <= VALUE_SIZE_MAX as f64 {
        return Ok(());
    }
    Err(budget.stop(too_large("builds too large a text")))
}

fn too_large(what: &str) -> Error {
    Error::new(ErrorKind::LimitExceeded, format!("the filter {what}"))
        .with_hint("select less, or query in several steps")
}

fn text(text: &str) -> Val {
    Val::utf8_str(text.to_owned())
}

fn from_value(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Int(value) => Val::Num(Num::from_integral(*value)),
        Value::Float(value) => Val::Num(Num::Float(*value)),
        Value::String(it) => text(it),
        Value::Bytes(bytes) => Val::byte_str(bytes.clone()),
        Value::List(items) => items.iter().map(from_value).collect(),
        Value::Map(map) => Val::obj(
            map.iter()
                .map(|(key, value)| (text(key), from_value(value)))
                .collect(),
        ),
    }
}

fn to_value(value: &Val, nodes: &mut usize, depth: usize) -> Result<Value> {
    *nodes += 1;
    if *nodes > NODES_MAX || depth > DEPTH_MAX {
        return Err(too_large("gives too large or too deep a result"));
    }
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(value) => Value::Bool(*value),
        Val::Num(number) => number_value(number),
        Val::TStr(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        Val::BStr(bytes) => Value::Bytes((**bytes).clone()),
        Val::Arr(items) => {
            let items = items.iter().map(|it| to_value(it, nodes, depth + 1));
            Value::List(items.collect::<Result<_>>()?)
        }
        Val::Obj(members) => {
            let mut map = Map::new();
            for (key, value) in members.iter() {
                let key = match key {
                    Val::TStr(text) => String::from_utf8_lossy(text).into_owned(),
                    other => other.to_string(),
                };
                map.insert(key, to_value(value, nodes, depth + 1)?);
            }
            Value::Map(map)
        }
    })
}

fn number_value(number: &Num) -> Value {
    match number {
        Num::Int(value) => i64::try_from(*value).map_or(Value::Null, Value::Int),
        Num::Float(value) => Value::Float(*value),
        // Beyond 64 bits or written with more digits than a double has: the nearest double.
        other => Value::Float(other.to_string().parse().unwrap_or(f64::NAN)),
    }
}
