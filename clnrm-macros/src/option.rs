//! The options of an attribute: `flag`, `name = value`, `name(…)`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, Token, parenthesized, token};

use crate::mistake::Mistakes;
use crate::{hint, value};

/// One option as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name; a keyword may be one.
    pub(crate) name: Ident,
    /// What follows the name.
    pub(crate) value: Value,
}

/// What follows the name of an option.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing.
    Word,
    /// `= expression`.
    Equals(Box<Expr>),
    /// `(tokens)`.
    List(token::Paren, TokenStream),
}

impl Entry {
    /// The name as text.
    pub(crate) fn name(&self) -> String {
        self.name.unraw().to_string()
    }

    /// Whether it is a name alone, or a call without arguments.
    fn is_bare(&self) -> bool {
        match &self.value {
            Value::Word => true,
            Value::Equals(_) => false,
            Value::List(_, arguments) => arguments.is_empty(),
        }
    }

    /// The mistake of a value that is not `what` the option takes.
    pub(crate) fn takes(&self, what: &str, example: &str) -> syn::Error {
        let message = format!("`{}` takes {what} (hint: write `{example}`)", self.name());
        syn::Error::new_spanned(self, message)
    }
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("this is no option (hint: write `name = value`)"));
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Equals(Box::new(value::plain(input.parse()?)))
        } else if input.peek(token::Paren) {
            let content;
            let paren = parenthesized!(content in input);
            Value::List(paren, content.parse()?)
        } else {
            Value::Word
        };
        Ok(Self { name, value })
    }
}

impl ToTokens for Entry {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let name = &self.name;
        match &self.value {
            Value::Word => name.to_tokens(tokens),
            Value::Equals(value) => tokens.extend(quote!(#name = #value)),
            Value::List(paren, list) => {
                name.to_tokens(tokens);
                // Parentheses of our own would point at the whole attribute.
                paren.surround(tokens, |tokens| list.to_tokens(tokens));
            }
        }
    }
}

/// A list of options, in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries(pub(crate) Vec<Entry>);

impl Parse for Entries {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut entries = Vec::new();
        while !input.is_empty() {
            entries.push(input.parse()?);
            if input.peek(Token![::]) || input.peek(Token![.]) {
                return Err(input.error(
                    "this is an expression, not an option (hint: a plugin expression stands alone and first)",
                ));
            }
            if input.peek(Token![:]) {
                return Err(input.error("options are given with `=` (hint: write `name = value`)"));
            }
            if input.peek(token::Brace) {
                return Err(input.error(
                    "an option takes `=` or parentheses (hint: write `name = value` or `name(..)`)",
                ));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self(entries))
    }
}

/// A value, and where it was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<T> {
    /// The value.
    pub(crate) value: T,
    /// The option's name.
    pub(crate) span: Span,
}

/// What else an attribute takes, which an unknown option may have been meant for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Beside {
    /// Options alone.
    Nothing,
    /// A plugin expression, and there is none.
    NoPlugin,
    /// A plugin expression, and there is one.
    Plugin,
}

/// Options that are taken by name; what nobody takes is unknown.
#[derive(Debug)]
pub(crate) struct Options {
    entries: Vec<Entry>,
    known: Vec<&'static str>,
}

impl Options {
    /// Options of which none is taken yet.
    pub(crate) fn new(entries: Entries) -> Self {
        Self {
            entries: entries.0,
            known: Vec::new(),
        }
    }

    /// Reads the option called `name`, if it is there and right.
    pub(crate) fn take<T>(
        &mut self,
        mistakes: &mut Mistakes,
        name: &'static str,
        read: impl FnOnce(&Entry) -> syn::Result<T>,
    ) -> Option<Given<T>> {
        self.known.push(name);
        let mut found = self.entries.extract_if(.., |entry| entry.name == name);
        let first = found.next()?;
        for again in found {
            mistakes.at(
                again.name.span(),
                format!("`{name}` is given twice (hint: keep one)"),
            );
        }
        let value = mistakes.keep(read(&first))?;
        let span = first.name.span();
        Some(Given { value, span })
    }

    /// Whether one of `names` is there.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        self.entries
            .iter()
            .any(|entry| names.iter().any(|name| entry.name == name))
    }

    /// Whether some option is not taken yet.
    pub(crate) fn is_left(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Refuses the options called `names`, for the same reason.
    pub(crate) fn refuse(&mut self, mistakes: &mut Mistakes, names: &[&'static str], why: &str) {
        for name in names {
            if let Some(refused) = self.take(mistakes, name, |_| Ok(())) {
                mistakes.at(refused.span, format!("`{name}` {why}"));
            }
        }
    }

    /// Reports what nobody took.
    pub(crate) fn finish(self, mistakes: &mut Mistakes, beside: Beside) {
        const PLUGIN: &str = "a plugin expression is more than a name, as `self::plugin()`";
        for entry in &self.entries {
            let name = entry.name();
            let hint = match (hint::nearest(&name, &self.known), beside) {
                (Some(near), Beside::NoPlugin) if entry.is_bare() => {
                    format!("did you mean `{near}`? {PLUGIN}")
                }
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, Beside::Plugin) => {
                    format!("the plugin is configured by its methods: `.{name}(..)`")
                }
                (None, Beside::NoPlugin) => {
                    format!("there are {}; {PLUGIN}", hint::list(&self.known))
                }
                (None, Beside::Nothing) => format!("there are {}", hint::list(&self.known)),
            };
            mistakes.on(entry, format!("unknown option `{name}` (hint: {hint})"));
        }
    }
}
