//! The arguments and the struct, as they are written.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, Item, ItemStruct, Token, parenthesized, token};

use crate::option::Entries;

/// `plugin expression, option, option = value, …`.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The plugin: an expression that is no option.
    pub(crate) plugin: Option<Expr>,
    /// The options.
    pub(crate) options: Entries,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let plugin = if input.is_empty() || starts_with_option(input) {
            None
        } else {
            let plugin = input.parse()?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
            Some(plugin)
        };
        let options = input.parse()?;
        Ok(Self { plugin, options })
    }
}

/// Whether a name alone, `name = …` or `name(…)` comes. The last is an
/// expression too, and is refused as one: a misspelt option looks the same.
/// So is an option with `:` or braces, but for `Type { … }` and `unsafe { … }`.
fn starts_with_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let Ok(name) = ahead.call(Ident::parse_any) else {
        return false;
    };
    if ahead.peek(token::Brace) {
        let is_type = name.to_string().starts_with(char::is_uppercase);
        return !is_type && input.peek(Ident);
    }
    if ahead.peek(Token![:]) && !ahead.peek(Token![::]) {
        return true;
    }
    if ahead.peek(token::Paren) {
        let skip = |ahead: ParseStream<'_>| {
            let content;
            parenthesized!(content in ahead);
            content.parse::<TokenStream>()
        };
        if skip(&ahead).is_err() {
            return false;
        }
    } else if ahead.peek(Token![=]) && !ahead.peek(Token![==]) {
        return true;
    }
    ahead.is_empty() || ahead.peek(Token![,])
}

/// The struct.
pub(crate) fn item(item: TokenStream) -> syn::Result<ItemStruct> {
    match syn::parse2(item)? {
        Item::Struct(item) => Ok(item),
        other => Err(syn::Error::new_spanned(
            other,
            "`#[clnrm::service]` describes a struct (hint: write `struct Shop { handle: clnrm::ServiceHandle }`)",
        )),
    }
}
