//! How much a chart takes, and what is said of more.

use aikit_core::ErrorKind;
use serde_json::{Value as Json, json};

use super::{error, plot, vega};
use crate::plot::{POINTS_MAX, SERIES_MAX, VALUES_MAX};

#[test]
fn too_much_is_refused_with_what_to_do() {
    let many = error(json!({"data": vec![1; POINTS_MAX + 1]}));
    assert_eq!(many.kind(), ErrorKind::LimitExceeded);
    assert_eq!(
        many.message(),
        "`plot`: `data` has 50001 values, and a chart takes 50000"
    );
    assert!(many.hint().unwrap().contains("histogram"));
    let rows = (0..=SERIES_MAX).map(|it| json!({"x": 1, "y": 1, "c": it}));
    let series = error(json!({"data": rows.collect::<Vec<_>>(), "color": "c"}));
    assert_eq!(
        series.message(),
        "`plot`: there are 51 series, and a chart takes 50"
    );
}

#[test]
fn the_most_points_make_a_drawing_that_can_be_kept() {
    let mut state = 1_u64;
    let mut next = || {
        // A step of xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from(u32::try_from(state >> 40).unwrap())
    };
    let numbers: Vec<f64> = (0..POINTS_MAX).map(|_| next()).collect();
    // A line has four points in each column of pixels, dots are told apart to a tenth of a pixel.
    for (kind, most_bytes) in [("line", 40_000), ("area", 80_000), ("scatter", 800_000)] {
        let svg = plot(json!({"kind": kind, "data": numbers})).svg();
        assert!(svg.len() < most_bytes, "{kind}: {} bytes", svg.len());
        assert!(svg.len() > most_bytes / 8, "{kind}: {} bytes", svg.len());
    }
}

#[test]
fn a_million_values_are_counted_and_not_handed_over() {
    let many = vec![1.5; VALUES_MAX];
    let described = vega(json!({"kind": "histogram", "data": many}));
    assert_eq!(described["data"]["values"].as_array().unwrap().len(), 1);
}

#[test]
fn records_that_share_no_columns_take_bounded_room() {
    // Few values, and far more places for them.
    let record = |at: usize| json!({ format!("c{}", at % 500): at });
    let records: Vec<Json> = (0..25_000).map(record).collect();
    let refused = error(json!({"kind": "line", "data": records, "x": "c1", "y": "c2"}));
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    assert!(refused.message().contains("500 columns"), "{refused}");
}
