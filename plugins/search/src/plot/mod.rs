//! A convergence plot: the best fitness by evaluations, several runs in one SVG.

mod axis;

use std::fmt::Write;

use crate::history::Statistics;
use axis::{Axis, evaluations, fitness};

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

/// The plot as SVG, at the same size however many runs there are. `value` is what the vertical
/// axis measures, such as `log-loss`. Where all values are above 0 and reach over two powers of
/// ten or more, that axis is logarithmic. A run in which nothing was scored has a place in the
/// legend and no line.
pub fn convergence(title: &str, value: &str, runs: &[Run<'_>]) -> String {
    let lines: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| line(run.history)).collect();
    let points = || lines.iter().flatten();
    let across = evaluations(points().map(|point| point.0), (FRAME.0, FRAME.2));
    let up = fitness(points().map(|point| point.1), (FRAME.3, FRAME.1));
    let mut svg = String::new();
    head(&mut svg, title);
    grid(&mut svg, &across, &up);
    label(&mut svg, value);
    for (number, points) in lines.iter().enumerate() {
        curve(&mut svg, number, points, &across, &up);
    }
    for (number, run) in runs.iter().take(LEGEND).enumerate() {
        key(&mut svg, number, run.name);
    }
    if runs.len() > LEGEND {
        let (x, y) = (FRAME.2 + 16.0, FRAME.1 + 10.0 + 17.0 * LEGEND as f64);
        let more = format!("and {} more", runs.len() - LEGEND);
        text(&mut svg, (x, y), "start", &more);
    }
    svg.push_str("</svg>\n");
    svg
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

/// Writing to a string cannot fail.
macro_rules! put {
    ($svg:expr, $($text:tt)*) => { let _ = writeln!($svg, $($text)*); };
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
    text(
        svg,
        (0.5 * (left + right), SIZE.1 - 12.0),
        "middle",
        "evaluations",
    );
}

/// What the vertical axis measures.
fn label(svg: &mut String, value: &str) {
    let (x, y) = (16.0, 0.5 * (FRAME.1 + FRAME.3));
    put!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">best \
         {}</text>",
        escape(value)
    );
}

fn style(number: usize) -> String {
    let colour = COLOURS[number % COLOURS.len()];
    let dash = DASHES[number / COLOURS.len() % DASHES.len()];
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"{dash}\"")
}

/// A best holds until the next is found, so the line is a staircase.
fn curve(svg: &mut String, number: usize, points: &[(f64, f64)], across: &Axis, up: &Axis) {
    let Some((first, rest)) = points.split_first() else {
        return;
    };
    let mut path = format!("M{:.1} {:.1}", across.place(first.0), up.place(first.1));
    for (x, y) in rest {
        let _ = write!(path, "H{:.1}V{:.1}", across.place(*x), up.place(*y));
    }
    put!(
        svg,
        "<path d=\"{path}\" stroke-linejoin=\"round\" {}/>",
        style(number)
    );
    let (x, y) = *rest.last().unwrap_or(first);
    let colour = COLOURS[number % COLOURS.len()];
    let (x, y) = (across.place(x), up.place(y));
    put!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{colour}\"/>"
    );
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
