//! The drawing of a chart as SVG, for front ends that do not draw Vega-Lite.
//!
//! Grey letters and lines without a background can be read on a light and on a dark page.

use std::fmt::Write as _;

use aikit_core::markup::{escape, shorten};

use super::{
    color, float,
    options::Options,
    picture::{Axis, Extent, Legend, Mark, Picture, Shape},
    whole,
};

const LETTER_WIDTH: f64 = 6.2;
const LINE_HEIGHT: f64 = 16.0;
/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 24;
const INK: &str = "#757575";
const GRID: &str = "#808080";
const MARGIN: f64 = 12.0;
/// Room between labels and what they name.
const GAP: f64 = 6.0;
/// Of slanted labels.
const ANGLE_DEGREES: f64 = 40.0;

/// The whole drawing.
pub(super) fn draw(picture: &Picture, options: &Options) -> String {
    let frame = Frame::new(picture, options);
    let (width, height) = (options.width, options.height);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\" \
         fill=\"{INK}\" role=\"img\">"
    );
    let title = options.title.as_deref().unwrap_or(&options.kind);
    let _ = write!(svg, "<title>{}</title>", escape(title));
    if let Some(title) = &options.title {
        let place = (f64::midpoint(frame.left, frame.right), MARGIN + 4.0);
        let most = whole(width / LETTER_WIDTH);
        let attributes = "text-anchor=\"middle\" font-size=\"13\" font-weight=\"bold\"";
        label(&mut svg, place, attributes, &shorten(title, most));
    }
    frame.draw_x(&mut svg, &picture.x);
    frame.draw_y(&mut svg, &picture.y);
    for mark in &picture.marks {
        frame.draw_mark(&mut svg, picture, mark);
    }
    if let Some(legend) = &picture.legend {
        frame.draw_legend(&mut svg, legend);
    }
    svg.push_str("</svg>");
    svg
}

/// Whether names below an axis of that width have no room side by side.
pub(super) fn is_slanted(names: &[String], width: f64) -> bool {
    let widest = names.iter().map(|it| length(it)).fold(0.0, f64::max);
    widest + GAP > width / float(names.len().max(1))
}

/// The width of a label in pixels, about.
fn length(text: &str) -> f64 {
    float(text.chars().count().min(LABEL_CHARS_MAX)) * LETTER_WIDTH
}

/// Where the marks are, in pixels.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    is_slanted: bool,
}

impl Frame {
    fn new(picture: &Picture, options: &Options) -> Self {
        let top = if options.title.is_some() {
            2.0 * MARGIN + 6.0
        } else {
            MARGIN
        };
        let widest = labels(&picture.y)
            .iter()
            .map(|(_, it)| length(it))
            .fold(0.0, f64::max);
        let y_title = if picture.y.title.is_empty() {
            0.0
        } else {
            LINE_HEIGHT
        };
        let left = MARGIN + y_title + widest + GAP;
        let legend = picture.legend.as_ref().map_or(0.0, legend_width);
        // Of a small picture, something is left for the marks.
        let right = (options.width - MARGIN - legend).max(left + 10.0);
        let is_slanted = match &picture.x.scale {
            Extent::Categories(names) => is_slanted(names, right - left),
            Extent::Numbers(_) => false,
        };
        let below = if is_slanted {
            let widest = labels(&picture.x)
                .iter()
                .map(|(_, it)| length(it))
                .fold(0.0, f64::max);
            widest * ANGLE_DEGREES.to_radians().sin() + LINE_HEIGHT
        } else {
            LINE_HEIGHT + 2.0
        };
        let x_title = if picture.x.title.is_empty() {
            0.0
        } else {
            LINE_HEIGHT
        };
        let bottom = (options.height - below - x_title - 4.0).max(top + 10.0);
        Self {
            left,
            right,
            top,
            bottom,
            is_slanted,
        }
    }

    fn x(&self, axis: &Axis, place: f64) -> f64 {
        (self.right - self.left).mul_add(axis.scale.share(place), self.left)
    }

    /// Numbers go up, names go down.
    fn y(&self, axis: &Axis, place: f64) -> f64 {
        let share = axis.scale.share(place);
        let (from, to) = match axis.scale {
            Extent::Numbers(_) => (self.bottom, self.top),
            Extent::Categories(_) => (self.top, self.bottom),
        };
        (to - from).mul_add(share, from)
    }

    fn draw_x(&self, svg: &mut String, axis: &Axis) {
        let labels = labels(axis);
        let step = step(&labels, axis, self.right - self.left, LINE_HEIGHT - 2.0);
        for (place, text) in labels.iter().step_by(step) {
            let x = self.x(axis, *place);
            if matches!(axis.scale, Extent::Numbers(_)) {
                line(svg, [x, self.top, x, self.bottom], 0.2);
            }
            let y = self.bottom + LINE_HEIGHT - 2.0;
            if self.is_slanted {
                let (x, y) = (x + 3.0, y - 2.0);
                let turned = format!(
                    "text-anchor=\"end\" transform=\"rotate(-{ANGLE_DEGREES} {} {})\"",
                    written(x),
                    written(y)
                );
                label(svg, (x, y), &turned, text);
            } else {
                label(svg, (x, y), "text-anchor=\"middle\"", text);
            }
        }
        line(svg, [self.left, self.bottom, self.right, self.bottom], 0.8);
        if !axis.title.is_empty() {
            let most = whole((self.right - self.left) / LETTER_WIDTH);
            let baseline = self.title_baseline(&labels);
            let place = (f64::midpoint(self.left, self.right), baseline);
            let attributes = "text-anchor=\"middle\" font-weight=\"bold\"";
            label(svg, place, attributes, &shorten(&axis.title, most.max(8)));
        }
    }

    /// Where the title below the labels of x stands.
    fn title_baseline(&self, labels: &[(f64, String)]) -> f64 {
        if !self.is_slanted {
            return self.bottom + 2.0 * LINE_HEIGHT;
        }
        let widest = labels.iter().map(|(_, it)| length(it)).fold(0.0, f64::max);
        widest.mul_add(
            ANGLE_DEGREES.to_radians().sin(),
            self.bottom + 2.0 * LINE_HEIGHT - 2.0,
        )
    }

    fn draw_y(&self, svg: &mut String, axis: &Axis) {
        let labels = labels(axis);
        let step = step(&labels, axis, self.bottom - self.top, LINE_HEIGHT - 4.0);
        for (place, text) in labels.iter().step_by(step) {
            let y = self.y(axis, *place);
            if matches!(axis.scale, Extent::Numbers(_)) {
                line(svg, [self.left, y, self.right, y], 0.2);
            }
            label(svg, (self.left - GAP, y + 4.0), "text-anchor=\"end\"", text);
        }
        line(svg, [self.left, self.top, self.left, self.bottom], 0.8);
        if !axis.title.is_empty() {
            let most = whole((self.bottom - self.top) / LETTER_WIDTH);
            let (x, y) = (MARGIN + 2.0, f64::midpoint(self.top, self.bottom));
            let turned = format!(
                "text-anchor=\"middle\" font-weight=\"bold\" transform=\"rotate(-90 {} {})\"",
                written(x),
                written(y)
            );
            label(svg, (x, y), &turned, &shorten(&axis.title, most.max(8)));
        }
    }

    fn draw_mark(&self, svg: &mut String, picture: &Picture, mark: &Mark) {
        let place = |[x, y]: [f64; 2]| (self.x(&picture.x, x), self.y(&picture.y, y));
        let width = self.right - self.left;
        let path = match &mark.shape {
            Shape::Lines(lines) => {
                let lines = lines
                    .iter()
                    .map(|it| it.iter().copied().map(place).collect());
                lines
                    .map(|it: Vec<_>| open_path(&thinned(it, width)))
                    .collect()
            }
            Shape::Dots(dots) => dots_path(dots.iter().copied().map(place)),
            Shape::Areas(areas) => {
                let area = |it: &Vec<[f64; 3]>| {
                    let upper = it.iter().map(|[x, _, high]| place([*x, *high])).collect();
                    let lower = it.iter().map(|[x, low, _]| place([*x, *low])).collect();
                    let (upper, mut lower) = (thinned(upper, width), thinned(lower, width));
                    lower.reverse();
                    let lower = open_path(&lower).replacen('M', "L", 1);
                    format!("{}{lower}Z", open_path(&upper))
                };
                areas.iter().map(area).collect()
            }
            Shape::Boxes(boxes) => {
                let corners = |[left, right, from, to]: &[f64; 4]| {
                    let ((x, y), (x_end, y_end)) = (place([*left, *from]), place([*right, *to]));
                    let corners = [x, y, x_end, y_end].map(written);
                    format!(
                        "M{} {}H{}V{}H{}Z",
                        corners[0], corners[1], corners[2], corners[3], corners[0]
                    )
                };
                boxes.iter().map(corners).collect::<String>()
            }
        };
        if path.is_empty() {
            return;
        }
        let color = &mark.color;
        let opacity = if mark.opacity < 1.0 {
            format!(" opacity=\"{}\"", mark.opacity)
        } else {
            String::new()
        };
        let paint = match &mark.shape {
            Shape::Lines(_) => stroke(color, 2.0),
            Shape::Dots(dots) => stroke(color, dot_size(dots.len())),
            Shape::Areas(_) => format!("fill=\"{color}\""),
            // The pixel between two of them belongs to both.
            Shape::Boxes(_) => format!("fill=\"{color}\" stroke=\"{color}\" stroke-width=\"0.3\""),
        };
        let _ = write!(svg, "<path {paint}{opacity} d=\"{path}\"/>");
    }

    fn draw_legend(&self, svg: &mut String, legend: &Legend) {
        let left = self.right + MARGIN;
        let (title, mut top) = match legend {
            Legend::Series { title, .. } | Legend::Ramp { title, .. } => (title, self.top),
        };
        if !title.is_empty() {
            let short = shorten(title, LABEL_CHARS_MAX);
            label(svg, (left, top + 8.0), "font-weight=\"bold\"", &short);
            top += LINE_HEIGHT;
        }
        match legend {
            Legend::Series { names, .. } => {
                let room = whole((self.bottom - top) / LINE_HEIGHT).max(1);
                let shown = if names.len() > room {
                    room.saturating_sub(1)
                } else {
                    room
                };
                for (position, name) in names.iter().take(shown).enumerate() {
                    let y = LINE_HEIGHT.mul_add(float(position), top);
                    let color = color::of_series(position);
                    let _ = write!(
                        svg,
                        "<rect x=\"{}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{color}\"/>",
                        written(left),
                        written(y)
                    );
                    let short = shorten(name, LABEL_CHARS_MAX);
                    label(svg, (left + 15.0, y + 9.0), "", &short);
                }
                if names.len() > shown {
                    let y = LINE_HEIGHT.mul_add(float(shown), top + 9.0);
                    let more = format!("… {} more", names.len() - shown);
                    label(svg, (left, y), "", &more);
                }
            }
            Legend::Ramp { scale, .. } => {
                let height = (self.bottom - top).clamp(10.0, 160.0);
                let part = height / float(color::SHADES);
                for shade in 0..color::SHADES {
                    let y = part.mul_add(float(color::SHADES - 1 - shade), top);
                    let _ = write!(
                        svg,
                        "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"{}\" fill=\"{}\"/>",
                        written(left),
                        written(y),
                        written(part + 0.5),
                        color::of_shade(shade)
                    );
                }
                for tick in scale.ticks() {
                    let y = height.mul_add(1.0 - scale.share(tick), top) + 4.0;
                    label(svg, (left + 18.0, y), "", &scale.label(tick));
                }
            }
        }
    }
}

fn legend_width(legend: &Legend) -> f64 {
    let (title, widest) = match legend {
        Legend::Series { title, names } => {
            (title, names.iter().map(|it| length(it)).fold(0.0, f64::max))
        }
        Legend::Ramp { title, scale } => {
            let labels = scale.ticks().into_iter().map(|it| length(&scale.label(it)));
            (title, labels.fold(0.0, f64::max) + 4.0)
        }
    };
    // Letters of a title are wider.
    MARGIN + (widest + 16.0).max(length(title) * 1.15)
}

/// Where an axis is labelled, and how.
fn labels(axis: &Axis) -> Vec<(f64, String)> {
    match &axis.scale {
        Extent::Numbers(scale) => {
            let ticks = scale.ticks().into_iter();
            ticks.map(|it| (it, scale.label(it))).collect()
        }
        Extent::Categories(names) => {
            let names = names.iter().enumerate();
            names
                .map(|(at, it)| (float(at), shorten(it, LABEL_CHARS_MAX)))
                .collect()
        }
    }
}

/// Every how many labels one is written, so that none stands on another.
fn step(labels: &[(f64, String)], axis: &Axis, room: f64, least: f64) -> usize {
    match axis.scale {
        Extent::Numbers(_) => 1,
        Extent::Categories(_) => whole((least * float(labels.len()) / room).ceil()).max(1),
    }
}

/// As much of a line as can be seen: of many points in one column of pixels the first, the highest,
/// the lowest and the last.
fn thinned(points: Vec<(f64, f64)>, width: f64) -> Vec<(f64, f64)> {
    if float(points.len()) <= 4.0 * width {
        return points;
    }
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for column in points.chunk_by(|(a, _), (b, _)| whole(*a) == whole(*b)) {
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = [
            column.first(),
            column.iter().min_by(by_y),
            column.iter().max_by(by_y),
            column.last(),
        ];
        for point in ends.into_iter().flatten() {
            if kept.last() != Some(point) {
                kept.push(*point);
            }
        }
    }
    kept
}

fn open_path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (position, (x, y)) in points.iter().enumerate() {
        let letter = if position == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{} {}", written(*x), written(*y));
    }
    // A line of one point is a dot.
    if points.len() == 1 {
        path.push_str("h0");
    }
    path
}

/// Dots as lines without length and with round ends; of those on the same place one.
fn dots_path(dots: impl Iterator<Item = (f64, f64)>) -> String {
    let mut seen = std::collections::HashSet::new();
    let mut path = String::new();
    for (x, y) in dots {
        let dot = format!("M{} {}h0", written(x), written(y));
        if !seen.contains(&dot) {
            path.push_str(&dot);
            seen.insert(dot);
        }
    }
    path
}

const fn dot_size(count: usize) -> f64 {
    match count {
        0..=500 => 6.0,
        501..=5000 => 4.0,
        _ => 2.0,
    }
}

fn stroke(color: &str, width: f64) -> String {
    format!(
        "fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" stroke-linecap=\"round\" \
         stroke-linejoin=\"round\""
    )
}

fn line(svg: &mut String, ends: [f64; 4], opacity: f64) {
    let ends = ends.map(written);
    let _ = write!(
        svg,
        "<path stroke=\"{GRID}\" stroke-opacity=\"{opacity}\" d=\"M{} {}L{} {}\"/>",
        ends[0], ends[1], ends[2], ends[3]
    );
}

fn label(svg: &mut String, (x, y): (f64, f64), attributes: &str, text: &str) {
    let space = if attributes.is_empty() { "" } else { " " };
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\"{space}{attributes}>{}</text>",
        written(x),
        written(y),
        escape(text)
    );
}

/// A number of pixels, to a tenth.
fn written(pixels: f64) -> String {
    super::written((pixels * 10.0).round() / 10.0)
}
