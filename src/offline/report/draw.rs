//! Draws a chart as SVG. The one file that knows the plotting library.
//!
//! The library places things at whole numbers, so a picture is drawn ten times as large as it is meant.

use maud::html;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{Chart, Layer};
use super::palette::{Ink, style_sheet};
use super::places::{Area, Places, text_width};
use super::scale::Scale;
use super::words;
use crate::offline::evaluation::interval::Interval;
use crate::telemetry::visible::visible;

/// How many units a pixel has.
const FINE: i32 = 10;
/// The size of the picture. Its texts are still read on a phone, where it is shown at four fifths.
const SIZE: [i32; 2] = [410 * FINE, 310 * FINE];
const TEXT_SIZE: i32 = 13 * FINE;
const TITLE_SIZE: i32 = 14 * FINE;
/// The room for the title; each line of the legend takes another one.
const TITLE_ROOM: i32 = 28 * FINE;
const LEGEND_ROOM: i32 = 20 * FINE;
/// The room for the figures and the name of an axis.
const LEFT: i32 = 66 * FINE;
const BOTTOM: i32 = 44 * FINE;
const MARGIN: i32 = 14 * FINE;
/// How many ticks an axis has at most.
const TICKS: [usize; 2] = [6, 7];
/// How many columns a title and a name in the picture may take.
const TITLE_COLUMNS: usize = 50;
const NAME_COLUMNS: usize = 30;

type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Plane>;
type Plane = Cartesian2d<Ticked, Ticked>;
type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// An axis of the library that has its ticks where we say.
struct Ticked {
    line: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ticked {
    fn new(scale: &Scale<'_>, most: usize) -> Self {
        let line = RangedCoordf64::from(scale.range());
        let ticks = if scale.logarithmic() {
            scale.factors()
        } else {
            line.key_points(most)
        };
        Self { line, ticks }
    }
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.line.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.line.range()
    }
}

/// The chart as an SVG element that can stand in a page or alone in a file.
pub fn svg(chart: &Chart) -> String {
    let mut picture = String::new();
    draw(chart, &mut picture).expect("writing to a string can't fail");
    let [width, height] = SIZE;
    let begins = format!("<svg width=\"{width}\" height=\"{height}\" ");
    let title = visible(&chart.title);
    let sheet = style_sheet(FINE as u32 * 3);
    let head = html! {
        // What the library writes has no place for these.
        title { (title) }
        desc { (visible(&chart.description)) }
        style { (sheet) }
    };
    let label = html! { svg role="img" aria-label=(title) {} }.into_string();
    let label = label.trim_end_matches("></svg>").to_owned() + " ";
    let drawn = picture.strip_prefix(&begins).expect("the library begins with the size");
    let (attributes, rest) = drawn.split_once('>').expect("the element begins");
    format!("{label}{attributes}>{}{rest}", head.into_string())
}

fn draw(chart: &Chart, out: &mut String) -> Drawn {
    let root = SVGBackend::with_string(out, (SIZE[0] as u32, SIZE[1] as u32)).into_drawing_area();
    root.fill(&Ink::Paper.light())?;
    let left = Pos::new(HPos::Left, VPos::Center);
    let title = words::cut(&chart.title, TITLE_COLUMNS);
    let style = text_style(Ink::Text, TITLE_SIZE).pos(left);
    root.draw_text(&title, &style, (MARGIN, TITLE_ROOM / 2))?;
    let head = TITLE_ROOM + legend(chart, &root)?;
    let (_, body) = root.split_vertically(head);

    let scales = [Scale::of(chart, 0), Scale::of(chart, 1)];
    let ticked = [0, 1].map(|at| Ticked::new(&scales[at], TICKS[at]));
    let digits = [0, 1].map(|at| scales[at].digits(&ticked[at].ticks));
    let [across, up] = ticked;
    let mut context = ChartBuilder::on(&body)
        .margin_right(MARGIN * 3 / 2)
        .margin_top(FINE * 10)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(across, up)?;
    context
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(line_style(Ink::Grid, 1))
        .axis_style(line_style(Ink::Soft, 1))
        .set_all_tick_mark_size(FINE * 4)
        .label_style(text_style(Ink::Soft, TEXT_SIZE))
        .axis_desc_style(text_style(Ink::Soft, TEXT_SIZE))
        .x_desc(words::cut(&chart.x.name, TITLE_COLUMNS))
        .y_desc(words::cut(&chart.y.name, TITLE_COLUMNS))
        .x_label_formatter(&|place| scales[0].write(*place, digits[0]))
        .y_label_formatter(&|place| scales[1].write(*place, digits[1]))
        .draw()?;
    for layer in &chart.layers {
        lay(layer, &mut context, &scales)?;
    }
    names(chart, &root, &context, &scales)?;
    root.present()
}

fn text_style(ink: Ink, size: i32) -> TextStyle<'static> {
    // The library writes sizes of fonts 1.24 times smaller than it is told.
    ("sans-serif", f64::from(size) * 1.24).into_font().color(&ink.light())
}

fn line_style(ink: Ink, width: i32) -> ShapeStyle {
    ink.light().stroke_width((width * FINE) as u32)
}

/// Draws what the colours mean, if there is more than one meaning. Returns the height that it took.
fn legend(chart: &Chart, root: &Root<'_>) -> Result<i32, DrawingAreaErrorKind<std::io::Error>> {
    let entries = chart.layers.iter().filter_map(|layer| match layer {
        Layer::Line { name, ink, .. } | Layer::Dots { name, ink, .. } | Layer::Bars { name, ink, .. } => {
            Some((words::cut(name, NAME_COLUMNS), *ink, layer))
        }
        Layer::Band { .. } | Layer::Level { .. } | Layer::Mark { .. } => None,
    });
    let entries: Vec<_> = entries.filter(|(name, ..)| !name.is_empty()).collect();
    if entries.len() < 2 {
        return Ok(0);
    }
    let (mut x, mut y) = (MARGIN, TITLE_ROOM + LEGEND_ROOM / 2);
    for (name, ink, layer) in entries {
        let width = 24 * FINE + text_width(&name, TEXT_SIZE);
        if x > MARGIN && x + width > SIZE[0] - MARGIN {
            (x, y) = (MARGIN, y + LEGEND_ROOM);
        }
        match layer {
            Layer::Dots { .. } => {
                root.draw(&Circle::new((x + 8 * FINE, y), FINE * 4, ink.light().filled()))?;
            }
            Layer::Bars { .. } => {
                let box_ = [(x, y - 5 * FINE), (x + 16 * FINE, y + 5 * FINE)];
                root.draw(&Rectangle::new(box_, ink.light().mix(0.4).filled()))?;
            }
            _ => root.draw(&PathElement::new(vec![(x, y), (x + 16 * FINE, y)], line_style(ink, 2)))?,
        }
        let style = text_style(Ink::Text, TEXT_SIZE).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw_text(&name, &style, (x + 22 * FINE, y))?;
        x += width + 10 * FINE;
    }
    Ok(y + LEGEND_ROOM / 2 - TITLE_ROOM)
}

fn lay(layer: &Layer, context: &mut Context<'_, '_>, scales: &[Scale; 2]) -> Drawn {
    let at = |[x, y]: [f64; 2]| (scales[0].place(x), scales[1].place(y));
    let known = |points: &[[f64; 2]]| -> Vec<(f64, f64)> {
        let places = points.iter().map(|point| at(*point));
        places.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    };
    match layer {
        Layer::Band { ink, points } => {
            let upper = points.iter().map(|[x, _, high]| [*x, *high]);
            let lower = points.iter().rev().map(|[x, low, _]| [*x, *low]);
            let outline: Vec<[f64; 2]> = upper.chain(lower).collect();
            let area = Polygon::new(known(&outline), ink.light().mix(0.18).filled());
            context.draw_series([area])?;
        }
        Layer::Line { ink, points, .. } => {
            context.draw_series([PathElement::new(known(points), line_style(*ink, 2))])?;
        }
        Layer::Dots { ink, points, .. } => {
            let dot = |point| Circle::new(point, FINE * 3, ink.light().filled());
            context.draw_series(known(points).into_iter().map(dot))?;
        }
        Layer::Bars { ink, bars, .. } => {
            let bar = |[from, to, height]: &[f64; 3]| {
                let mut bar = Rectangle::new([at([*from, 0.0]), at([*to, *height])], ink.light().mix(0.4).filled());
                bar.set_margin(0, 0, FINE as u32, FINE as u32);
                bar
            };
            let finite = |bar: &&[f64; 3]| bar.iter().all(|value| value.is_finite());
            context.draw_series(bars.iter().filter(finite).map(bar))?;
        }
        Layer::Level { ink, at: level, .. } => {
            let (range, y) = (scales[0].range(), scales[1].place(*level));
            if y.is_finite() {
                let ends = vec![(range.start, y), (range.end, y)];
                context.draw_series([PathElement::new(ends, line_style(*ink, 2))])?;
            }
        }
        Layer::Mark { ink, x, y, .. } => {
            let Interval { value, low, high } = *y;
            let ends = known(&[[*x, low], [*x, high]]);
            context.draw_series([PathElement::new(ends, line_style(*ink, 2))])?;
            let middle = known(&[[*x, value]]).into_iter();
            let style = ink.light().filled();
            match ink {
                Ink::Other => context.draw_series(middle.map(|point| TriangleMarker::new(point, FINE * 7, style)))?,
                _ => context.draw_series(middle.map(|point| Circle::new(point, FINE * 5, style)))?,
            };
        }
    }
    Ok(())
}

/// Writes the names of marks and levels where they lie on nothing else.
fn names(chart: &Chart, root: &Root<'_>, context: &Context<'_, '_>, scales: &[Scale; 2]) -> Drawn {
    let (across, down) = context.plotting_area().get_pixel_range();
    let mut places = Places::within(Area {
        left: across.start,
        right: across.end,
        top: down.start,
        bottom: down.end,
    });
    let pixel = |[x, y]: [f64; 2]| {
        let place = (scales[0].place(x), scales[1].place(y));
        (place.0.is_finite() && place.1.is_finite()).then(|| context.backend_coord(&place))
    };
    let mut marks = Vec::new();
    let mut levels = Vec::new();
    for layer in &chart.layers {
        match layer {
            Layer::Mark { name, x, y, .. } => {
                let ends: Vec<_> = [y.low, y.high].into_iter().filter_map(|end| pixel([*x, end])).collect();
                places.take_line(&ends, FINE);
                marks.extend(pixel([*x, y.value]).map(|point| (name, point)));
            }
            Layer::Level { name, at, .. } if at.is_finite() => {
                let (_, y) = context.backend_coord(&(scales[0].range().start, scales[1].place(*at)));
                places.take_line(&[(across.start, y), (across.end, y)], FINE);
                levels.push((name, y));
            }
            Layer::Line { points, .. } => {
                let line: Vec<_> = points.iter().filter_map(|point| pixel(*point)).collect();
                places.take_line(&line, FINE);
            }
            _ => {}
        }
    }
    for (_, point) in &marks {
        places.take(Area::around(*point, 5 * FINE));
    }
    let write = |name: &str, place: Area| {
        let style = text_style(Ink::Text, TEXT_SIZE).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw_text(name, &style, (place.left, i32::midpoint(place.top, place.bottom)))
    };
    for (name, point) in marks.iter().filter(|(name, _)| !name.is_empty()) {
        let name = words::cut(name, NAME_COLUMNS);
        let size = [text_width(&name, TEXT_SIZE), TEXT_SIZE * 5 / 4];
        write(&name, places.beside(*point, size, 9 * FINE))?;
    }
    for (name, y) in levels.into_iter().filter(|(name, _)| !name.is_empty()) {
        let name = words::cut(name, NAME_COLUMNS);
        let size = [text_width(&name, TEXT_SIZE), TEXT_SIZE * 5 / 4];
        write(&name, places.along(y, size, 3 * FINE))?;
    }
    Ok(())
}
