//! What the value of an option may be, and what is said when it is something else.

use std::fmt::Display;
use std::str::FromStr;

use proc_macro2::Span;
use syn::{Expr, ExprLit, Lit, LitStr, Path};

use crate::hint;
use crate::option::{Entry, Value};

/// Nothing behind the name.
pub(crate) fn flag(entry: &Entry) -> syn::Result<()> {
    match entry.value {
        Value::Word => Ok(()),
        _ => Err(entry.takes("no value", &entry.name())),
    }
}

/// A string that is not empty.
pub(crate) fn text<'a>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<LitStr> + 'a {
    move |entry| {
        let Some(text) = literal(entry) else {
            let example = format!("{} = \"{example}\"", entry.name());
            return Err(entry.takes("a string", &example));
        };
        filled(entry, text, example)
    }
}

/// A list of strings, none of them empty.
pub(crate) fn texts<'a>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<Vec<LitStr>> + 'a {
    move |entry| {
        let refuse = || {
            let example = format!("{} = [\"{example}\"]", entry.name());
            Err(entry.takes("a list of strings", &example))
        };
        let Value::Equals(value) = &entry.value else {
            return refuse();
        };
        let Expr::Array(list) = value.as_ref() else {
            return refuse();
        };
        let mut texts = Vec::new();
        for item in &list.elems {
            match string(item) {
                Some(text) => texts.push(filled(entry, text, example)?),
                None => return refuse(),
            }
        }
        Ok(texts)
    }
}

/// A whole number.
pub(crate) fn number<'a, N>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<N> + 'a
where
    N: FromStr,
    N::Err: Display,
{
    move |entry| {
        let example = format!("{} = {example}", entry.name());
        let refuse = || entry.takes("a number", &example);
        let Value::Equals(value) = &entry.value else {
            return Err(refuse());
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) = value.as_ref()
        else {
            return Err(refuse());
        };
        number.base10_parse().map_err(|_| refuse())
    }
}

/// One of a few words, as a string.
pub(crate) fn choice<'a, T: Copy>(
    choices: &'a [(&'a str, T)],
) -> impl Fn(&Entry) -> syn::Result<T> + 'a {
    move |entry| {
        let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let example = names.first().copied().unwrap_or_default();
        let word = text(example)(entry)?;
        let found = choices.iter().find(|(name, _)| *name == word.value());
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let hint = hint::instead(&word.value(), names.iter().copied());
            let message = format!(
                "there is no {} `{}` (hint: {hint})",
                entry.name(),
                word.value()
            );
            syn::Error::new(word.span(), message)
        })
    }
}

/// A path to a crate or an item.
pub(crate) fn path<'a>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<Path> + 'a {
    move |entry| {
        if let Value::Equals(value) = &entry.value
            && let Expr::Path(path) = value.as_ref()
            && path.qself.is_none()
        {
            return Ok(path.path.clone());
        }
        Err(entry.takes("a path", &format!("{} = {example}", entry.name())))
    }
}

/// A time that is not zero, in milliseconds.
pub(crate) fn time<'a>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<u64> + 'a {
    move |entry| {
        let (millis, text) = any_time(example)(entry)?;
        if millis > 0 {
            return Ok(millis);
        }
        let message = format!(
            "`{}` leaves no time at all (hint: leave the option out, or write `{example}`)",
            text.value()
        );
        Err(syn::Error::new(text.span(), message))
    }
}

/// A time in milliseconds, with its text.
pub(crate) fn any_time<'a>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<(u64, LitStr)> + 'a {
    move |entry| {
        let Some(text) = literal(entry) else {
            let example = format!("{} = \"{example}\"", entry.name());
            return Err(entry.takes("a time", &example));
        };
        match millis(&text.value()) {
            Some(millis) => Ok((millis, text)),
            None => {
                let message = format!(
                    "`{}` is no time (hint: write a number and `ms`, `s` or `m`, as `{example}`)",
                    text.value()
                );
                Err(syn::Error::new(text.span(), message))
            }
        }
    }
}

/// What the text of a time means.
pub(crate) fn millis(text: &str) -> Option<u64> {
    let digits = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// The string of `name = "string"`.
pub(crate) fn literal(entry: &Entry) -> Option<LitStr> {
    match &entry.value {
        Value::Equals(value) => string(value),
        _ => None,
    }
}

fn string(expr: &Expr) -> Option<LitStr> {
    match expr {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.clone()),
        _ => None,
    }
}

/// The expression inside the groups, which nobody sees, that a `macro_rules!`
/// passes its arguments on in.
pub(crate) fn plain(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => plain(*group.expr),
        Expr::Array(mut list) => {
            list.elems = list.elems.into_iter().map(plain).collect();
            Expr::Array(list)
        }
        other => other,
    }
}

fn filled(entry: &Entry, text: LitStr, example: &str) -> syn::Result<LitStr> {
    if text.value().trim().is_empty() {
        let what = format!("`{}` has an empty string", entry.name());
        return Err(mistake(text.span(), what, &format!("\"{example}\"")));
    }
    Ok(text)
}

/// A mistake inside a string, with what could stand there.
pub(crate) fn mistake(span: Span, what: impl Display, example: &str) -> syn::Error {
    syn::Error::new(span, format!("{what} (hint: write `{example}`)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("30s"), Some(30_000));
        assert_eq!(millis("2m"), Some(120_000));
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "30 s",
            "30h",
            "-1s",
            "99999999999999999999s",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
