//! Standard error as reports use it: lines that stay, and below them one that is always the latest.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use anstream::adapter::strip_str;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A place for lines, with a progress line below them if it is a terminal.
#[derive(Debug)]
pub(super) struct Screen<W> {
    lines: W,
    colors: Colors,
    progress: Option<ProgressBar>,
}

/// Whether what is written may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colors {
    /// It keeps them.
    Kept,
    /// They are taken out, those in the output of tests too.
    Stripped,
}

impl Colors {
    fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Kept => Cow::Borrowed(text),
            Self::Stripped => Cow::Owned(strip_str(text).to_string()),
        }
    }
}

/// How often the time in the progress line is written anew.
const TICK: Duration = Duration::from_millis(250);

impl<W: Write> Screen<W> {
    /// Lines go to `lines`; the progress line goes where `progress` draws.
    pub(super) fn new(lines: W, colors: Colors, progress: Option<ProgressDrawTarget>) -> Self {
        let progress = progress.map(|target| {
            let bar = ProgressBar::with_draw_target(None, target);
            // `wide_msg` cuts the line at the terminal's edge; a wrapped one could not be removed again.
            let style = ProgressStyle::with_template("{prefix} [{elapsed_precise}] {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            lines,
            colors,
            progress,
        }
    }

    /// Whether there is a progress line.
    pub(super) const fn has_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Writes lines that stay. The progress line is taken away before and drawn again after.
    ///
    /// # Errors
    /// What the writer says.
    pub(super) fn print(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let lines = self.colors.of(lines);
        let to = &mut self.lines;
        let mut write = || {
            to.write_all(lines.as_bytes())?;
            to.flush()
        };
        match &self.progress {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Shows another progress line: a word, the time, and details.
    pub(super) fn show(&self, word: &str, details: &str) {
        if let Some(bar) = &self.progress {
            bar.set_prefix(self.colors.of(word).into_owned());
            bar.set_message(self.colors.of(details).into_owned());
        }
    }

    /// Takes the progress line away for good.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.progress.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::Terminal;
    use super::*;

    /// What the terminal shows, whatever time it is.
    fn shown(terminal: &Terminal) -> String {
        let time = regex::Regex::new(r"\d\d:\d\d:\d\d").unwrap();
        time.replace_all(&terminal.text(), "00:00:00").into_owned()
    }

    #[test]
    fn lines_stay_above_the_progress_line() {
        let terminal = Terminal::new(40);
        let mut screen = Screen::new(terminal.clone(), Colors::Stripped, terminal.progress());
        screen.show("Word", "one");
        screen.print("first\nsecond\n").unwrap();
        assert_eq!(shown(&terminal), "first\nsecond\nWord [00:00:00] one");
        screen.show("Word", "two");
        screen.print("third\n").unwrap();
        assert_eq!(
            shown(&terminal),
            "first\nsecond\nthird\nWord [00:00:00] two"
        );
        screen.clear();
        screen.print("fourth\n").unwrap();
        assert_eq!(shown(&terminal), "first\nsecond\nthird\nfourth");
    }

    #[test]
    fn a_progress_line_that_is_too_long_is_cut_and_leaves_nothing() {
        let terminal = Terminal::new(20);
        let mut screen = Screen::new(terminal.clone(), Colors::Stripped, terminal.progress());
        screen.show("Word", &"x".repeat(100));
        screen.print("first\n").unwrap();
        assert_eq!(shown(&terminal), "first\nWord [00:00:00] xxxx");
        screen.clear();
        assert_eq!(shown(&terminal), "first");
    }

    #[test]
    fn colours_are_kept_or_stripped() {
        let colored = "\x1b[31mred\x1b[0m\n";
        for (colors, expected) in [(Colors::Kept, colored), (Colors::Stripped, "red\n")] {
            let terminal = Terminal::new(40);
            let mut screen = Screen::new(terminal.clone(), colors, terminal.progress());
            screen.print(colored).unwrap();
            assert_eq!(terminal.raw(), expected);
            screen.show(colored.trim_end(), colored.trim_end());
            let shown = screen.progress.as_ref().unwrap().message();
            assert_eq!(shown, expected.trim_end());
        }
    }
}
