//! What is counted, where it counts as well, and what is refused.

use super::*;
use crate::ErrorKind;

#[test]
fn an_unknown_metric_reads_zero_and_sums_merge() {
    let (parent, child) = (Metrics::default(), Metrics::default());
    child.add("usage.input_tokens", 3.0);
    child.add("usage.input_tokens", 4.0);
    parent.set("usage.input_tokens", 1.0).unwrap();
    parent.merge(&child);
    parent.merge(&parent);
    assert_eq!(
        (parent.get("usage.input_tokens"), parent.get("none")),
        (8.0, 0.0)
    );
}

#[test]
fn usage_is_read_back_as_it_was_added() {
    let metrics = Metrics::default();
    let usage = UsageSums {
        input_tokens: 100.0,
        output_tokens: 50.0,
        requests: 1.0,
        cost_usd: 0.25,
        ..UsageSums::default()
    };
    metrics.add_usage(&usage);
    metrics.add_usage(&UsageSums::default());
    assert_eq!(metrics.usage(), usage);
    let usage = metrics.to_nested();
    let usage = usage.get("usage").unwrap();
    assert_eq!(usage.get("input_tokens"), Some(&Value::Float(100.0)));
}

#[test]
fn a_total_counts_usage_at_once_and_what_is_told_no_second_time() {
    let outer = Arc::new(Metrics::default());
    let total = Arc::new(Metrics::counted_in(Some(Arc::clone(&outer))));
    let of_total = || Metrics::counted_in(Some(Arc::clone(&total)));
    let (parent, child) = (of_total(), of_total());
    child.add("usage.requests", 1.0);
    child.count("usage.requests", 1.0).unwrap();
    child.count("steps", 1.0).unwrap();
    child.count("usage.input_tokens", 5.0).unwrap();
    child.set("usage.input_tokens", 7.0).unwrap();
    let usage = UsageSums {
        output_tokens: 3.0,
        reasoning_tokens: 2.0,
        ..UsageSums::default()
    };
    child.count_usage(&usage).unwrap();
    child.tell(&parent, &mut Sums::default());
    let expected = UsageSums {
        requests: 2.0,
        input_tokens: 7.0,
        ..usage
    };
    let all = [&parent, &child, &total, &outer].map(Metrics::usage);
    assert_eq!(all, [expected; 4]);
    assert_eq!((parent.get("steps"), total.get("steps")), (1.0, 0.0));
    let data = expected.to_value();
    assert_eq!(data.get("cached_input_tokens"), None);
    assert_eq!(data.get("cost_usd"), Some(&Value::Float(0.0)));
}

#[test]
fn a_merge_counts_in_no_total_a_second_time() {
    let outer = Arc::new(Metrics::default());
    let inner = Arc::new(Metrics::counted_in(Some(Arc::clone(&outer))));
    let parent = Metrics::counted_in(Some(Arc::clone(&outer)));
    let child = Metrics::counted_in(Some(Arc::clone(&inner)));
    child.add("usage.requests", 2.0);
    parent.merge(&child);
    let sums = Sums::from_iter([("usage.requests".to_owned(), 2.0)]);
    parent.merge_sums(&sums).unwrap();
    let requests = |it: &Metrics| it.get("usage.requests");
    assert_eq!(
        (requests(&parent), requests(&inner), requests(&outer)),
        (4.0, 2.0, 2.0)
    );
}

#[test]
fn what_was_used_is_never_set_to_less() {
    let total = Arc::new(Metrics::default());
    let metrics = Metrics::counted_in(Some(Arc::clone(&total)));
    metrics.add("usage.cost_usd", 0.5);
    let error = metrics.set("usage.cost_usd", 0.0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert!(error.message().contains("0.5"), "{error}");
    metrics.set("usage.cost_usd", 0.75).unwrap();
    assert_eq!(
        (metrics.get("usage.cost_usd"), total.get("usage.cost_usd")),
        (0.75, 0.75)
    );
}

#[test]
fn what_counts_nothing_is_refused() {
    let metrics = Metrics::default();
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    for (name, amount) in [
        ("", 1.0),
        (" ", 1.0),
        ("a\nb", 1.0),
        (&long, 1.0),
        ("a", f64::NAN),
        ("a", f64::INFINITY),
        ("usage.input_tokens", -1.0),
    ] {
        for refused in [metrics.count(name, amount), metrics.set(name, amount)] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{name} {amount}");
            assert!(error.hint().is_some());
        }
    }
    let usage = UsageSums {
        cost_usd: -0.5,
        requests: 1.0,
        ..UsageSums::default()
    };
    let error = metrics.count_usage(&usage).unwrap_err();
    assert!(error.message().contains("`cost_usd`"), "{error}");
    metrics.add("a", f64::NAN);
    assert_eq!(metrics.to_value(), Value::Map(Map::new()));
    // A metric of one's own may go down.
    metrics.count("open", 2.0).unwrap();
    metrics.count("open", -1.0).unwrap();
    metrics.set("open", -3.0).unwrap();
    assert_eq!(
        metrics.to_value(),
        Value::map([("open", Value::Float(-3.0))])
    );
}

#[test]
fn the_names_are_bounded_and_what_has_no_room_is_counted() {
    let (parent, child) = (Metrics::default(), Metrics::default());
    for index in 0..NAMES_MAX + 5 {
        child.count(&format!("n{index}"), 2.0).unwrap();
        parent.add(&format!("p{index}"), 2.0);
    }
    child.set("another", 2.0).unwrap();
    child.count("n0", 1.0).unwrap();
    assert_eq!((child.get("n0"), child.get(LEFT_OUT)), (3.0, 6.0));
    assert_eq!(child.sums().len(), NAMES_MAX + 1);
    // What a parent is told is bounded as well.
    child.tell(&parent, &mut Sums::default());
    let left_out = parent.get(LEFT_OUT);
    assert_eq!((parent.sums().len(), left_out), (NAMES_MAX + 1, 1_011.0));
    child.merge(&parent);
    assert_eq!(child.sums().len(), NAMES_MAX + 1);
}

#[test]
fn dotted_names_nest_in_every_order() {
    let metrics = Metrics::default();
    for name in ["a.b.c", "a.b", "a", "a.d", "e"] {
        metrics.add(name, 1.0);
    }
    let one = || Value::Float(1.0);
    let b = Value::map([("c", one()), ("", one())]);
    let a = Value::map([("b", b), ("", one()), ("d", one())]);
    assert_eq!(metrics.to_nested(), Value::map([("a", a), ("e", one())]));
    let metrics = Metrics::default();
    metrics.add("a", 1.0);
    metrics.add("a.b", 1.0);
    let a = Value::map([("", one()), ("b", one())]);
    assert_eq!(metrics.to_nested(), Value::map([("a", a)]));
}

#[test]
fn a_name_of_very_many_parts_nests_no_deeper_than_the_limit() {
    let metrics = Metrics::default();
    metrics.add(&format!("{}end", "a.".repeat(300_000)), 1.0);
    let mut value = metrics.to_nested();
    let mut levels = 0;
    while let Value::Map(map) = value {
        value = map.into_values().next().unwrap();
        levels += 1;
    }
    assert_eq!((levels, value), (LEVELS_MAX, Value::Float(1.0)));
}

#[test]
fn many_are_merged_or_none() {
    let metrics = Metrics::default();
    let of = |sums: &[(&str, f64)]| -> Sums {
        sums.iter()
            .map(|(name, sum)| ((*name).to_owned(), *sum))
            .collect()
    };
    for wrong in [("", 1.0), ("b", f64::NAN), ("usage.requests", -1.0)] {
        assert!(metrics.merge_sums(&of(&[("a", 1.0), wrong])).is_err());
        assert_eq!(metrics.to_value(), Value::Map(Map::new()));
    }
    metrics.merge_sums(&of(&[("a", 1.0), ("b", 2.0)])).unwrap();
    assert_eq!((metrics.get("a"), metrics.get("b")), (1.0, 2.0));
}

#[test]
fn what_was_told_is_not_told_again() {
    let (parent, child) = (Metrics::default(), Metrics::default());
    let mut told = Sums::default();
    for expected in [2.0, 4.0] {
        child.add("x", 2.0);
        child.tell(&parent, &mut told);
        child.tell(&parent, &mut told);
        assert_eq!(
            parent.to_value(),
            Value::map([("x", Value::Float(expected))])
        );
    }
}
