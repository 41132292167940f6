//! Where the names in a picture go: beside what they name, on nothing else.

use unicode_width::UnicodeWidthStr;

/// A rectangle of a picture, in its units, from the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub left: i32,
    pub right: i32,
    pub top: i32,
    pub bottom: i32,
}

impl Area {
    /// The square around a point.
    pub fn around((x, y): (i32, i32), reach: i32) -> Self {
        Self {
            left: x - reach,
            right: x + reach,
            top: y - reach,
            bottom: y + reach,
        }
    }

    fn meets(&self, other: &Area) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn is_within(&self, other: &Area) -> bool {
        self.left >= other.left && self.right <= other.right && self.top >= other.top && self.bottom <= other.bottom
    }
}

/// How wide a text is, roughly: the letters' real widths are the reader's.
pub fn text_width(text: &str, size: i32) -> i32 {
    text.width() as i32 * size * 54 / 100
}

/// What is taken of a picture.
pub struct Places {
    whole: Area,
    taken: Vec<Area>,
}

impl Places {
    /// A picture with nothing in it.
    pub fn within(whole: Area) -> Self {
        let taken = Vec::new();
        Self { whole, taken }
    }

    /// Keeps a place free of names.
    pub fn take(&mut self, place: Area) {
        self.taken.push(place);
    }

    /// Keeps a line through these points free of names, and this much to either side of it.
    pub fn take_line(&mut self, points: &[(i32, i32)], reach: i32) {
        for pair in points.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
            let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
            let steps = (length / f64::from(reach.max(1) * 2)).ceil().max(1.0);
            for step in 0..=steps as u32 {
                let part = f64::from(step) / steps;
                let at = |from: f64, to: f64| (from + (to - from) * part) as i32;
                self.take(Area::around((at(from.0, to.0), at(from.1, to.1)), reach));
            }
        }
    }

    /// A place beside a point for a name of this width and height, this far from it.
    pub fn beside(&mut self, (x, y): (i32, i32), [width, height]: [i32; 2], away: i32) -> Area {
        let sides = [x + away, x - away - width, x - width / 2];
        // Lower down is tried first, then above, then further and further away.
        let lines = [0, 1, -1, 2, -2, 3, -3].map(|line| y + line * height + (height * 3 / 4) * i32::from(line == 0));
        let tries = lines
            .into_iter()
            .flat_map(|middle| sides.map(|left| (left, middle - height / 2)));
        self.first_free(tries, [width, height])
    }

    /// A place on a level line for a name: above or below it, as far right as can be.
    pub fn along(&mut self, y: i32, [width, height]: [i32; 2], away: i32) -> Area {
        let (first, last) = (self.whole.right - width - away, self.whole.left);
        let step = (width / 4).max(1);
        let lefts = (0..16).map(|at| first - at * step).take_while(|left| *left >= last);
        let tries: Vec<_> = lefts
            .flat_map(|left| [(left, y - height - away), (left, y + away)])
            .collect();
        self.first_free(tries.into_iter(), [width, height])
    }

    /// The first of these corners at which a box is free; if none is, the one within the picture that lies on least.
    fn first_free(&mut self, corners: impl Iterator<Item = (i32, i32)>, [width, height]: [i32; 2]) -> Area {
        let boxes: Vec<Area> = corners
            .map(|(left, top)| Area {
                left,
                right: left + width,
                top,
                bottom: top + height,
            })
            .collect();
        let free = |place: &&Area| place.is_within(&self.whole) && !self.taken.iter().any(|taken| taken.meets(place));
        let met = |place: &&Area| self.taken.iter().filter(|taken| taken.meets(place)).count();
        let least = || {
            boxes
                .iter()
                .filter(|place| place.is_within(&self.whole))
                .min_by_key(met)
        };
        let anywhere = Area {
            left: self.whole.left,
            right: self.whole.left + width,
            top: self.whole.top,
            bottom: self.whole.top + height,
        };
        let place = boxes.iter().find(free).or_else(least).copied().unwrap_or(anywhere);
        self.taken.push(place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_point_lie_side_by_side() {
        let whole = Area {
            left: 0,
            right: 1000,
            top: 0,
            bottom: 1000,
        };
        let mut places = Places::within(whole);
        let given: Vec<Area> = (0..6).map(|_| places.beside((980, 500), [300, 50], 10)).collect();
        for (at, place) in given.iter().enumerate() {
            assert!(place.is_within(&whole), "{place:?}");
            assert!(!given[..at].iter().any(|other| other.meets(place)), "{given:?}");
        }
        // At the edge of a picture that is full, a name is still within it.
        let mut full = Places::within(whole);
        full.take(whole);
        for (x, y) in [(990, 500), (10, 10), (990, 990)] {
            let place = full.beside((x, y), [300, 50], 10);
            assert!(place.is_within(&whole), "{place:?}");
        }
        let level = places.along(500, [200, 50], 5);
        assert!(!given.iter().any(|other| other.meets(&level)), "{level:?}");
    }
}
