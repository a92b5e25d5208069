//! Plots as SVG: the best fitness by evaluations, several runs in one, and numbers by numbers.

mod axis;

use std::fmt::Write;

use crate::history::Statistics;
use axis::{Axis, evaluations, spanning};

/// One line of the plot.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// As the legend calls it.
    pub name: &'a str,
    /// Its history.
    pub history: &'a [Statistics],
}

/// Width and height of the whole, and the frame inside: left, top, right, bottom.
const SIZE: (f64, f64) = (760.0, 440.0);
const FRAME: (f64, f64, f64, f64) = (76.0, 44.0, 570.0, 388.0);
/// Okabe and Ito's colours, which people who confuse colours can tell apart; yellow is too light
/// for a line.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000",
];
/// For more runs than colours.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];
/// Points of a line: more cannot be seen.
const POINTS: usize = 600;
/// Lines of the legend that have room.
const LEGEND: usize = 20;

/// Writing to a string cannot fail.
macro_rules! put {
    ($svg:expr, $($text:tt)*) => { let _ = writeln!($svg, $($text)*); };
}

/// The plot as SVG, at the same size however many runs there are. `value` is what the vertical
/// axis measures, such as `log-loss`. Where all values are above 0 and reach over two powers of
/// ten or more, that axis is logarithmic. A run in which nothing was scored has a place in the
/// legend and no line.
pub fn convergence(title: &str, value: &str, runs: &[Run<'_>]) -> String {
    let lines: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| line(run.history)).collect();
    let points = || lines.iter().flatten();
    let across = evaluations(points().map(|point| point.0), (FRAME.0, FRAME.2));
    let up = spanning(points().map(|point| point.1), (FRAME.3, FRAME.1));
    let chart = Chart {
        title,
        across: (&across, "evaluations"),
        up: (&up, &format!("best {value}")),
        // A best holds until the next is found.
        steps: true,
    };
    let lines = runs.iter().zip(&lines);
    let lines: Vec<Line<'_>> = lines
        .map(|(run, line)| (run.name, line.as_slice()))
        .collect();
    chart.draw(&lines)
}

/// Lines through points, of which each has its own name, as SVG of the same size. `names` are what
/// the axes measure; where all values of one are above 0 and reach over two powers of ten or more,
/// it is logarithmic.
pub fn curves(title: &str, names: (&str, &str), lines: &[(&str, Vec<(f64, f64)>)]) -> String {
    let points = || lines.iter().flat_map(|line| &line.1);
    let across = spanning(points().map(|point| point.0), (FRAME.0, FRAME.2));
    let up = spanning(points().map(|point| point.1), (FRAME.3, FRAME.1));
    let chart = Chart {
        title,
        across: (&across, names.0),
        up: (&up, names.1),
        steps: false,
    };
    let lines: Vec<Line<'_>> = (lines.iter())
        .map(|(name, points)| (*name, points.as_slice()))
        .collect();
    chart.draw(&lines)
}

/// What the legend calls a line, and its points.
type Line<'a> = (&'a str, &'a [(f64, f64)]);

/// A frame for lines.
struct Chart<'a> {
    title: &'a str,
    /// Each axis, and what it measures.
    across: (&'a Axis, &'a str),
    up: (&'a Axis, &'a str),
    /// Whether a value holds until the next point.
    steps: bool,
}

impl Chart<'_> {
    fn draw(&self, lines: &[Line<'_>]) -> String {
        let mut svg = String::new();
        head(&mut svg, self.title);
        grid(&mut svg, self.across.0, self.up.0);
        label(&mut svg, self.across.1, self.up.1);
        for (number, (_, points)) in lines.iter().enumerate() {
            self.curve(&mut svg, number, points);
        }
        for (number, (name, _)) in lines.iter().take(LEGEND).enumerate() {
            key(&mut svg, number, name);
        }
        if lines.len() > LEGEND {
            let (x, y) = (FRAME.2 + 16.0, FRAME.1 + 10.0 + 17.0 * LEGEND as f64);
            let more = format!("and {} more", lines.len() - LEGEND);
            text(&mut svg, (x, y), "start", &more);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn curve(&self, svg: &mut String, number: usize, points: &[(f64, f64)]) {
        let Some((first, rest)) = points.split_first() else {
            return;
        };
        let at = |(x, y): (f64, f64)| (self.across.0.place(x), self.up.0.place(y));
        let colour = COLOURS[number % COLOURS.len()];
        let dot = |svg: &mut String, (x, y): (f64, f64)| {
            put!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{colour}\"/>"
            );
        };
        let (x, y) = at(*first);
        let mut path = format!("M{x:.1} {y:.1}");
        for (x, y) in rest.iter().copied().map(at) {
            let _ = if self.steps {
                write!(path, "H{x:.1}V{y:.1}")
            } else {
                write!(path, "L{x:.1} {y:.1}")
            };
        }
        put!(
            svg,
            "<path d=\"{path}\" stroke-linejoin=\"round\" {}/>",
            style(number)
        );
        if self.steps {
            dot(svg, at(*rest.last().unwrap_or(first)));
        } else {
            points.iter().for_each(|point| dot(svg, at(*point)));
        }
    }
}

/// Evaluations and best, where the best changed, and at the end.
fn line(history: &[Statistics]) -> Vec<(f64, f64)> {
    let known = |line: &Statistics| {
        let best = line.best.filter(|best| best.is_finite())?;
        Some((line.evaluations as f64, best))
    };
    let all: Vec<(f64, f64)> = history.iter().filter_map(known).collect();
    let changed = |&at: &usize| {
        at == 0 || at + 1 == all.len() || all[at].1 != all[at - 1].1 || all[at].1 != all[at + 1].1
    };
    let kept: Vec<(f64, f64)> = (0..all.len()).filter(changed).map(|at| all[at]).collect();
    let stride = kept.len().div_ceil(POINTS).max(1);
    let last = kept.len().saturating_sub(1);
    let seen = |(at, point)| (at % stride == 0 || at == last).then_some(point);
    kept.into_iter().enumerate().filter_map(seen).collect()
}

fn head(svg: &mut String, title: &str) {
    let (width, height) = SIZE;
    put!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"#333\">"
    );
    put!(svg, "<title>{}</title>", escape(title));
    put!(
        svg,
        "<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
    );
    let middle = 0.5 * (FRAME.0 + FRAME.2);
    put!(
        svg,
        "<text x=\"{middle}\" y=\"26\" text-anchor=\"middle\" font-size=\"15\">{}</text>",
        escape(title)
    );
}

fn grid(svg: &mut String, across: &Axis, up: &Axis) {
    let (left, top, right, bottom) = FRAME;
    for (at, name) in across.ticks() {
        rule(svg, (at, top), (at, bottom + 4.0), "#e4e4e4");
        text(svg, (at, bottom + 19.0), "middle", &name);
    }
    for (at, name) in up.ticks() {
        rule(svg, (left - 4.0, at), (right, at), "#e4e4e4");
        text(svg, (left - 8.0, at + 4.0), "end", &name);
    }
    rule(svg, (left, top), (left, bottom), "#888");
    rule(svg, (left, bottom), (right, bottom), "#888");
}

/// What the axes measure.
fn label(svg: &mut String, across: &str, up: &str) {
    let middle = 0.5 * (FRAME.0 + FRAME.2);
    text(svg, (middle, SIZE.1 - 12.0), "middle", across);
    let (x, y) = (16.0, 0.5 * (FRAME.1 + FRAME.3));
    put!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">{}\
         </text>",
        escape(up)
    );
}

fn style(number: usize) -> String {
    let colour = COLOURS[number % COLOURS.len()];
    let dash = DASHES[number / COLOURS.len() % DASHES.len()];
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"{dash}\"")
}

fn key(svg: &mut String, number: usize, name: &str) {
    let (x, y) = (FRAME.2 + 16.0, FRAME.1 + 6.0 + 17.0 * number as f64);
    put!(svg, "<path d=\"M{x} {y}h24\" {}/>", style(number));
    text(svg, (x + 30.0, y + 4.0), "start", name);
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    put!(
        svg,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{colour}\"/>",
        from.0,
        from.1,
        to.0,
        to.1
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    put!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(words)
    );
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
