//! Filters: which documents are searched, by what is known about them.
//!
//! A filter maps names of metadata to what their values must be: `{lang = "en"}` is short for
//! `{lang = {eq = "en"}}`. All names must fit; `all_of`, `any_of` and `negate` combine filters.

use std::cmp::Ordering;

use aikit_core::{Error, Result, Value, value::Map};

use crate::nearest;

/// Conditions of one filter, so that a search is bounded by the number of documents.
const CONDITIONS_MAX: usize = 1_000;

/// How deep filters stand in filters.
const DEPTH_MAX: usize = 32;

/// What combines filters.
const COMBINATORS: &[&str] = &["all_of", "any_of", "negate"];

/// What a value can be asked.
const OPERATORS: &[&str] = &[
    "eq", "ne", "gt", "gte", "lt", "lte", "one_of", "none_of", "exists",
];

/// A filter that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter(Condition);

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Key(String, Test),
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    OneOf(Vec<Value>),
    NoneOf(Vec<Value>),
    Compare(Comparison, Value),
    Exists(bool),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// `invalid_args` that names the operator which is unknown or whose value does not fit.
    pub(super) fn parse(given: &Map) -> Result<Self> {
        let mut parser = Parser { conditions: 0 };
        parser.all(given, DEPTH_MAX).map(Self)
    }

    /// Whether a document with this metadata is searched.
    pub(super) fn keeps(&self, metadata: &Map) -> bool {
        self.0.holds(metadata)
    }
}

struct Parser {
    conditions: usize,
}

impl Parser {
    fn all(&mut self, given: &Map, depth: usize) -> Result<Condition> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::invalid_args("a filter is nested too deep")
                .with_hint(format!("use at most {DEPTH_MAX} levels")));
        };
        let mut all = Vec::with_capacity(given.len());
        for (name, value) in given {
            match name.as_str() {
                "all_of" => all.push(Condition::All(self.list(name, value, depth)?)),
                "any_of" => all.push(Condition::Any(self.list(name, value, depth)?)),
                "negate" => {
                    let negated = value.as_map().ok_or_else(|| {
                        wrong(name, value).with_hint("write `negate = {lang = \"en\"}`")
                    })?;
                    all.push(Condition::Not(Box::new(self.all(negated, depth)?)));
                }
                _ => self.key(name, value, &mut all)?,
            }
        }
        Ok(Condition::All(all))
    }

    fn list(&mut self, name: &str, value: &Value, depth: usize) -> Result<Vec<Condition>> {
        let hint = || format!("write `{name} = {{{{lang = \"en\"}}, {{year = 2024}}}}`");
        let items = as_list(value).ok_or_else(|| wrong(name, value).with_hint(hint()))?;
        let read = |item: &Value| match item.as_map() {
            Some(filter) => self.all(filter, depth),
            None => Err(wrong(name, item).with_hint(hint())),
        };
        items.iter().map(read).collect()
    }

    fn key(&mut self, key: &str, value: &Value, all: &mut Vec<Condition>) -> Result<()> {
        let Some(tests) = value.as_map() else {
            // A list by itself could mean two things, so it has to be said.
            if let Some(items) = value.as_list().filter(|it| !it.is_empty()) {
                let message = format!("`{key}` is compared with a list of {}", items.len());
                return Err(Error::invalid_args(message)
                    .with_hint(format!("write `{key} = {{one_of = …}}` or `{{eq = …}}`")));
            }
            return self.push(key, Test::OneOf(vec![value.clone()]), all);
        };
        for (operator, operand) in tests {
            let test = test(key, operator, operand)?;
            self.push(key, test, all)?;
        }
        Ok(())
    }

    fn push(&mut self, key: &str, test: Test, all: &mut Vec<Condition>) -> Result<()> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            let message = format!("a filter has more than {CONDITIONS_MAX} conditions");
            return Err(Error::invalid_args(message)
                .with_hint("use `one_of` with a list instead of `any_of` with many filters"));
        }
        all.push(Condition::Key(key.to_owned(), test));
        Ok(())
    }
}

fn test(key: &str, operator: &str, operand: &Value) -> Result<Test> {
    let compare = |comparison| match operand {
        Value::Int(_) | Value::String(_) => Ok(Test::Compare(comparison, operand.clone())),
        Value::Float(number) if !number.is_nan() => Ok(Test::Compare(comparison, operand.clone())),
        _ => Err(wrong(operator, operand).with_hint("compare with a number or a text")),
    };
    let list = || {
        let items = as_list(operand).map(<[Value]>::to_vec);
        items.ok_or_else(|| {
            wrong(operator, operand)
                .with_hint(format!("give a list: `{operator} = {{\"a\", \"b\"}}`"))
        })
    };
    match operator {
        "eq" => Ok(Test::OneOf(vec![operand.clone()])),
        "ne" => Ok(Test::NoneOf(vec![operand.clone()])),
        "gt" => compare(Comparison::Above),
        "gte" => compare(Comparison::AtLeast),
        "lt" => compare(Comparison::Below),
        "lte" => compare(Comparison::AtMost),
        "one_of" => list().map(Test::OneOf),
        "none_of" => list().map(Test::NoneOf),
        "exists" => operand
            .as_bool()
            .map(Test::Exists)
            .ok_or_else(|| wrong(operator, operand).with_hint("use `true` or `false`")),
        _ if COMBINATORS.contains(&operator) => {
            let message = format!("`{operator}` stands below `{key}`, but combines filters");
            Err(Error::invalid_args(message).with_hint(format!(
                "write `{operator} = …{key}…` around the name, not inside of it"
            )))
        }
        _ => {
            let all = format!("use one of {}", OPERATORS.join(", "));
            let hint = nearest::hint(operator, OPERATORS.iter().copied(), all);
            let message = format!("no operator named `{operator}` for `{key}`");
            Err(Error::invalid_args(message).with_hint(hint))
        }
    }
}

/// A list; an empty table of a script is one as well.
fn as_list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(items) => Some(items),
        Value::Map(map) if map.is_empty() => Some(&[]),
        _ => None,
    }
}

fn wrong(operator: &str, operand: &Value) -> Error {
    Error::invalid_args(format!("`{operator}` is given {}", operand.type_name()))
}

impl Condition {
    fn holds(&self, metadata: &Map) -> bool {
        match self {
            Self::All(all) => all.iter().all(|it| it.holds(metadata)),
            Self::Any(any) => any.iter().any(|it| it.holds(metadata)),
            Self::Not(not) => !not.holds(metadata),
            Self::Key(key, test) => test.holds(find(metadata, key)),
        }
    }
}

impl Test {
    /// A value that is a list holds what one of its members holds.
    fn holds(&self, value: Option<&Value>) -> bool {
        let value = value.filter(|it| **it != Value::Null);
        match self {
            Self::Exists(wanted) => value.is_some() == *wanted,
            Self::OneOf(operands) => is_one_of(value, operands),
            Self::NoneOf(operands) => !is_one_of(value, operands),
            Self::Compare(comparison, operand) => match value {
                None => false,
                Some(Value::List(items)) => items.iter().any(|it| comparison.holds(it, operand)),
                Some(value) => comparison.holds(value, operand),
            },
        }
    }
}

fn is_one_of(value: Option<&Value>, operands: &[Value]) -> bool {
    let Some(value) = value else {
        return operands.contains(&Value::Null);
    };
    operands.iter().any(|operand| {
        let is_member = |items: &[Value]| items.iter().any(|it| is_equal(it, operand));
        is_equal(value, operand) || value.as_list().is_some_and(is_member)
    })
}

impl Comparison {
    fn holds(self, value: &Value, operand: &Value) -> bool {
        let Some(order) = order(value, operand) else {
            return false;
        };
        match self {
            Self::Above => order == Ordering::Greater,
            Self::AtLeast => order != Ordering::Less,
            Self::Below => order == Ordering::Less,
            Self::AtMost => order != Ordering::Greater,
        }
    }
}

/// Numbers are equal by what they are worth, whatever they are written as.
fn is_equal(left: &Value, right: &Value) -> bool {
    left == right || order(left, right) == Some(Ordering::Equal)
}

/// The order of two numbers or two texts; none between others.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            left.as_f64()?.partial_cmp(&right.as_f64()?)
        }
        _ => None,
    }
}

/// The value of a name; `author.name` also finds the name in the map `author`.
fn find<'a>(metadata: &'a Map, key: &str) -> Option<&'a Value> {
    if let Some(found) = metadata.get(key) {
        return Some(found);
    }
    let (outer, inner) = key.split_once('.')?;
    find(metadata.get(outer)?.as_map()?, inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> Map {
        match Value::from_json(serde_json::from_str(json).unwrap()) {
            Value::Map(map) => map,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_operator_asks_what_it_says() {
        let metadata = map(
            r#"{"year": 2024, "lang": "en", "tags": ["a", "b"], "draft": false, "none": null,
                "score": 2.5, "author": {"name": "Ada"}, "dotted.key": 1}"#,
        );
        let cases = [
            ("{}", true),
            (r#"{"lang": "en"}"#, true),
            (r#"{"lang": "de"}"#, false),
            (r#"{"year": 2024.0}"#, true),
            (r#"{"draft": false}"#, true),
            (r#"{"draft": 0}"#, false),
            (
                r#"{"lang": {"eq": "en"}, "year": {"gte": 2024, "lt": 2025}}"#,
                true,
            ),
            (r#"{"year": {"gt": 2024}}"#, false),
            (r#"{"year": {"gt": 2023.5}}"#, true),
            (r#"{"year": {"lte": 2023}}"#, false),
            (r#"{"score": {"lte": 2.5}}"#, true),
            (r#"{"year": {"gt": "2000"}}"#, false),
            (r#"{"lang": {"gte": "ea", "lte": "ez"}}"#, true),
            (r#"{"absent": {"gt": 1}}"#, false),
            (r#"{"year": {"ne": 2023}}"#, true),
            (r#"{"absent": {"ne": 1}}"#, true),
            (r#"{"lang": {"one_of": ["de", "en"]}}"#, true),
            (r#"{"lang": {"one_of": []}}"#, false),
            (r#"{"lang": {"none_of": ["de", "fr"]}}"#, true),
            (r#"{"absent": {"none_of": ["x"]}}"#, true),
            (r#"{"tags": "a"}"#, true),
            (r#"{"tags": {"one_of": ["x", "b"]}}"#, true),
            (r#"{"tags": {"none_of": ["b"]}}"#, false),
            (r#"{"tags": {"eq": ["a", "b"]}}"#, true),
            (r#"{"lang": {"exists": true}}"#, true),
            (r#"{"none": {"exists": true}}"#, false),
            (r#"{"none": null}"#, true),
            (r#"{"absent": {"exists": false}}"#, true),
            (r#"{"author.name": "Ada"}"#, true),
            (r#"{"author.age": {"exists": false}}"#, true),
            (r#"{"dotted.key": 1}"#, true),
            (r#"{"any_of": [{"lang": "de"}, {"year": 2024}]}"#, true),
            (r#"{"any_of": []}"#, false),
            (r#"{"all_of": [{"lang": "en"}, {"year": 2023}]}"#, false),
            (r#"{"all_of": []}"#, true),
            (r#"{"negate": {"lang": "en"}}"#, false),
            (
                r#"{"negate": {"any_of": [{"lang": "de"}]}, "year": 2024}"#,
                true,
            ),
        ];
        for (filter, expected) in cases {
            let parsed = Filter::parse(&map(filter)).unwrap();
            assert_eq!(parsed.keeps(&metadata), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        let cases = [
            (
                r#"{"year": {"gtt": 1}}"#,
                "no operator named `gtt` for `year`",
                "`gt`",
            ),
            (r#"{"year": {"between": 1}}"#, "`between`", "use one of eq"),
            (
                r#"{"year": {"gt": [1]}}"#,
                "`gt` is given",
                "number or a text",
            ),
            (r#"{"year": {"exists": 1}}"#, "`exists` is given", "`true`"),
            (r#"{"lang": {"one_of": "en"}}"#, "`one_of` is given", "list"),
            (
                r#"{"lang": ["en", "de"]}"#,
                "`lang` is compared with a list",
                "one_of",
            ),
            (r#"{"any_of": {"a": 1}}"#, "`any_of` is given", "any_of"),
            (r#"{"all_of": [1]}"#, "`all_of` is given", "all_of"),
            (r#"{"negate": 1}"#, "`negate` is given", "negate"),
            (
                r#"{"year": {"negate": {"gt": 1}}}"#,
                "`negate` stands below `year`",
                "around",
            ),
        ];
        for (filter, message, hint) in cases {
            let error = Filter::parse(&map(filter)).unwrap_err();
            assert!(error.message().contains(message), "{error:?}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{error:?}");
        }
    }

    #[test]
    fn a_filter_is_bounded() {
        let deep = format!("{}{}{}", r#"{"negate":"#.repeat(40), "{}", "}".repeat(40));
        let wide: Vec<String> = (0..1_100).map(|it| format!(r#"{{"a": {it}}}"#)).collect();
        for filter in [deep, format!(r#"{{"any_of": [{}]}}"#, wide.join(","))] {
            assert!(Filter::parse(&map(&filter)).unwrap_err().hint().is_some());
        }
    }
}
