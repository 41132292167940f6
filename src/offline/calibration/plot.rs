//! The curve as SVG: accuracy over cost, from fast alone to everything escalated, with the deep model alone for
//! comparison. Small enough to be written by hand.

use std::fmt::Write;

use super::curve::Point;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;

/// What the plot shows.
pub struct Plot<'a> {
    pub title: &'a str,
    /// The curve, which begins with fast alone.
    pub curve: &'a [Point],
    /// The deep model alone.
    pub deep: &'a Point,
    /// The point of the threshold that was chosen.
    pub chosen: &'a Point,
}

struct Scale {
    cost: f64,
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, cost: f64) -> f64 {
        LEFT + cost / self.cost * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, accuracy: f64) -> f64 {
        TOP + (self.high - accuracy) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)
    }
}

/// The plot as an SVG document.
pub fn svg(plot: &Plot<'_>) -> String {
    let all = || plot.curve.iter().chain([plot.deep, plot.chosen]);
    let lowest = all().map(|point| point.accuracy.low).fold(1.0, f64::min);
    let highest = all().map(|point| point.accuracy.high).fold(0.0, f64::max);
    let margin = ((highest - lowest) * 0.08).max(0.001);
    let scale = Scale {
        cost: all().map(|point| point.cost.value).fold(1.0, f64::max) * 1.03,
        low: lowest - margin,
        high: highest + margin,
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    text(
        &mut out,
        LEFT,
        24.0,
        "start",
        &format!("{}: accuracy over cost, with 95% intervals", plot.title),
    );
    axes(&mut out, &scale);
    band(&mut out, &scale, plot.curve);
    mark(&mut out, &scale, plot.curve.first(), "fast alone", "#555");
    mark(&mut out, &scale, Some(plot.deep), "deep alone", "#b03030");
    let chosen = plot
        .chosen
        .min_confidence
        .map_or(String::new(), |value| format!("chosen: {value:.4}"));
    mark(&mut out, &scale, Some(plot.chosen), &chosen, "#107040");
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String, scale: &Scale) {
    for step in 0..=5 {
        let cost = f64::from(step) / 5.0;
        let x = scale.x(cost);
        line(out, [x, TOP, x, HEIGHT - BOTTOM]);
        text(out, x, HEIGHT - BOTTOM + 18.0, "middle", &format!("{cost:.1}"));
        let accuracy = scale.low + (scale.high - scale.low) * cost;
        let y = scale.y(accuracy);
        line(out, [LEFT, y, WIDTH - RIGHT, y]);
        text(out, LEFT - 8.0, y + 4.0, "end", &format!("{:.2}%", accuracy * 100.0));
    }
    text(
        out,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 18.0,
        "middle",
        "cost (the deep model for every text: 1)",
    );
}

fn band(out: &mut String, scale: &Scale, curve: &[Point]) {
    let mut outline = String::new();
    let upper = curve.iter().map(|point| (point.cost.value, point.accuracy.high));
    let lower = curve.iter().rev().map(|point| (point.cost.value, point.accuracy.low));
    for (cost, accuracy) in upper.chain(lower) {
        let _ = write!(outline, "{:.1},{:.1} ", scale.x(cost), scale.y(accuracy));
    }
    let _ = writeln!(
        out,
        "<polygon points=\"{outline}\" fill=\"#3060b0\" fill-opacity=\"0.15\"/>"
    );
    let mut path = String::new();
    for point in curve {
        let (x, y) = (scale.x(point.cost.value), scale.y(point.accuracy.value));
        let _ = write!(path, "{x:.1},{y:.1} ");
        let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"#3060b0\"/>");
    }
    let _ = writeln!(
        out,
        "<polyline points=\"{path}\" fill=\"none\" stroke=\"#3060b0\" stroke-width=\"1.5\"/>"
    );
}

fn mark(out: &mut String, scale: &Scale, point: Option<&Point>, name: &str, colour: &str) {
    let Some(point) = point else { return };
    let (x, y) = (scale.x(point.cost.value), scale.y(point.accuracy.value));
    let (top, bottom) = (scale.y(point.accuracy.high), scale.y(point.accuracy.low));
    let _ = writeln!(
        out,
        "<path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"{colour}\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>"
    );
    let (anchor, at) = if point.cost.value > scale.cost * 0.7 {
        ("end", x - 9.0)
    } else {
        ("start", x + 9.0)
    };
    text(out, at, y + 18.0, anchor, name);
}

fn line(out: &mut String, [x1, y1, x2, y2]: [f64; 4]) {
    let _ = writeln!(out, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, content: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>"
    );
}
