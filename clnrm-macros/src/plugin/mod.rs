//! `#[derive(ServicePlugin)]`: a configuration struct that knows how to run a service.

mod expand;
mod model;

use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;

use crate::root::Root;
use model::Plugin;

/// What makes the struct a plugin, or every mistake.
pub(crate) fn plugin(root: &Root, item: TokenStream) -> TokenStream {
    let input = match syn::parse2::<DeriveInput>(item) {
        Ok(input) => input,
        Err(mistake) => return mistake.into_compile_error(),
    };
    match Plugin::new(root.clone(), &input) {
        Ok(plugin) => plugin.expand(),
        Err(mistakes) => {
            let mistakes = mistakes.into_compile_error();
            let stand_in = expand::stand_in(root, &input);
            quote!(#mistakes #stand_in)
        }
    }
}

#[cfg(test)]
mod tests;
