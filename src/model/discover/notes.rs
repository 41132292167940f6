//! What people should know of a folder.

use super::place::Problem;

/// How a note is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The files say so.
    Found,
    /// The files do not say; this is the usual case.
    Assumed,
    /// It serves, and answers some texts otherwise than the model that was trained.
    Doubtful,
    /// It can't serve like this.
    Wrong,
}

/// Something that people should know of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How it is meant.
    pub kind: NoteKind,
    /// One line.
    pub text: String,
    /// How to put it right, or how to say it otherwise: one line, a command where there is one.
    pub remedy: Option<String>,
    /// Whether it is to be said before anything else: the meaning of every answer rests on it.
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

    /// The files do not say what the answers mean; this is the usual case. Comes before all other notes.
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

    /// It serves, and answers some texts otherwise than the model that was trained.
    pub fn doubtful(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Doubtful, text.into(), Some(remedy.into()));
    }

    /// It can't serve like this.
    pub fn wrong(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(NoteKind::Wrong, text.into(), Some(remedy.into()));
    }

    /// It can't serve because of a problem.
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
