//! From text to expression, going on after each mistake so that all are told at once.
//!
//! A parser by hand: most of it decides where to go on after a mistake, which a combinator library does not take off us.
//! It accepts a little more than nextest does: every white space separates, and `/a\\/` ends after the escaped backslash.

use std::ops::Range;

use super::arguments::{self, Argument};
use super::{Expr, Filter, FilterError, Problem, ProblemKind};

/// How deep parentheses and `not`s may be in each other; far beyond any use, and well within the smallest stack.
const DEEPEST: usize = 128;

pub(super) fn parse(text: &str, default_allowed: bool) -> Result<Filter, FilterError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        default_allowed,
        problems: Vec::new(),
    };
    let expr = parser.whole();
    match expr {
        Some(expr) if parser.problems.is_empty() => Ok(Filter {
            text: text.to_owned(),
            expr,
        }),
        _ => {
            let mut problems = parser.problems;
            problems.sort_by_key(|problem| problem.span.start);
            Err(FilterError {
                expression: text.to_owned(),
                problems,
            })
        }
    }
}

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    default_allowed: bool,
    problems: Vec<Problem>,
}

/// An expression, or nothing where a problem was reported.
type Parsed = Option<Expr>;

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Parsed {
        let mut expr = self.union();
        while let Some(next) = self.peek_after_space() {
            if next == ')' {
                self.report(self.at..self.at + 1, ProblemKind::StrayClose);
                self.advance(1);
                let _ = self.operator_or() || self.operator_and() || self.operator("-");
            } else {
                expr = self.union();
            }
        }
        expr
    }

    fn union(&mut self) -> Parsed {
        let mut parts = vec![self.intersection()];
        while self.operator_or() {
            parts.push(self.intersection());
        }
        chain(parts, Expr::Or)
    }

    fn intersection(&mut self) -> Parsed {
        let mut parts = vec![self.operand()];
        loop {
            if self.operator_and() {
                parts.push(self.operand());
            } else if self.operator("-") {
                let part = self.operand();
                parts.push(part.map(|part| Expr::Not(Box::new(part))));
            } else if self.starts_operand() {
                self.report(self.at..self.at, ProblemKind::MissingOperator);
                parts.push(self.operand());
            } else {
                return chain(parts, Expr::And);
            }
        }
    }

    fn operand(&mut self) -> Parsed {
        match self.peek_after_space() {
            Some('(') => {
                self.advance(1);
                let expr = self.nested(Self::union);
                self.close();
                expr
            }
            Some('!') => {
                self.advance(1);
                self.negated()
            }
            None | Some(')' | '&' | '|' | '+' | '-') => self.missing_operand(),
            Some(_) => match self.word() {
                "not" => {
                    self.advance("not".len());
                    self.negated()
                }
                "NOT" => {
                    self.wrong_operator("NOT", "`not` or `!`");
                    self.negated()
                }
                "and" | "or" | "AND" | "OR" => self.missing_operand(),
                word => self.predicate(word),
            },
        }
    }

    fn negated(&mut self) -> Parsed {
        let part = self.nested(Self::operand)?;
        Some(Expr::Not(Box::new(part)))
    }

    fn missing_operand(&mut self) -> Parsed {
        self.report(self.at..self.at, ProblemKind::MissingOperand);
        None
    }

    fn predicate(&mut self, name: &'a str) -> Parsed {
        let span = self.at..self.at + name.len();
        self.advance(name.len());
        let argument = arguments::argument_of(name);
        if self.peek_after_space() != Some('(') {
            self.no_argument(argument, name, span);
            return None;
        }
        self.advance(1);
        let expr = self.argument(argument, name, &span);
        self.close();
        match expr {
            Some(Expr::Default) if !self.default_allowed => {
                self.report(span, ProblemKind::DefaultInDefault);
                None
            }
            expr => expr,
        }
    }

    fn no_argument(&mut self, argument: Argument, name: &str, span: Range<usize>) {
        if matches!(argument, Argument::Unknown) {
            self.report(span, ProblemKind::BareWord(name.to_owned()));
            return;
        }
        self.report(
            span.end..span.end,
            ProblemKind::MissingOpen(name.to_owned()),
        );
        // What follows `test` is its argument, as in `test orders`, and not one mistake more.
        let word = self.word();
        let operator =
            word.starts_with('-') || matches!(word, "and" | "or" | "not" | "AND" | "OR" | "NOT");
        if argument.is_a_name() && !operator {
            self.advance(word.len());
        }
    }

    /// Parses with `inner`, one level deeper. Too deep a text is given up: nobody wrote it by hand.
    fn nested(&mut self, inner: fn(&mut Self) -> Parsed) -> Parsed {
        if self.depth == DEEPEST {
            self.report(self.at..self.at, ProblemKind::TooDeep);
            self.at = self.text.len();
            return None;
        }
        self.depth += 1;
        let expr = inner(self);
        self.depth -= 1;
        expr
    }

    fn operator_or(&mut self) -> bool {
        for written in ["||", "OR"] {
            if self.at_operator(written) {
                self.wrong_operator(written, "`|`, `+` or `or`");
                return true;
            }
        }
        self.operator("|") || self.operator("+") || self.operator("or")
    }

    fn operator_and(&mut self) -> bool {
        for written in ["&&", "AND"] {
            if self.at_operator(written) {
                self.wrong_operator(written, "`&` or `and`");
                return true;
            }
        }
        self.operator("&") || self.operator("and")
    }

    fn operator(&mut self, written: &str) -> bool {
        let here = self.at_operator(written);
        if here {
            self.advance(written.len());
        }
        here
    }

    fn at_operator(&mut self, written: &str) -> bool {
        self.skip_space();
        if written.starts_with(char::is_alphabetic) {
            self.word() == written
        } else {
            self.rest().starts_with(written)
        }
    }

    fn wrong_operator(&mut self, written: &str, right: &'static str) {
        let start = self.at;
        self.advance(written.len());
        let written = written.to_owned();
        self.report(
            start..self.at,
            ProblemKind::WrongOperator { written, right },
        );
    }

    fn starts_operand(&mut self) -> bool {
        match self.peek_after_space() {
            None | Some(')' | '|' | '+') => false,
            Some(_) => !matches!(self.word(), "or" | "OR"),
        }
    }

    /// The characters from here to the next that cannot be part of a word.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || "()&|+!".contains(c);
        let end = rest.find(ends).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn close(&mut self) {
        if self.peek_after_space() == Some(')') {
            self.advance(1);
        } else if !self.problems.iter().any(ends_the_text) {
            self.report(self.at..self.at, ProblemKind::MissingClose);
        }
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
    }

    pub(super) fn peek_after_space(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn report(&mut self, span: Range<usize>, kind: ProblemKind) {
        self.problems.push(Problem { span, kind });
    }
}

/// One expression of the parts, if all of them could be parsed.
fn chain(parts: Vec<Parsed>, join: fn(Vec<Expr>) -> Expr) -> Parsed {
    let mut parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
    if parts.len() > 1 {
        Some(join(parts))
    } else {
        parts.pop()
    }
}

/// After these the text is at its end, where every parenthesis that is still open would be one more problem.
fn ends_the_text(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::MissingClose | ProblemKind::TooDeep
    )
}
