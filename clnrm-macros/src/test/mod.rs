//! `#[clnrm::test]`: a function whose parameters are services.

mod attribute;
mod expand;
mod model;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Item, ItemFn, LitStr};

use crate::option::Entries;
use crate::root::Root;
use crate::value;
use model::Test;

/// The test, or the function with every mistake.
pub(crate) fn test(root: &Root, arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let function = match function(item.clone()) {
        Ok(function) => function,
        Err(mistake) => {
            let mistake = mistake.into_compile_error();
            return quote!(#item #mistake);
        }
    };
    let model = options(arguments)
        .and_then(|arguments| Test::new(root.clone(), arguments, function.clone()));
    match model {
        Ok(test) => test.expand(),
        Err(mistakes) => {
            let mistakes = mistakes.into_compile_error();
            let stand_in = expand::stand_in(function);
            quote!(#mistakes #stand_in)
        }
    }
}

/// The options. A text alone is the time that a reader of other frameworks gives.
fn options(arguments: TokenStream) -> syn::Result<Entries> {
    if let Ok(text) = syn::parse2::<LitStr>(arguments.clone()) {
        let time = text.value();
        let time = value::millis(&time).map_or("30s", |_| &time);
        let message = "an option begins with its name";
        let example = format!("timeout = \"{time}\"");
        return Err(value::mistake(text.span(), message, &example));
    }
    syn::parse2(arguments)
}

fn function(item: TokenStream) -> syn::Result<ItemFn> {
    match syn::parse2(item)? {
        Item::Fn(function) => Ok(function),
        other => Err(syn::Error::new_spanned(
            other,
            "a test is a function (hint: write `#[clnrm::test] async fn works(db: Postgres) {}`)",
        )),
    }
}

#[cfg(test)]
mod tests;
