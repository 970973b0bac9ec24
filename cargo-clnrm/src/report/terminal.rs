//! A terminal for tests: what a user would see after all that was written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use anstream::adapter::strip_str;
use indicatif::{ProgressDrawTarget, TermLike};

/// A terminal of some width. Clones are the same terminal.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    width: u16,
    cells: Arc<Mutex<Cells>>,
}

#[derive(Debug, Default)]
struct Cells {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    raw: String,
}

impl Terminal {
    pub(super) fn new(width: u16) -> Self {
        Self {
            width,
            cells: Arc::default(),
        }
    }

    pub(super) fn progress(&self) -> Option<ProgressDrawTarget> {
        Some(ProgressDrawTarget::term_like_with_hz(
            Box::new(self.clone()),
            255,
        ))
    }

    /// The rows, without the empty ones at the end.
    pub(super) fn text(&self) -> String {
        let cells = self.cells.lock().unwrap();
        let rows: Vec<String> = cells.rows.iter().map(|row| row.iter().collect()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    /// Everything that was written as lines, escape sequences included.
    pub(super) fn raw(&self) -> String {
        self.cells.lock().unwrap().raw.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Cells)) -> io::Result<()> {
        let mut cells = self.cells.lock().unwrap();
        change(&mut cells);
        let rows = cells.row + 1;
        if cells.rows.len() < rows {
            cells.rows.resize_with(rows, Vec::new);
        }
        Ok(())
    }

    fn put(&self, text: &str) -> io::Result<()> {
        let width = usize::from(self.width);
        for c in strip_str(text).to_string().chars() {
            self.change(|cells| match c {
                '\n' => (cells.row, cells.column) = (cells.row + 1, 0),
                '\r' => cells.column = 0,
                c => {
                    if cells.column == width {
                        (cells.row, cells.column) = (cells.row + 1, 0);
                    }
                    cells.put(c);
                }
            })?;
        }
        Ok(())
    }
}

impl Cells {
    fn put(&mut self, c: char) {
        if self.rows.len() <= self.row {
            self.rows.resize_with(self.row + 1, Vec::new);
        }
        let row = &mut self.rows[self.row];
        if row.len() <= self.column {
            row.resize(self.column + 1, ' ');
        }
        row[self.column] = c;
        self.column += 1;
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(bytes).unwrap();
        self.change(|cells| cells.raw.push_str(text))?;
        self.put(text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.width
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.row -= n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.row += n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.column += n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.change(|cells| cells.column -= n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(text)?;
        self.put("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.change(|cells| {
            cells.column = 0;
            if let Some(row) = cells.rows.get_mut(cells.row) {
                row.clear();
            }
        })
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
