//! What the probes of one wait have seen, for the error that may come of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One thing that is waited for.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// What it is, for example ``a log line that matches `ready` ``.
    pub(super) what: String,
    /// What to look at when it does not come.
    pub(super) hint: &'static str,
    /// What the last probe gave.
    pub(super) answer: Option<String>,
    /// Whether it came.
    pub(super) met: bool,
}

/// The number of a note.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoteId(usize);

/// All notes of one wait, and the number of its probes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    notes: Vec<Note>,
    probes: u32,
}

impl Notes {
    /// Begins to wait for something.
    pub(super) fn open(&self, what: String, hint: &'static str) -> NoteId {
        let mut inner = self.lock();
        inner.notes.push(Note {
            what,
            hint,
            answer: None,
            met: false,
        });
        NoteId(inner.notes.len() - 1)
    }

    /// Counts a probe.
    pub(super) fn asked(&self) {
        self.lock().probes += 1;
    }

    /// Keeps what a probe gave.
    pub(super) fn answered(&self, id: NoteId, answer: String) {
        if let Some(note) = self.lock().notes.get_mut(id.0) {
            note.answer = Some(answer);
        }
    }

    /// It came.
    pub(super) fn met(&self, id: NoteId) {
        if let Some(note) = self.lock().notes.get_mut(id.0) {
            note.met = true;
        }
    }

    /// How many probes were made.
    pub(super) fn probes(&self) -> u32 {
        self.lock().probes
    }

    /// What has not come yet, in the order of the spec.
    pub(super) fn open_ones(&self) -> Vec<Note> {
        let inner = self.lock();
        let open = inner.notes.iter().filter(|note| !note.met);
        open.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A note is whole after every statement, so a poisoned lock is as good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
