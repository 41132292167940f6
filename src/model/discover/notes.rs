//! The notes on a folder, for people.

use super::place::Problem;

/// How certain a note is, and how serious.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The files say so.
    Found,
    /// The files do not say; this is the usual case.
    Assumed,
    /// The model serves, but answers some texts otherwise than the model that was trained.
    Doubtful,
    /// The folder can't serve as it is.
    Wrong,
}

/// One note on a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: NoteKind,
    /// One line.
    pub text: String,
    /// How to repair it, or how to choose otherwise: one line, with a command where there is one.
    pub remedy: Option<String>,
    /// Whether it comes before all other notes, because the meaning of every answer depends on it.
    pub leads: bool,
}

/// The notes on one folder, in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub struct Notes(pub(super) Vec<Note>);

impl Notes {
    /// The files say so.
    pub fn found(&mut self, text: impl Into<String>) {
        self.add(NoteKind::Found, text.into(), None);
    }

    /// The files do not say; this is the usual case.
    pub fn assumed(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Assumed, text.into(), Some(remedy.into()));
    }

    /// The files do not say what the answers mean; this is the usual case. Such a note comes before all others.
    pub(super) fn assumed_meaning(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        let at = self.0.iter().take_while(|note| note.leads).count();
        let note = Note {
            kind: NoteKind::Assumed,
            text: text.into(),
            remedy: Some(remedy.into()),
            leads: true,
        };
        self.0.insert(at, note);
    }

    /// The model serves, but answers some texts otherwise than the model that was trained.
    pub fn doubtful(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Doubtful, text.into(), Some(remedy.into()));
    }

    /// The folder can't serve as it is.
    pub fn wrong(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Wrong, text.into(), Some(remedy.into()));
    }

    /// The folder can't serve because of this problem.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.wrong(problem.text, problem.remedy);
    }

    fn add(&mut self, kind: NoteKind, text: String, remedy: Option<String>) {
        let leads = false;
        self.0.push(Note {
            kind,
            text,
            remedy,
            leads,
        });
    }
}
