//! A plan as a picture: a box a stage, coloured by worker, data flowing to the right,
//! and on each edge the columns that cross it.

use std::fmt::Write;

use segue_plugin::Column;

use super::explain::{place, units};
use segue::graph::Plan;

const BOX: (usize, usize) = (190, 64);
const GAP: (usize, usize) = (170, 24);
/// Columns that are written on an edge; a pointer that rests there shows them all.
const COLUMNS_SHOWN: usize = 5;
const LINE: usize = 12;
/// Left and right of all boxes.
const MARGIN: usize = 24;
const COLOURS: [&str; 6] = [
    "#dbe9f6", "#fde4cf", "#ddf0d8", "#eadcf4", "#fbf3c4", "#f6d9dd",
];

/// The picture as SVG text.
pub fn svg(plan: &Plan) -> String {
    let places = places(plan);
    let widest = places.iter().map(|(x, _)| *x).max().unwrap_or(0);
    let tallest = places.iter().map(|(_, y)| *y).max().unwrap_or(0);
    let (width, height) = (widest + BOX.0 + MARGIN, tallest + BOX.1 + GAP.1);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let mut labels = String::new();
    for (i, stage) in plan.graph.stages.iter().enumerate() {
        let edges = stage.inputs.iter().map(|&from| (from, ""));
        let loops = stage
            .loops
            .iter()
            .map(|&from| (from, " stroke-dasharray=\"4\""));
        for (from, style) in edges.chain(loops) {
            let start = (places[from].0 + BOX.0, places[from].1 + BOX.1 / 2);
            let end = (places[i].0, places[i].1 + BOX.1 / 2);
            let _ = writeln!(
                text,
                "<path d=\"M{} {} {} {}\" stroke=\"#333\"{style} marker-end=\"url(#to)\"/>",
                start.0, start.1, end.0, end.1
            );
            let middle = (start.0.midpoint(end.0), start.1.midpoint(end.1));
            labels += &edge_label(&plan.graph.stages[from].sends, middle);
        }
        text += &stage_box(plan, i, places[i]);
    }
    // On top of all lines.
    text + &labels + "</svg>\n"
}

/// Each stage right of all it reads, below the others of its column.
fn places(plan: &Plan) -> Vec<(usize, usize)> {
    let mut depths: Vec<usize> = Vec::new();
    let mut filled: Vec<usize> = Vec::new();
    let mut places = Vec::new();
    for stage in &plan.graph.stages {
        let depth = stage
            .inputs
            .iter()
            .map(|&input| depths[input] + 1)
            .max()
            .unwrap_or(0);
        filled.resize(filled.len().max(depth + 1), 0);
        let x = MARGIN + depth * (BOX.0 + GAP.0);
        places.push((x, GAP.1 / 2 + filled[depth] * (BOX.1 + GAP.1)));
        filled[depth] += 1;
        depths.push(depth);
    }
    places
}

/// The names and types of `columns`, around the middle of their edge.
fn edge_label(columns: &[Column], (x, y): (usize, usize)) -> String {
    let line = |column: &Column| format!("{}: {}", column.name, column.column_type);
    let all: Vec<String> = columns.iter().map(line).collect();
    let mut shown: Vec<String> = all.iter().take(COLUMNS_SHOWN).cloned().collect();
    if all.len() > COLUMNS_SHOWN {
        shown[COLUMNS_SHOWN - 1] = format!("and {} more", all.len() + 1 - COLUMNS_SHOWN);
    }
    let top = (y + LINE / 2).saturating_sub(shown.len() * LINE / 2);
    let mut text = format!(
        "<g font-size=\"10\" text-anchor=\"middle\"><title>{}</title>\n",
        escaped(&all.join("\n"))
    );
    for (n, line) in shown.iter().enumerate() {
        let (y, line) = (top + LINE * n + LINE / 3, escaped(line));
        // With a rim, so that it can be read across the line it belongs to.
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{y}\" stroke=\"#fff\" stroke-width=\"4\" paint-order=\"stroke\">{line}</text>"
        );
    }
    text + "</g>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn stage_box(plan: &Plan, i: usize, (x, y): (usize, usize)) -> String {
    let stage = &plan.graph.stages[i];
    let colour = COLOURS[plan.replicas[i][0].worker % COLOURS.len()];
    let lines = [
        ("font-weight=\"bold\"".to_owned(), stage.name.clone()),
        (
            String::new(),
            format!("{}, {}", stage.operator.manifest.name, place(plan, i)),
        ),
        ("fill=\"#555\"".to_owned(), units(stage).unwrap_or_default()),
    ];
    let mut text = format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{colour}\" stroke=\"#333\"/>\n",
        BOX.0, BOX.1
    );
    for (n, (style, line)) in lines.iter().enumerate() {
        let line = escaped(line);
        let (tx, ty) = (x + 8, y + 18 + 18 * n);
        let _ = writeln!(text, "<text x=\"{tx}\" y=\"{ty}\" {style}>{line}</text>");
    }
    text
}
