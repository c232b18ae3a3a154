//! The drawing of a chart as text, for terminals and for front ends without pictures.

use std::fmt::Write as _;

use aikit_core::markup::shorten;
use indexmap::IndexMap;

use super::{
    float,
    kinds::Drawn,
    options::Options,
    picture::{Axis, Extent, Legend, Picture, Shape},
    whole, written,
};

/// Size of a canvas in characters; each of them has 2 × 4 dots.
const COLUMNS: usize = 60;
const LINES: usize = 15;
/// Longest bar, in characters.
const BAR: usize = 40;
/// Most bars, rows and columns.
const BARS_MAX: usize = 40;
const GRID_MAX: usize = 40;
const LABEL_CHARS_MAX: usize = 24;

/// What a chart is drawn as.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// The marks, in dots.
    Canvas,
    /// A bar for each name and number.
    Bars(Vec<(String, f64)>),
    /// A shade for each column and row that has a share from 0 to 1.
    Grid {
        rows: Vec<String>,
        columns: Vec<String>,
        shares: IndexMap<(usize, usize), f64>,
    },
}

/// The whole drawing, without an end of line at its end.
pub(super) fn draw(drawn: &Drawn, options: &Options) -> String {
    let mut text = String::new();
    if let Some(title) = &options.title {
        let _ = writeln!(text, "{}", shorten(title, COLUMNS + 10));
    }
    match &drawn.text {
        Text::Canvas => canvas(&mut text, &drawn.picture),
        Text::Bars(bars) => draw_bars(&mut text, bars),
        Text::Grid {
            rows,
            columns,
            shares,
        } => grid(&mut text, (rows, columns), shares),
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn draw_bars(text: &mut String, bars: &[(String, f64)]) {
    let shown = &bars[..bars.len().min(BARS_MAX)];
    let names: Vec<String> = shown
        .iter()
        .map(|(it, _)| shorten(it, LABEL_CHARS_MAX))
        .collect();
    let width = names.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    let largest = bars.iter().map(|(_, it)| it.abs()).fold(0.0, f64::max);
    for (name, (_, number)) in names.iter().zip(shown) {
        let share = if largest > 0.0 {
            number.abs() / largest
        } else {
            0.0
        };
        let eighths = whole((share * float(BAR) * 8.0).round());
        let end = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        let bar = "█".repeat(eighths / 8) + end;
        let space = if bar.is_empty() { "" } else { " " };
        let _ = writeln!(text, "{name:>width$} │{bar}{space}{}", written(*number));
    }
    if bars.len() > BARS_MAX {
        let _ = writeln!(text, "… {} more", bars.len() - BARS_MAX);
    }
}

fn grid(
    text: &mut String,
    (rows, columns): (&[String], &[String]),
    shares: &IndexMap<(usize, usize), f64>,
) {
    let (height, across) = (rows.len().min(GRID_MAX), columns.len().min(GRID_MAX));
    let names: Vec<String> = rows
        .iter()
        .take(height)
        .map(|it| shorten(it, LABEL_CHARS_MAX))
        .collect();
    let width = names.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    for (y, name) in names.iter().enumerate() {
        let shade = |x: usize| {
            let share = shares.get(&(x, y))?;
            Some(["░░", "▒▒", "▓▓", "██"][whole(share * 4.0).min(3)])
        };
        let cells: String = (0..across).map(|x| shade(x).unwrap_or("  ")).collect();
        let _ = writeln!(text, "{name:>width$} │{cells}");
    }
    let first = columns.first().map_or("", String::as_str);
    let last = columns
        .get(across.saturating_sub(1))
        .map_or("", String::as_str);
    let (first, last) = (
        shorten(first, LABEL_CHARS_MAX),
        shorten(last, LABEL_CHARS_MAX),
    );
    let _ = writeln!(text, "{:width$}  {first} … {last}", "");
    if rows.len() > height || columns.len() > across {
        let _ = writeln!(
            text,
            "… {} more rows, {} more columns",
            rows.len() - height,
            columns.len() - across
        );
    }
}

/// Dots in lines of characters.
struct Dots([[u8; COLUMNS]; LINES]);

impl Dots {
    /// Sets the dot at shares of the way to the right and up.
    fn set(&mut self, (x, y): (f64, f64)) {
        let (width, height) = (COLUMNS * 2, LINES * 4);
        let place =
            |share: f64, count: usize| whole((share * float(count - 1)).round()).min(count - 1);
        let (column, line) = (place(x, width), place(1.0 - y, height));
        // The Braille patterns of Unicode number their dots down the columns, the last line apart.
        let bits = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        self.0[line / 4][column / 2] |= bits[line % 4][column % 2];
    }

    fn line(&mut self, (x, y): (f64, f64), (x_end, y_end): (f64, f64)) {
        let (across, up) = (
            (x_end - x) * float(COLUMNS * 2),
            (y_end - y) * float(LINES * 4),
        );
        let steps = whole(across.abs().max(up.abs()).ceil()).clamp(1, COLUMNS * 2 + LINES * 4);
        for step in 0..=steps {
            let share = float(step) / float(steps);
            self.set(((x_end - x).mul_add(share, x), (y_end - y).mul_add(share, y)));
        }
    }
}

fn canvas(text: &mut String, picture: &Picture) {
    let mut dots = Dots([[0; COLUMNS]; LINES]);
    let place = |[x, y]: [f64; 2]| (picture.x.scale.share(x), picture.y.scale.share(y));
    for mark in &picture.marks {
        match &mark.shape {
            Shape::Dots(places) => places.iter().for_each(|it| dots.set(place(*it))),
            Shape::Lines(lines) => {
                for line in lines {
                    draw_line(&mut dots, line.iter().map(|it| place(*it)));
                }
            }
            Shape::Areas(areas) => {
                for area in areas {
                    draw_line(&mut dots, area.iter().map(|[x, _, y]| place([*x, *y])));
                }
            }
            Shape::Boxes(boxes) => {
                for [left, right, from, to] in boxes {
                    let ends = [[*left, *from], [*left, *to], [*right, *to], [*right, *from]];
                    draw_line(&mut dots, ends.into_iter().map(place));
                }
            }
        }
    }
    let (low, high) = ends(&picture.y);
    let width = low.chars().count().max(high.chars().count());
    for (position, line) in dots.0.iter().enumerate() {
        let label = match position {
            0 => &high,
            last if last == LINES - 1 => &low,
            _ => "",
        };
        let cells: String = line
            .iter()
            .map(|it| match it {
                0 => ' ',
                bits => char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' '),
            })
            .collect();
        let _ = writeln!(text, "{label:>width$} │{cells}");
    }
    let (first, last) = ends(&picture.x);
    let (first, last) = (
        shorten(&first, LABEL_CHARS_MAX),
        shorten(&last, LABEL_CHARS_MAX),
    );
    let space = COLUMNS.saturating_sub(first.chars().count());
    let _ = writeln!(text, "{:width$}  {first}{last:>space$}", "");
    let titles = [&picture.y.title, &picture.x.title].map(|it| shorten(it, LABEL_CHARS_MAX));
    if titles.iter().any(|it| !it.is_empty()) {
        let _ = writeln!(
            text,
            "{:width$}  {} over {}",
            "",
            or_axis(&titles[0], "y"),
            or_axis(&titles[1], "x")
        );
    }
    if let Some(Legend::Series { names, .. }) = &picture.legend {
        let names: Vec<String> = names
            .iter()
            .take(GRID_MAX)
            .map(|it| shorten(it, LABEL_CHARS_MAX))
            .collect();
        let _ = writeln!(text, "{:width$}  {}", "", names.join(", "));
    }
}

fn or_axis<'a>(title: &'a str, axis: &'a str) -> &'a str {
    if title.is_empty() { axis } else { title }
}

fn draw_line(dots: &mut Dots, mut places: impl Iterator<Item = (f64, f64)>) {
    let Some(mut before) = places.next() else {
        return;
    };
    dots.set(before);
    for place in places {
        dots.line(before, place);
        before = place;
    }
}

/// What stands at both ends of an axis.
fn ends(axis: &Axis) -> (String, String) {
    match &axis.scale {
        Extent::Numbers(scale) => {
            let ends = [scale.low, scale.high].map(|it| scale.label(it));
            // Two numbers are not compared by their last digits, as those of a row of ticks are.
            let [low, high] = ends.map(|it| {
                if it.contains('.') && !it.contains('e') {
                    it.trim_end_matches('0').trim_end_matches('.').to_owned()
                } else {
                    it
                }
            });
            (low, high)
        }
        Extent::Categories(names) => {
            let name = |it: Option<&String>| it.cloned().unwrap_or_default();
            (name(names.first()), name(names.last()))
        }
    }
}
