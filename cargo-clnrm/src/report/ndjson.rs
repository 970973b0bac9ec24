//! The events of a run as lines of JSON, each flushed at once, so that a reader can follow and a crash loses nothing.

use std::io::{self, Write};

use super::event::Envelope;

/// Writes one line for each event.
#[derive(Debug)]
pub struct Ndjson<W> {
    to: W,
}

impl<W: Write> Ndjson<W> {
    /// Lines go to `to`.
    pub const fn new(to: W) -> Self {
        Self { to }
    }

    /// Writes and flushes the line of an event.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&mut self, envelope: &Envelope) -> io::Result<()> {
        let mut line = serde_json::to_vec(envelope)?;
        line.push(b'\n');
        // In one piece: a reader that follows never sees a part of a line longer than it must.
        self.to.write_all(&line)?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Remembers what was written, and how much of it before the last flush.
    #[derive(Debug, Default)]
    struct Flushed {
        text: Vec<u8>,
        flushed: usize,
    }

    impl Write for Flushed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.text.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushed = self.text.len();
            Ok(())
        }
    }

    #[test]
    fn every_event_is_a_line_that_reads_back_as_the_event() {
        let events = sample::run();
        let mut json = Ndjson::new(Vec::new());
        for event in &events {
            json.write(event).unwrap();
        }
        let text = String::from_utf8(json.to).unwrap();
        let read: Vec<Envelope> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, events);
    }

    #[test]
    fn a_line_is_flushed_when_it_is_written() {
        let mut json = Ndjson::new(Flushed::default());
        json.write(&sample::at(1, sample::run_started(1))).unwrap();
        assert_eq!(json.to.flushed, json.to.text.len());
        assert_eq!(json.to.text.last(), Some(&b'\n'));
    }

    #[test]
    fn a_line_break_in_a_text_does_not_end_the_line() {
        let mut json = Ndjson::new(Vec::new());
        let event = super::super::event::RunEvent::TestFinished(sample::failed_with_everything());
        json.write(&sample::at(1, event)).unwrap();
        assert_eq!(json.to.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
