//! The colours of charts, in one place. Those of data are of the set that Okabe and Ito (2008) chose to be told apart by
//! the colour-blind, with lighter ones for a dark page.
//!
//! A chart is drawn in the light colours. A style sheet inside it says what each of them is in the dark, so that the same
//! picture serves in a page and as a file of its own.

use plotters::style::RGBColor;

/// What a colour is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The background.
    Paper,
    /// Texts.
    Text,
    /// Axes, and texts of less weight.
    Soft,
    /// The grid.
    Grid,
    /// The thing that is measured.
    Main,
    /// What it is compared with.
    Other,
    /// What was chosen.
    Chosen,
    /// A line that is aimed at or hoped for; dashed.
    Aim,
}

impl Ink {
    /// All colours.
    pub const ALL: [Ink; 8] = [
        Ink::Paper,
        Ink::Text,
        Ink::Soft,
        Ink::Grid,
        Ink::Main,
        Ink::Other,
        Ink::Chosen,
        Ink::Aim,
    ];

    /// The colour on a light page, and on a dark one. No two inks share a light one: that is how the dark one is found.
    fn shades(self) -> [[u8; 3]; 2] {
        match self {
            Ink::Paper => [[255, 255, 255], [22, 26, 29]],
            Ink::Text => [[27, 31, 35], [230, 232, 235]],
            Ink::Soft => [[88, 96, 105], [160, 168, 176]],
            Ink::Grid => [[225, 228, 232], [52, 58, 64]],
            Ink::Main => [[0, 114, 178], [86, 180, 233]],
            Ink::Other => [[213, 94, 0], [240, 150, 60]],
            Ink::Chosen => [[0, 138, 100], [60, 207, 160]],
            Ink::Aim => [[120, 94, 150], [190, 165, 220]],
        }
    }

    /// The colour in which charts are drawn.
    pub fn light(self) -> RGBColor {
        let [[red, green, blue], _] = self.shades();
        RGBColor(red, green, blue)
    }

    /// The colour as CSS on a light and on a dark page.
    pub fn css(self) -> [String; 2] {
        self.shades()
            .map(|[red, green, blue]| format!("#{red:02X}{green:02X}{blue:02X}"))
    }
}

/// The style sheet that a chart carries. `dash` is the length of a dash in the chart's units.
pub fn style_sheet(dash: u32) -> String {
    let [paper, dark_paper] = Ink::Paper.css();
    let [aim, _] = Ink::Aim.css();
    let mut sheet = format!(
        "text{{stroke:{paper};stroke-width:{dash};stroke-linejoin:round;paint-order:stroke}}\
         [stroke=\"{aim}\"]{{stroke-dasharray:{} {dash}}}",
        dash * 2
    );
    sheet.push_str("@media screen and (prefers-color-scheme:dark){");
    for ink in Ink::ALL {
        let [light, dark] = ink.css();
        sheet.push_str(&format!(
            "[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}"
        ));
    }
    sheet.push_str(&format!("text{{stroke:{dark_paper}}}}}"));
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inks_share_a_colour() {
        for side in [0, 1] {
            let mut all: Vec<String> = Ink::ALL.iter().map(|ink| ink.css()[side].clone()).collect();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), Ink::ALL.len());
        }
    }
}
