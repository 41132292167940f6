//! How far an axis reaches, and how its figures are written.

use std::ops::Range;

use super::chart::{Axis, Chart, Figures, Layer};
use super::words;

/// How much room is left beyond the data, as a share of their range.
const ROOM: f64 = 0.04;

/// How many digits after the point a figure at an axis has at most.
const MOST_DIGITS: i32 = 6;

/// An axis with its ends.
pub struct Scale<'a> {
    axis: &'a Axis,
    /// The ends, as [`Scale::place`] gives them.
    range: Range<f64>,
}

impl<'a> Scale<'a> {
    /// The scale of a chart's axis: 0 is x, 1 is y.
    pub fn of(chart: &'a Chart, at: usize) -> Self {
        let axis = if at == 0 { &chart.x } else { &chart.y };
        let mut scale = Self { axis, range: 0.0..1.0 };
        let data = chart.layers.iter().flat_map(|layer| values(layer, at));
        let places = data
            .chain(axis.includes.iter().copied())
            .map(|value| scale.place(value));
        let places: Vec<f64> = places.filter(|place| place.is_finite()).collect();
        let low = places.iter().copied().fold(f64::INFINITY, f64::min);
        let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return scale;
        }
        let room = match (high - low) * ROOM {
            room if room > 0.0 => room,
            _ => (low.abs() * ROOM).max(0.01),
        };
        let [least, most] = axis.bounds.map(|bound| scale.place(bound));
        let within = |value: f64| if least <= most { value.clamp(least, most) } else { value };
        scale.range = within(low - room)..within(high + room);
        scale
    }

    /// Whether equal ways stand for equal factors.
    pub fn logarithmic(&self) -> bool {
        self.axis.logarithmic
    }

    /// The ends of the axis, as places.
    pub fn range(&self) -> Range<f64> {
        self.range.clone()
    }

    /// Where a value lies. Not finite for one that has no place, such as 0 on a logarithmic axis.
    pub fn place(&self, value: f64) -> f64 {
        if self.axis.logarithmic { value.log10() } else { value }
    }

    fn value(&self, place: f64) -> f64 {
        if self.axis.logarithmic {
            10.0_f64.powf(place)
        } else {
            place
        }
    }

    /// The places of round figures on a logarithmic axis: 1, 2, 5, 10, 20, or fewer if they would be many.
    pub fn factors(&self) -> Vec<f64> {
        let (from, to) = (self.range.start.floor() as i32, self.range.end.ceil() as i32);
        let steps: &[f64] = match to - from {
            ..=2 => &[1.0, 2.0, 5.0],
            3..=4 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let powers = (from..=to).step_by(((to - from) / 6).max(1) as usize);
        let places = powers.flat_map(|power| steps.iter().map(move |step| f64::from(power) + step.log10()));
        places.filter(|place| self.range.contains(place)).collect()
    }

    /// How many digits after the point the finest of these ticks needs.
    pub fn digits(&self, ticks: &[f64]) -> usize {
        let needed = |place: &f64| {
            let value = self.shown(*place);
            let is_exact = |digits: &i32| {
                let shift = 10.0_f64.powi(*digits);
                ((value * shift).round() / shift - value).abs() <= value.abs().max(1e-9) * 1e-9
            };
            (0..MOST_DIGITS).find(is_exact).unwrap_or(MOST_DIGITS) as usize
        };
        ticks.iter().map(needed).max().unwrap_or(0)
    }

    /// The figure at a place, with this many digits after the point.
    pub fn write(&self, place: f64, digits: usize) -> String {
        let sign = if self.axis.figures == Figures::Percent { "%" } else { "" };
        words::number(self.shown(place), digits) + sign
    }

    /// The figure at a place, as percent if it is shown so.
    fn shown(&self, place: f64) -> f64 {
        match self.axis.figures {
            Figures::Plain => self.value(place),
            Figures::Percent => self.value(place) * 100.0,
        }
    }
}

/// The values of a layer on an axis.
fn values(layer: &Layer, at: usize) -> Vec<f64> {
    match layer {
        Layer::Band { points, .. } if at == 0 => points.iter().map(|point| point[0]).collect(),
        Layer::Band { points, .. } => points.iter().flat_map(|point| [point[1], point[2]]).collect(),
        Layer::Line { points, .. } | Layer::Dots { points, .. } => points.iter().map(|point| point[at]).collect(),
        Layer::Bars { bars, .. } if at == 0 => bars.iter().flat_map(|bar| [bar[0], bar[1]]).collect(),
        Layer::Bars { bars, .. } => bars.iter().map(|bar| bar[2]).chain([0.0]).collect(),
        Layer::Level { .. } if at == 0 => Vec::new(),
        Layer::Level { at: level, .. } => vec![*level],
        Layer::Mark { x, .. } if at == 0 => vec![*x],
        Layer::Mark { y, .. } => vec![y.low, y.value, y.high],
    }
}
