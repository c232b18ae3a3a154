//! Heat maps: a number for each pair of names, as a colour.

use aikit_core::{Result, Value};
use indexmap::IndexMap;

use super::{
    super::{
        color, float,
        options::Options,
        picture::{Axis, Extent, Legend, Mark, Picture, Shape},
        points::{self, Places},
        table::{self, Table},
        text::Text,
        vega::{Vega, number, text},
        whole, wrong,
    },
    Drawn, Kind, place, scale,
};

/// One cell for each pair; of several rows with the same pair the last counts.
#[derive(Debug)]
pub(super) struct Heatmap;

impl Kind for Heatmap {
    fn name(&self) -> &'static str {
        "heatmap"
    }

    fn shape(&self) -> table::Shape {
        table::Shape::Grid
    }

    fn draw(&self, options: &Options, table: &Table) -> Result<Drawn> {
        if options.y.len() > 1 {
            let hint = "name the column with the names of the rows";
            return Err(wrong("a heat map has one `y`").with_hint(hint));
        }
        let (y, color) = (
            options.y.first().map(String::as_str),
            options.color.as_deref(),
        );
        let chosen = |option: &str, given: Option<&str>, others: &[Option<&str>]| {
            let others: Vec<&str> = others.iter().copied().flatten().collect();
            given.map_or_else(|| table.choose(option, &others), |it| Ok(it.to_owned()))
        };
        let x = chosen("x", options.x.as_deref(), &[y, color])?;
        let y = chosen("y", y, &[Some(&x), color])?;
        let color = chosen("color", color, &[Some(&x), Some(&y)])?;
        let (columns, across) = points::places(&x, table.column(&x)?, true)?;
        let (rows, down) = points::places(&y, table.column(&y)?, true)?;
        let numbers = points::numbers(&color, table.column(&color)?)?;
        let mut cells: IndexMap<(usize, usize), f64> = IndexMap::new();
        for ((x, y), number) in across.iter().zip(&down).zip(numbers) {
            if !x.is_nan() && !y.is_nan() && !number.is_nan() {
                cells.insert((whole(*x), whole(*y)), number);
            }
        }
        let title = |name: String| if table.is_named { name } else { String::new() };
        let titles = [
            options.x_title.clone().unwrap_or_else(|| title(x)),
            options.y_title.clone().unwrap_or_else(|| title(y)),
            title(color),
        ];
        draw((&columns, &rows), &cells, titles)
    }
}

fn draw(
    (columns, rows): (&Places, &Places),
    cells: &IndexMap<(usize, usize), f64>,
    [x_title, y_title, title]: [String; 3],
) -> Result<Drawn> {
    let scale = scale(cells.values().copied(), false)?;
    let mut shades = vec![Vec::new(); color::SHADES];
    for ((x, y), value) in cells {
        let (x, y) = (float(*x), float(*y));
        let place = [x - 0.5, x + 0.5, y - 0.5, y + 0.5];
        shades[color::shade(scale.share(*value))].push(place);
    }
    let marks = shades
        .into_iter()
        .enumerate()
        .filter(|(_, boxes)| !boxes.is_empty());
    let marks = marks.map(|(shade, boxes)| Mark {
        color: color::of_shade(shade),
        opacity: 1.0,
        shape: Shape::Boxes(boxes),
    });
    let data = cells.iter().map(|((x, y), value)| {
        Value::map([
            ("x", place(columns, float(*x))),
            ("y", place(rows, float(*y))),
            ("value", number(*value)),
        ])
    });
    let names = |places: &Places| match places {
        Places::Categories(names) => names.clone(),
        Places::Numbers => Vec::new(),
    };
    let by_place = cells
        .iter()
        .map(|(place, value)| (*place, scale.share(*value)));
    let text_grid = Text::Grid {
        rows: names(rows),
        columns: names(columns),
        shares: by_place.collect(),
    };
    Ok(Drawn {
        vega: Vega {
            mark: vec![("type", text("rect"))],
            x: Vec::new(),
            y: Vec::new(),
            more: Vec::new(),
            tooltip: vec![
                ("x", x_title.clone()),
                ("y", y_title.clone()),
                ("value", title.clone()),
            ],
            rows: data.collect(),
        },
        picture: Picture {
            x: Axis {
                title: x_title,
                scale: Extent::Categories(names(columns)),
            },
            y: Axis {
                title: y_title,
                scale: Extent::Categories(names(rows)),
            },
            marks: marks.collect(),
            legend: Some(Legend::Ramp { title, scale }),
        },
        text: text_grid,
    })
}
