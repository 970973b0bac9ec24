//! Texts with holes, `{db.url}`, and what a hole may name.
//!
//! The runtime's `Template` has the same grammar.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Ident, Lit, LitStr, Token, Type};

use crate::hint;
use crate::mistake::{self, Mistakes};
use crate::option::{Entry, Value};
use crate::spec::Port;
use crate::value;

/// A text, and what stands between its braces.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// The text as it was written.
    pub(crate) value: String,
    /// Where.
    pub(crate) span: Span,
    /// What stands between the braces, or what is wrong with them.
    holes: Result<Vec<String>, String>,
}

impl Text {
    /// Reads a string; [`check`](Self::check) says what is wrong with it.
    pub(crate) fn new(text: &LitStr) -> Self {
        let value = text.value();
        Self {
            holes: holes(&value),
            value,
            span: text.span(),
        }
    }

    /// Reads a string, number or boolean: what an environment takes.
    fn scalar(name: &str, value: &Expr) -> syn::Result<Self> {
        if let Expr::Lit(literal) = value {
            match &literal.lit {
                Lit::Str(text) => return Ok(Self::new(text)),
                Lit::Int(_) | Lit::Float(_) | Lit::Bool(_) => {
                    return Ok(Self {
                        value: literal.to_token_stream().to_string(),
                        span: literal.lit.span(),
                        holes: Ok(Vec::new()),
                    });
                }
                _ => {}
            }
        }
        let message = format!(
            "`{name}` takes a string, a number or a boolean (hint: write `{name} = \"value\"`)"
        );
        Err(syn::Error::new_spanned(value, message))
    }

    /// Reads a list of strings, empty ones included.
    pub(crate) fn list<'a>(example: &'a str) -> impl Fn(&Entry) -> syn::Result<Vec<Self>> + 'a {
        move |entry| {
            let example = format!("{} = [{example}]", entry.name());
            let refuse = || entry.takes("a list of strings", &example);
            let Value::Equals(value) = &entry.value else {
                return Err(refuse());
            };
            let Expr::Array(list) = value.as_ref() else {
                return Err(refuse());
            };
            let texts = list.elems.iter().map(|item| match item {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => Ok(Self::new(text)),
                    _ => Err(refuse()),
                },
                _ => Err(refuse()),
            });
            mistake::all(texts)
        }
    }

    /// Checks every hole. Returns the exports of dependencies that it names.
    pub(crate) fn check(&self, scope: &Scope<'_>, mistakes: &mut Mistakes) -> Vec<ExportUse> {
        let mut uses = Vec::new();
        let holes = match &self.holes {
            Ok(holes) => holes.as_slice(),
            Err(why) => {
                mistakes.at(self.span, why);
                &[]
            }
        };
        for hole in holes {
            match scope.resolve(hole, self.span) {
                Ok(found) => uses.extend(found),
                Err(why) => mistakes.at(self.span, format!("`{{{hole}}}`: {why}")),
            }
        }
        uses
    }
}

/// `{field.export}` in some text; only the field's type knows whether it exists.
#[derive(Debug, Clone)]
pub(crate) struct ExportUse {
    /// The field.
    pub(crate) field: String,
    /// Its service.
    pub(crate) service: Type,
    /// The export.
    pub(crate) export: String,
    /// The text.
    pub(crate) span: Span,
}

/// What a hole may name besides `name` and `data_dir`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope<'a> {
    /// The ports of the service.
    pub(crate) ports: &'a [Port],
    /// Its variables, and whether each always has a value.
    pub(crate) vars: &'a [(String, bool)],
    /// The dependencies, by field.
    pub(crate) needs: &'a [(String, Type)],
    /// The field that is the service itself.
    pub(crate) own: Option<&'a Ident>,
    /// Whether a plugin adds names that only it knows.
    pub(crate) open: bool,
}

impl Scope<'_> {
    fn resolve(&self, hole: &str, span: Span) -> Result<Option<ExportUse>, String> {
        match hole.split_once('.') {
            None => self.own_name(hole).map(|()| None),
            Some(("port" | "host", port)) => self.port(port).map(|()| None),
            Some((field, export)) => {
                let (field, service) = self.need(field)?;
                Ok(Some(ExportUse {
                    field: field.clone(),
                    service: service.clone(),
                    export: export.to_owned(),
                    span,
                }))
            }
        }
    }

    fn own_name(&self, hole: &str) -> Result<(), String> {
        match hole {
            "name" | "data_dir" => return Ok(()),
            "port" | "host" if self.open || !self.ports.is_empty() => return Ok(()),
            "port" | "host" => {
                return Err("the service has no port (hint: declare it: `port = 8080`)".to_owned());
            }
            _ => {}
        }
        if let Some((_, always)) = self.vars.iter().find(|(name, _)| name == hole) {
            return match always {
                true => Ok(()),
                false => Err(format!(
                    "`{hole}` may be absent (hint: give the field a default instead of `Option`)"
                )),
            };
        }
        if self.needs.iter().any(|(field, _)| field == hole) {
            return Err(format!(
                "this is a service (hint: name an export of it: `{{{hole}.url}}`)"
            ));
        }
        if self.open {
            return Ok(());
        }
        let mut known = vec!["name", "data_dir"];
        if !self.ports.is_empty() {
            known.extend(["host", "port"]);
        }
        known.extend(self.vars.iter().map(|(name, _)| name.as_str()));
        let hint = hint::instead(hole, known);
        Err(format!("nothing has this name (hint: {hint})"))
    }

    fn port(&self, name: &str) -> Result<(), String> {
        if self.open || self.ports.iter().any(|port| port.name == name) {
            return Ok(());
        }
        let hint = match self.ports {
            [] => format!("declare it: `port({name} = 8080)`"),
            ports => hint::instead(name, ports.iter().map(|port| port.name.as_str())),
        };
        Err(format!("the service has no port `{name}` (hint: {hint})"))
    }

    fn need(&self, name: &str) -> Result<&(String, Type), String> {
        if let Some(need) = self.needs.iter().find(|(field, _)| field == name) {
            return Ok(need);
        }
        if self.own.is_some_and(|own| own == name) {
            return Err(format!(
                "`{name}` is the service itself (hint: its own names are `{{port}}`, `{{host}}`, `{{name}}`)"
            ));
        }
        let hint = match self.needs {
            [] => format!("make the service a field: `{name}: Postgres`"),
            needs => hint::instead(name, needs.iter().map(|(field, _)| field.as_str())),
        };
        Err(format!("no field is called `{name}` (hint: {hint})"))
    }
}

/// What stands between the braces; doubled ones are braces.
fn holes(text: &str) -> Result<Vec<String>, String> {
    let mut holes = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if !matches!(char, '{' | '}') {
            continue;
        }
        if chars.next_if_eq(&char).is_some() {
            continue;
        }
        let mut name = String::new();
        let closed = char == '{'
            && loop {
                match chars.next() {
                    Some('}') => break true,
                    Some(char) => name.push(char),
                    None => break false,
                }
            };
        if !closed {
            return Err(format!(
                "unmatched `{char}` (hint: write `{char}{char}` for a brace)"
            ));
        }
        if !is_name(&name) {
            return Err(format!(
                "`{{{name}}}` is not a name (hint: names look like `port` or `db.url`; write `{{{{` for a brace)"
            ));
        }
        holes.push(name);
    }
    Ok(holes)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|char| char.is_alphanumeric() || matches!(char, '_' | '-'))
        })
}

/// The texts of `env(KEY = "text", "dotted.key" = "text")`, or of `exports(…)`.
pub(crate) fn map(entry: &Entry) -> syn::Result<Vec<(LitStr, Text)>> {
    let Value::List(_, list) = &entry.value else {
        let example = format!("{}(KEY = \"text\")", entry.name());
        return Err(entry.takes("a list of names and texts", &example));
    };
    let pairs = pairs.parse2(list.clone())?;
    let mut names = Vec::new();
    mistake::all(pairs.into_iter().map(|(key, value)| {
        let name = key.value();
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("`{name}` is no name");
            return Err(value::mistake(key.span(), message, "KEY = \"text\""));
        }
        if names.contains(&name) {
            let message = format!("`{name}` is given twice (hint: keep one)");
            return Err(syn::Error::new(key.span(), message));
        }
        let text = Text::scalar(&name, &value)?;
        names.push(name);
        Ok((key, text))
    }))
}

/// `KEY = value, "dotted.key" = value`.
fn pairs(input: ParseStream<'_>) -> syn::Result<Vec<(LitStr, Expr)>> {
    let mut pairs = Vec::new();
    while !input.is_empty() {
        let key = if input.peek(LitStr) {
            input.parse::<LitStr>()?
        } else {
            let name = input.call(Ident::parse_any)?;
            LitStr::new(&name.unraw().to_string(), name.span())
        };
        input.parse::<Token![=]>()?;
        pairs.push((key, value::plain(input.parse()?)));
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_what_stands_between_single_braces() {
        assert_eq!(holes("{{{db.url}}}:{port}").unwrap(), ["db.url", "port"]);
        assert_eq!(holes("{{}}").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn mistakes_in_braces_say_how_to_write_one() {
        assert_eq!(
            holes("a{").unwrap_err(),
            "unmatched `{` (hint: write `{{` for a brace)"
        );
        assert_eq!(
            holes("a}b").unwrap_err(),
            "unmatched `}` (hint: write `}}` for a brace)"
        );
        assert!(
            holes("{a b}")
                .unwrap_err()
                .starts_with("`{a b}` is not a name")
        );
    }
}
