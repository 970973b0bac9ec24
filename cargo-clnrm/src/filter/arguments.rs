//! What stands between a predicate's parentheses: a matcher, a platform or nothing.

use std::ops::Range;

use super::parse::Parser;
use super::{Expr, Matcher, Named, Platform, ProblemKind, Set};

/// What a predicate takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument {
    Matcher(Set),
    Platform,
    Nothing(&'static str, fn() -> Expr),
    Refused,
    Unknown,
}

impl Argument {
    pub(super) const fn is_a_name(self) -> bool {
        matches!(self, Self::Matcher(_) | Self::Platform)
    }
}

pub(super) fn argument_of(predicate: &str) -> Argument {
    match predicate {
        "platform" => Argument::Platform,
        "all" => Argument::Nothing("all", || Expr::All),
        "none" => Argument::Nothing("none", || Expr::None),
        "default" => Argument::Nothing("default", || Expr::Default),
        "group" => Argument::Refused,
        name => Set::ALL
            .into_iter()
            .find(|set| set.name() == name)
            .map_or(Argument::Unknown, Argument::Matcher),
    }
}

impl Parser<'_> {
    /// Parses up to, and not including, the closing parenthesis.
    pub(super) fn argument(
        &mut self,
        argument: Argument,
        name: &str,
        span: &Range<usize>,
    ) -> Option<Expr> {
        match argument {
            Argument::Matcher(set) => {
                let matcher = self.matcher(set);
                self.end_of_argument();
                matcher.map(|(matcher, span)| Expr::Named(Named { set, matcher, span }))
            }
            Argument::Platform => {
                let platform = self.platform();
                self.end_of_argument();
                platform.map(Expr::Platform)
            }
            Argument::Nothing(name, make) => {
                let argument = self.skip_argument();
                if !argument.is_empty() {
                    self.report(argument, ProblemKind::UnexpectedArgument(name));
                    return None;
                }
                Some(make())
            }
            Argument::Refused => {
                self.report(span.clone(), ProblemKind::Group);
                self.skip_argument();
                None
            }
            Argument::Unknown => {
                self.report(span.clone(), ProblemKind::UnknownPredicate(name.to_owned()));
                self.skip_argument();
                None
            }
        }
    }

    fn matcher(&mut self, set: Set) -> Option<(Matcher, Range<usize>)> {
        let mark = self.peek_after_space();
        if let Some('/' | '=' | '~' | '#') = mark {
            self.advance(1);
        }
        let start = self.at();
        if mark == Some('/') {
            return self.regex();
        }
        let text = self.text()?;
        let span = start..self.at();
        let matcher = match (mark, set) {
            (Some('='), _) => Matcher::Equal(text),
            (Some('~'), _) => Matcher::Contains(text),
            (Some('#'), _) => self.glob(&text, &span)?,
            (_, Set::Kind) => Matcher::Equal(text),
            (_, Set::Test) => Matcher::Contains(text),
            _ => self.glob(&text, &span)?,
        };
        Some((matcher, span))
    }

    fn glob(&mut self, text: &str, span: &Range<usize>) -> Option<Matcher> {
        Matcher::glob(text)
            .map_err(|reason| self.report(span.clone(), ProblemKind::InvalidGlob(reason)))
            .ok()
    }

    /// A regular expression, whose first slash is read already. Only `\/` is ours; all other escapes are the library's.
    fn regex(&mut self) -> Option<(Matcher, Range<usize>)> {
        let (start, rest) = (self.at(), self.rest());
        let mut text = String::new();
        let mut characters = rest.char_indices();
        while let Some((index, c)) = characters.next() {
            match c {
                '/' => {
                    self.advance(index);
                    let span = start..self.at();
                    self.advance(1);
                    return match Matcher::regex(&text) {
                        Ok(matcher) => Some((matcher, span)),
                        Err(reason) => {
                            self.report(span, ProblemKind::InvalidRegex(reason));
                            None
                        }
                    };
                }
                '\\' => {
                    let escaped = characters.next().map(|(_, c)| c);
                    text.extend((escaped != Some('/')).then_some('\\'));
                    text.extend(escaped);
                }
                c => text.push(c),
            }
        }
        let unclosed = self.skip_argument();
        self.report(unclosed.end..unclosed.end, ProblemKind::UnclosedRegex);
        None
    }

    /// A name up to the next `)` or `,` that is not escaped. As in nextest, spaces at its end are part of it.
    fn text(&mut self) -> Option<String> {
        let start = self.at();
        let mut text = String::new();
        let mut valid = true;
        while let Some(c) = self.rest().chars().next() {
            match c {
                ')' | ',' => break,
                '\\' => match escape(self.rest()) {
                    Ok((c, length)) => {
                        text.push(c);
                        self.advance(length);
                    }
                    Err(length) => {
                        let wrong = self.rest().get(..length).unwrap_or_default().to_owned();
                        let span = self.at()..self.at() + length;
                        self.report(span, ProblemKind::InvalidEscape(wrong));
                        self.advance(length);
                        valid = false;
                    }
                },
                c => {
                    text.push(c);
                    self.advance(c.len_utf8());
                }
            }
        }
        if self.at() == start {
            self.report(start..start, ProblemKind::MissingName);
            valid = false;
        }
        valid.then_some(text)
    }

    fn platform(&mut self) -> Option<Platform> {
        self.peek_after_space();
        let start = self.at();
        let text = self.text()?;
        let text = text.trim();
        let platform = [Platform::Host, Platform::Target]
            .into_iter()
            .find(|platform| platform.name() == text);
        if platform.is_none() {
            let span = start..self.at();
            self.report(span, ProblemKind::UnknownPlatform(text.to_owned()));
        }
        platform
    }

    /// Reports what stands between a matcher and its closing parenthesis, and passes over it.
    fn end_of_argument(&mut self) {
        let (kind, length) = match self.peek_after_space() {
            None | Some(')') => return,
            Some(',') => (ProblemKind::UnexpectedComma, 1),
            Some(c) => (ProblemKind::AfterArgument, c.len_utf8()),
        };
        let start = self.skip_argument().start;
        self.report(start..start + length, kind);
    }

    /// Passes over everything before the next `)` that is not escaped, and says where it was.
    fn skip_argument(&mut self) -> Range<usize> {
        self.peek_after_space();
        let (start, rest) = (self.at(), self.rest());
        let mut escaped = false;
        let end = rest.find(|c| {
            let closes = c == ')' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        self.advance(end.unwrap_or(rest.len()));
        start
            ..start
                + rest
                    .get(..end.unwrap_or(rest.len()))
                    .unwrap_or_default()
                    .trim_end()
                    .len()
    }
}

/// The character that an escape sequence stands for and the sequence's length, or the length of what is none.
fn escape(text: &str) -> Result<(char, usize), usize> {
    let mut characters = text.chars().skip(1);
    let Some(escaped) = characters.next() else {
        return Err(1);
    };
    let invalid = 1 + escaped.len_utf8();
    let c = match escaped {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        // nextest takes these two as well and does not say so.
        'b' => '\u{8}',
        'f' => '\u{c}',
        '\\' | '/' | ')' | ',' => escaped,
        'u' => return unicode(text).ok_or(invalid),
        _ => return Err(invalid),
    };
    Ok((c, invalid))
}

/// `\u{…}` with one to six hexadecimal digits.
fn unicode(text: &str) -> Option<(char, usize)> {
    let (digits, _) = text.strip_prefix(r"\u{")?.split_once('}')?;
    let hexadecimal =
        (1..=6).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| hexadecimal)?;
    Some((char::from_u32(code)?, r"\u{}".len() + digits.len()))
}
