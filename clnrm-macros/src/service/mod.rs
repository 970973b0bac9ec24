//! `#[clnrm::service(…)]`: a struct that stands for a service.

mod expand;
mod model;
mod parse;

pub(crate) use expand::{id, place, scope};
pub(crate) use model::name;

use proc_macro2::TokenStream;
use quote::quote;

use crate::root::Root;
use model::Service;
use parse::Arguments;

/// The struct with what makes it a service, or with every mistake.
pub(crate) fn service(root: &Root, arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let item = match parse::item(item.clone()) {
        Ok(item) => item,
        Err(mistake) => {
            let mistake = mistake.into_compile_error();
            return quote!(#item #mistake);
        }
    };
    let model = syn::parse2::<Arguments>(arguments)
        .and_then(|arguments| Service::new(root.clone(), arguments, &item));
    let generated = match model {
        Ok(service) => service.expand(),
        Err(mistakes) => {
            // What uses the struct should not be reported too.
            let mistakes = mistakes.into_compile_error();
            let stand_in = expand::stand_in(root, &item);
            quote!(#mistakes #stand_in)
        }
    };
    quote!(#item #generated)
}

#[cfg(test)]
mod tests;
