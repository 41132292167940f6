//! Classification: the answer to one text.

/// The answer to one text, by the index of the label.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// The index of the winning label.
    pub winner: usize,
    /// Calibrated probabilities, by label. They sum to one if one label is right; for a regression, the one number is
    /// the value.
    pub probabilities: Vec<f32>,
    /// Raw outputs before softmax or sigmoid, without calibration, by label.
    pub logits: Vec<f32>,
    /// Which labels are part of the answer.
    pub selection: Selection,
}

/// Which labels are part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// The winner only.
    Winner,
    /// For each label, whether it is.
    Each(Vec<bool>),
    /// None: the answer is a number.
    Value(f32),
}

impl Classification {
    /// The calibrated probability of the winner; 0 for a regression.
    pub fn confidence(&self) -> f32 {
        match self.selection {
            Selection::Value(_) => 0.0,
            Selection::Winner | Selection::Each(_) => self.probabilities[self.winner],
        }
    }

    /// Whether a label is part of the answer.
    pub fn selects(&self, label: usize) -> bool {
        match &self.selection {
            Selection::Winner => label == self.winner,
            Selection::Each(selected) => selected[label],
            Selection::Value(_) => false,
        }
    }

    /// The number, for a regression.
    pub fn value(&self) -> Option<f32> {
        match self.selection {
            Selection::Value(value) => Some(value),
            Selection::Winner | Selection::Each(_) => None,
        }
    }

    /// The indices of the first `most` labels: the winner, if there is one, then by probability; equal ones in the
    /// order of the labels.
    pub fn ranking(&self, most: usize) -> Vec<usize> {
        let most = most.min(self.logits.len());
        if most == 0 {
            return Vec::new();
        }
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        if self.selection == Selection::Winner {
            // A graph that names the winner itself may name another label than the likeliest.
            order[..=self.winner].rotate_right(1);
        }
        let first = usize::from(self.selection == Selection::Winner);
        let likelier = |&a: &usize, &b: &usize| self.logits[b].total_cmp(&self.logits[a]).then(a.cmp(&b));
        // A caller asks for few labels of possibly ten thousand.
        if (first + 1..order.len()).contains(&most) {
            order[first..].select_nth_unstable_by(most - first - 1, likelier);
        }
        order.truncate(most);
        order[first..].sort_unstable_by(likelier);
        order
    }
}
